//! The mailbox in the hub's world: any answer that a database may give.

use letschat_protocol::body::{Body, Content, DeviceListRef, Place};
use letschat_protocol::devices::{DeviceEntry, DeviceName, ListError};
use letschat_protocol::dialogue::{
    AccountKeys, DeviceEntries, DeviceKeys, Mail, Outcome, Request, Secret,
};
use letschat_protocol::envelope::{Envelope, EnvelopeId, Header};
use letschat_protocol::frame::Frame;
use letschat_protocol::prekey::{PREKEY_VALID_MS, PrekeyPublic, SignedPrekey, Suite};
use letschat_protocol::username::Username;
use letschat_server::store::Unavailable;
use letschat_server::store::mailbox::{
    ListChanged, MailAnswer, MailPage, MailRequest, MailboxUsage, Placement, Placements,
};

use super::{NAMES, World, fingerprint};

impl World<'_> {
    /// Returns a request about envelopes.
    pub(super) fn mail_line(&mut self) -> Frame {
        let name = self.choices.one(&NAMES[..3]).unwrap_or("bob").to_owned();
        let request = match self.choices.below(9) {
            5 => Request::Devices { name, after: self.choices.number() },
            6 => Request::Enrol {
                name: DeviceName::like(&name),
                consent: self.entry(&name).signature,
            },
            7 => {
                let number = self.choices.number().max(1);
                Request::Change { number, entry: Box::new(self.entry(&name)) }
            }
            8 => {
                let (entry, password) =
                    (Box::new(self.entry(&name)), Secret("correct horse".into()));
                Request::Recover { entry, password }
            }
            0 => Request::Prekey(self.prekey(&name)),
            1 => Request::Keys { name },
            2 => {
                let number = self.choices.below(4) as u64 + self.mail_number.saturating_sub(3);
                Request::Acknowledge { numbers: vec![number, self.choices.number()] }
            }
            3 => {
                let envelope = self.choices.bytes(100).to_vec();
                Request::Post { id: EnvelopeId(1), envelope }
            }
            _ => {
                let envelope = self.envelope(&name).to_bytes();
                Request::Post { id: EnvelopeId(u128::from(self.choices.number())), envelope }
            }
        };
        request.to_frame()
    }

    fn prekey(&mut self, name: &str) -> SignedPrekey {
        let account: Username = name.parse().expect("a valid name");
        let until_ms = self.now.wall_ms.saturating_add(PREKEY_VALID_MS);
        SignedPrekey::sign(
            &self.identity,
            &fingerprint(),
            &account,
            PrekeyPublic([1; 32]),
            until_ms,
        )
    }

    fn envelope(&mut self, name: &str) -> Envelope {
        let body = Body {
            suite: Suite::X25519,
            sender: "alice".parse().expect("a valid name"),
            device: self.identity.public_key(),
            list: DeviceListRef::default(),
            recipients: Vec::new(),
            conversation: name.into(),
            place: Place::Sequence(1),
            time_ms: 1,
            content: Content::Text(self.choices.text(100)),
        };
        let header = Header {
            recipient: name.parse().expect("a valid name"),
            device: self.identity.public_key(),
            prekey: PrekeyPublic([1; 32]),
            encapsulated: [2; 32],
            content_key: [3; 48],
        };
        let sealed_body = body.sign(&self.identity, &fingerprint());
        Envelope { suite: Suite::X25519, headers: vec![header], sealed_body }
    }

    /// Returns the first entry of this account's device list.
    fn entry(&self, name: &str) -> DeviceEntry {
        let account = name.parse().expect("a valid name");
        let name = DeviceName::like("laptop");
        DeviceEntry::first(&self.identity, (&fingerprint(), &account), name, 7)
    }

    /// Answers a request to the mailbox.
    pub(super) fn mail_answer(&mut self, request: MailRequest) -> MailAnswer {
        if self.choices.below(6) == 0 {
            return request.unavailable();
        }
        match request {
            MailRequest::PublishPrekey { connection, .. } => {
                MailAnswer::PrekeyPublished { connection, result: Ok(self.choices.flip()) }
            }
            MailRequest::Prekeys { connection, username } => {
                let keys = match self.choices.below(3) {
                    0 => None,
                    1 => Some(AccountKeys::default()),
                    _ => {
                        let prekey = self.prekey(username.as_str());
                        let device = self.identity.public_key();
                        let devices = vec![DeviceKeys { device, prekey, used_ms: Some(1) }];
                        Some(AccountKeys { devices, ..AccountKeys::default() })
                    }
                };
                MailAnswer::Prekeys { connection, username, result: Ok(keys) }
            }
            MailRequest::Entries { connection, .. } => {
                let entries = self.choices.flip().then(DeviceEntries::default);
                MailAnswer::Entries { connection, result: Ok(entries) }
            }
            MailRequest::ChangeList { connection, change } => {
                let result = match self.choices.below(3) {
                    0 => ListChanged::Late,
                    1 => ListChanged::Refused(ListError::Inapplicable),
                    _ => ListChanged::Done,
                };
                MailAnswer::ListChanged { connection, change, result: Ok(result) }
            }
            MailRequest::Post { after, envelopes } => {
                self.mail_number = self.mail_number.max(after);
                let mut placements = Vec::new();
                for envelope in envelopes {
                    let headers = &envelope.envelope.headers;
                    let headers: Vec<Placement> =
                        headers.iter().map(|_| self.placement()).collect();
                    let missing = match self.choices.flip() {
                        true => vec![(envelope.sender.clone(), self.identity.public_key())],
                        false => Vec::new(),
                    };
                    placements.push(Placements { headers, missing });
                }
                MailAnswer::Posted { result: Ok(placements) }
            }
            MailRequest::Read { connection, query } => {
                let mut page = MailPage::default();
                let mut number = query.after;
                for _ in 0..self.choices.below(3) {
                    number = number.saturating_add(1 + self.choices.below(3) as u64);
                    let envelope = self.envelope(query.username.as_str()).to_bytes();
                    let (id, sender) = (EnvelopeId(1), query.username.clone());
                    page.mail.push(Mail { number, id, sender, time_ms: 1, envelope });
                }
                self.mail_number = self.mail_number.max(number);
                page.next_bytes = self.choices.flip().then_some(700);
                MailAnswer::Read { connection, result: Ok(page) }
            }
            MailRequest::Acknowledge { acknowledgements } => {
                let counts = acknowledgements.iter().map(|each| each.numbers.len() as u64);
                MailAnswer::Acknowledged { result: Ok(counts.collect()) }
            }
            MailRequest::Expire { .. } => {
                let result = if self.choices.flip() { Ok(false) } else { Err(Unavailable) };
                MailAnswer::Expired { result }
            }
            MailRequest::Measure => {
                let result = Ok(MailboxUsage::default());
                MailAnswer::Measured { result }
            }
        }
    }

    fn placement(&mut self) -> Placement {
        match self.choices.below(4) {
            0 => Placement::Repeated { time_ms: 1 },
            1 => Placement::Refused(Outcome::MailboxFull),
            _ => {
                self.mail_number = self.mail_number.saturating_add(1);
                Placement::Stored { number: self.mail_number }
            }
        }
    }
}
