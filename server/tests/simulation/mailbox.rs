//! The mailbox of the simulated database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use letschat_protocol::dialogue::{DeviceKeys, Mail, Outcome};
use letschat_protocol::envelope::EnvelopeId;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::prekey::SignedPrekey;
use letschat_protocol::username::Username;
use letschat_server::store::StoreError;
use letschat_server::store::mailbox::{
    Acknowledgement, EXPIRED_AT_ONCE, MAX_WAITING_BYTES, MAX_WAITING_ENVELOPES,
    MAX_WAITING_OF_SENDER, MailPage, MailQuery, Mailbox, NewEnvelope, Placement,
};

/// A device of an account.
type Device = (Username, PublicKey);

/// Accounts, prekeys and envelopes in memory.
#[derive(Default)]
pub(crate) struct SimulatedMailbox {
    accounts: BTreeSet<Username>,
    prekeys: BTreeMap<Username, BTreeMap<String, DeviceKeys>>,
    /// The deliveries by number. An acknowledged one has no envelope.
    deliveries: BTreeMap<u64, Delivery>,
    head: u64,
}

struct Delivery {
    to: Device,
    mail: Mail,
    waits: bool,
}

impl SimulatedMailbox {
    /// Adds an account.
    pub(crate) fn add_account(&mut self, username: &Username) {
        self.accounts.insert(username.clone());
    }

    fn waiting<'a>(&'a self, to: &'a Device) -> impl Iterator<Item = &'a Mail> {
        let its = move |delivery: &&Delivery| delivery.waits && delivery.to == *to;
        self.deliveries.values().filter(its).map(|delivery| &delivery.mail)
    }

    fn repeated(&self, sender: &Username, id: EnvelopeId, to: &Device) -> Option<Placement> {
        let same = |delivery: &&Delivery| {
            (&delivery.mail.sender, delivery.mail.id, &delivery.to) == (sender, id, to)
        };
        let time_ms = self.deliveries.values().find(same)?.mail.time_ms;
        Some(Placement::Repeated { time_ms })
    }

    fn refusal(&self, sender: &Username, to: &Device, bytes: usize) -> Option<Placement> {
        let devices = self.prekeys.get(&to.0);
        let has_prekey = devices.is_some_and(|devices| devices.contains_key(&to.1.to_string()));
        let outcome = if !self.accounts.contains(&to.0) {
            Outcome::UnknownUser
        } else if !has_prekey {
            Outcome::NoDevice
        } else {
            let of_sender = self.waiting(to).filter(|mail| mail.sender == *sender).count() as u64;
            let (mut count, mut total) = (0, bytes as u64);
            for mail in self.waiting(to) {
                (count, total) = (count + 1, total + mail.envelope.len() as u64);
            }
            let has_room = count < MAX_WAITING_ENVELOPES
                && of_sender < MAX_WAITING_OF_SENDER
                && total <= MAX_WAITING_BYTES;
            if has_room {
                return None;
            }
            Outcome::MailboxFull
        };
        Some(Placement::Refused(outcome))
    }

    fn store(&mut self, new: &NewEnvelope) -> Vec<Placement> {
        let mut placements = Vec::new();
        for header in &new.envelope.headers {
            let to = (header.recipient.clone(), header.device);
            let mail = new.mail_for(header, self.head + 1);
            let refused = self.repeated(&new.sender, new.id, &to);
            let refused = refused.or_else(|| self.refusal(&new.sender, &to, mail.envelope.len()));
            placements.push(refused.unwrap_or_else(|| {
                self.head += 1;
                self.deliveries.insert(self.head, Delivery { to, mail, waits: true });
                Placement::Stored { number: self.head }
            }));
        }
        placements
    }
}

impl Mailbox for SimulatedMailbox {
    fn publish_prekey(
        &mut self,
        username: &Username,
        device: &PublicKey,
        prekey: &SignedPrekey,
    ) -> Result<bool, StoreError> {
        let keys = DeviceKeys { device: *device, prekey: prekey.clone() };
        self.prekeys.entry(username.clone()).or_default().insert(device.to_string(), keys);
        Ok(true)
    }

    fn prekeys(&mut self, username: &Username) -> Result<Option<Vec<DeviceKeys>>, StoreError> {
        if !self.accounts.contains(username) {
            return Ok(None);
        }
        let devices = self.prekeys.get(username);
        Ok(Some(devices.map_or_else(Vec::new, |devices| devices.values().cloned().collect())))
    }

    fn post(
        &mut self,
        after: u64,
        envelopes: &[Arc<NewEnvelope>],
    ) -> Result<Vec<Vec<Placement>>, StoreError> {
        assert!(after <= self.head, "number {after} was pushed and is not committed");
        Ok(envelopes.iter().map(|new| self.store(new)).collect())
    }

    fn waiting_mail(&mut self, query: &MailQuery) -> Result<MailPage, StoreError> {
        let to = (query.username.clone(), query.device);
        let (mut page, mut left) = (MailPage::default(), query.max_bytes);
        let fresh = |mail: &&Mail| mail.number > query.after && mail.time_ms > query.expired_ms;
        for mail in self.waiting(&to).filter(fresh) {
            match left.checked_sub(mail.envelope.len()) {
                Some(rest) => left = rest,
                None => {
                    page.next_bytes = Some(mail.envelope.len());
                    break;
                }
            }
            page.mail.push(mail.clone());
        }
        Ok(page)
    }

    fn acknowledge(
        &mut self,
        acknowledgements: &[Arc<Acknowledgement>],
    ) -> Result<Vec<u64>, StoreError> {
        let mut counts = Vec::new();
        for Acknowledgement { username, device, numbers } in acknowledgements.iter().map(|a| &**a) {
            let mut deleted = 0;
            for number in numbers {
                if let Some(delivery) = self.deliveries.get_mut(number)
                    && (&delivery.to.0, &delivery.to.1) == (username, device)
                    && delivery.waits
                {
                    delivery.waits = false;
                    delivery.mail.envelope = Vec::new();
                    deleted += 1;
                }
            }
            counts.push(deleted);
        }
        Ok(counts)
    }

    fn expire_mail(&mut self, through_ms: u64) -> Result<bool, StoreError> {
        let expired = |(_, delivery): &(&u64, &Delivery)| delivery.mail.time_ms <= through_ms;
        let some = EXPIRED_AT_ONCE as usize;
        let numbers: Vec<u64> =
            self.deliveries.iter().filter(expired).map(|(number, _)| *number).take(some).collect();
        for number in &numbers {
            self.deliveries.remove(number);
        }
        Ok(numbers.len() == some)
    }
}
