//! A client's engine as far as envelopes are concerned: the account's file, prekeys, and the sealing of bodies.
//!
//! Bodies are signed and verified, but not sealed: sealing is random, and the same seed has to give the same world.

use std::collections::BTreeMap;

use letschat_core::conversation::ConversationId;
use letschat_core::mail::{Arrived, MailChange, Stage, StoredGroup, StoredMail, StoredPrekey};
use letschat_core::session::Input;
use letschat_protocol::body::Body;
use letschat_protocol::devices::DeviceList;
use letschat_protocol::dialogue::Mail;
use letschat_protocol::envelope::{Envelope, Header, OpenError, Recipient};
use letschat_protocol::groups::GroupId;
use letschat_protocol::identity::Identity;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::prekey::{PrekeyPublic, Suite};
use letschat_protocol::username::Username;

use crate::server::fingerprint;
use crate::world::{Plan, World};

/// The time that a commit takes in a classroom.
const COMMIT_MS: u64 = 8;

/// The file of an account, which outlives the client.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    mail: StoredMail,
    prekeys_made: u8,
}

impl Disk {
    /// Returns what a starting client reads.
    pub(crate) fn stored(&self) -> StoredMail {
        self.mail.clone()
    }

    fn commit(&mut self, changes: &[MailChange]) {
        changes.iter().for_each(|change| self.mail.apply(change));
    }

    pub(crate) fn make_prekey(&mut self, created_ms: u64, until_ms: u64) -> Input {
        self.prekeys_made += 1;
        let key = PrekeyPublic([self.prekeys_made; 32]);
        let prekey = StoredPrekey { key, created_ms, until_ms, published: None };
        self.mail.prekeys.push(prekey);
        Input::PrekeyMade(Some(prekey))
    }

    /// Returns the texts of the messages to everyone that wait for somebody.
    pub(crate) fn waiting_for_everyone(&self) -> Vec<String> {
        let outbox = self.mail.outbox.iter();
        let waiting = outbox.filter(|message| message.conversation == ConversationId::Everyone);
        waiting.map(|message| format!("{:?} to {}", message.text, message.to)).collect()
    }

    /// Returns the held device lists by account.
    pub(crate) fn lists(&self) -> &BTreeMap<Username, DeviceList> {
        &self.mail.lists
    }

    /// Returns the groups.
    pub(crate) fn groups(&self) -> &BTreeMap<GroupId, StoredGroup> {
        &self.mail.groups
    }

    /// Returns the people for whom a message is in the outbox.
    pub(crate) fn recipients(&self, id: MessageId) -> impl Iterator<Item = &Username> {
        let rows = self.mail.outbox.iter().filter(move |message| message.id == id);
        rows.map(|message| &message.to)
    }

    fn has_prekey(&self, key: &PrekeyPublic) -> bool {
        self.mail.prekeys.iter().any(|prekey| prekey.key == *key)
    }

    /// Opens a delivered envelope.
    pub(crate) fn open(&self, mail: &Mail, username: &Username, identity: &Identity) -> Input {
        let (number, sender, bytes) = (mail.number, mail.sender.clone(), mail.envelope.len());
        let opened = self.open_envelope(mail, username, identity);
        Input::Mail(Box::new(Arrived { number, sender, bytes, opened }))
    }

    fn open_envelope(
        &self,
        mail: &Mail,
        username: &Username,
        identity: &Identity,
    ) -> Result<Body, OpenError> {
        let envelope = Envelope::parse(&mail.envelope).map_err(|_| OpenError::Altered)?;
        let [header] = &envelope.headers[..] else {
            panic!("a delivered envelope has the header of its device");
        };
        assert_eq!((&header.recipient, header.device), (username, identity.public_key()));
        assert!(self.has_prekey(&header.prekey), "the device still has the prekey");
        let body = Body::verify(&envelope.sealed_body, &fingerprint())?;
        assert_eq!(body.sender, mail.sender);
        Ok(body)
    }
}

impl World {
    /// Records changes. In a classroom a new message may meet a full disk.
    pub(crate) fn commit(&mut self, person: usize, commit: u64, changes: &[MailChange]) {
        let is_class = self.plan == Plan::Classroom;
        let is_new = matches!(changes, [MailChange::Outgoing(message), ..] if message.stage == Stage::Waiting);
        let fails = is_class && is_new && self.faults.store_failure > 0 && self.chance(5);
        let result = if fails { Err("disk full".into()) } else { Ok(()) };
        if !fails {
            self.people[person].disk.commit(changes);
            self.note_groups(person, changes);
        }
        let after_ms = if is_class { COMMIT_MS } else { 0 };
        self.engine(person, after_ms, Input::Committed { commit, result });
    }
}

/// Signs a body and addresses it.
pub(crate) fn seal(body: &Body, identity: &Identity, recipients: &[Recipient]) -> Input {
    let header = |to: &Recipient| Header {
        recipient: to.username.clone(),
        device: to.device,
        prekey: to.prekey,
        encapsulated: [0; 32],
        content_key: [0; 48],
    };
    let headers = recipients.iter().map(header).collect();
    let sealed_body = body.sign(identity, &fingerprint());
    let envelope = Envelope { suite: Suite::X25519, headers, sealed_body };
    Input::Sealed(Some(envelope.to_bytes()))
}
