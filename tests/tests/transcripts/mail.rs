//! Prekeys and envelopes of the users in a transcript.

use std::collections::BTreeMap;

use letschat_protocol::body::{Body, Content, DeviceListRef, Place};
use letschat_protocol::envelope::{Envelope, Recipient};
use letschat_protocol::frame::Frame;
use letschat_protocol::identity::{Fingerprint, Identity};
use letschat_protocol::prekey::Suite;
use letschat_protocol::sealing::{Prekey, Receiver, open, seal};
use letschat_protocol::username::Username;

/// The text of every message.
const TEXT: &str = "hello";

/// The prekeys of the users, made when they are first needed.
#[derive(Default)]
pub(crate) struct Prekeys(BTreeMap<Username, Prekey>);

impl Prekeys {
    pub(crate) fn of(&mut self, who: &Username) -> &Prekey {
        self.0.entry(who.clone()).or_insert_with(|| Prekey::generate().unwrap())
    }

    /// Returns an envelope from one user to the other.
    pub(crate) fn seal(
        &mut self,
        (from, author): (&Username, &Identity),
        (to, device): (&Username, &Identity),
        server: &Fingerprint,
    ) -> Vec<u8> {
        let body = Body {
            suite: Suite::X25519,
            sender: from.clone(),
            device: author.public_key(),
            list: DeviceListRef::default(),
            recipients: vec![to.clone()],
            conversation: to.to_string(),
            place: Place::Sequence(1),
            time_ms: 1,
            content: Content::Text(TEXT.into()),
        };
        let (device, prekey) = (device.public_key(), self.of(to).public());
        let recipient = Recipient { username: to.clone(), device, prekey };
        seal(&body, author, server, &[recipient]).unwrap().to_bytes()
    }

    /// Opens the envelope of a delivery with the keys of its only recipient. Returns the recipient, or `None` if it
    /// does not open.
    pub(crate) fn open(
        &mut self,
        mail: &Frame,
        identity: impl Fn(&Username) -> Identity,
        server: &Fingerprint,
    ) -> Option<Username> {
        let sender = mail.words().nth(4)?.parse().ok()?;
        let envelope = Envelope::parse(mail.payload()?).ok()?;
        let [header] = &envelope.headers[..] else {
            return None;
        };
        let to = &header.recipient;
        let (device, prekey) = (identity(to).public_key(), self.of(to));
        let receiver = Receiver { server, username: to, device: &device };
        let body = open(&envelope, &sender, receiver, |public| {
            Some(Prekey::from_bytes(*public, *prekey.private_bytes()))
        });
        (body.ok()?.content == Content::Text(TEXT.into())).then(|| to.clone())
    }
}

/// Returns the notation of an envelope.
pub(crate) fn described(to: &Username) -> String {
    format!("<envelope for {to}>")
}

/// Returns the name in the notation of an envelope.
pub(crate) fn addressee(text: &str) -> Option<Username> {
    text.strip_prefix("<envelope for ")?.strip_suffix('>')?.parse().ok()
}
