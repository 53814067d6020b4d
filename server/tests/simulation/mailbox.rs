//! The mailbox of the simulated database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use letschat_protocol::devices::{DeviceEntry, DeviceList};
use letschat_protocol::dialogue::{
    AccountKeys, DeviceEntries, DeviceKeys, MAX_ENTRIES, Mail, Outcome,
};
use letschat_protocol::envelope::EnvelopeId;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::prekey::SignedPrekey;
use letschat_protocol::username::Username;
use letschat_server::store::StoreError;
use letschat_server::store::mailbox::{
    Acknowledgement, EXPIRED_AT_ONCE, ListChange, ListChanged, MAX_WAITING_BYTES,
    MAX_WAITING_ENVELOPES, MAX_WAITING_OF_SENDER, MailPage, MailQuery, Mailbox, MailboxUsage,
    NewEnvelope, Placement, Placements,
};

/// A device of an account.
type Device = (Username, PublicKey);

/// Accounts, prekeys and envelopes in memory.
#[derive(Default)]
pub(crate) struct SimulatedMailbox {
    accounts: BTreeSet<Username>,
    prekeys: BTreeMap<Username, BTreeMap<String, DeviceKeys>>,
    lists: BTreeMap<Username, (DeviceList, Vec<DeviceEntry>)>,
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

    /// Returns the list of an account's devices.
    pub(crate) fn device_list(&self, account: &Username) -> Option<&DeviceList> {
        self.lists.get(account).map(|(list, _)| list)
    }

    /// Returns the devices of an account that mail can reach: those listed that have a prekey, which is valid by this
    /// wall clock.
    pub(crate) fn devices(
        &self,
        account: &Username,
        wall_ms: u64,
    ) -> impl Iterator<Item = PublicKey> {
        let devices = self.prekeys.get(account).into_iter().flat_map(BTreeMap::values);
        let devices = devices.filter(move |keys| keys.prekey.is_valid_at(wall_ms));
        let devices = devices.map(|keys| (account.clone(), keys.device));
        devices.filter(|device| self.is_listed(device)).map(|(_, key)| key)
    }

    /// Returns the devices that have mail after this number, and the number of the last delivery.
    pub(crate) fn news(&self, after: u64) -> (BTreeSet<Device>, u64) {
        let new = self.deliveries.range(after + 1..).filter(|(_, delivery)| delivery.waits);
        (new.map(|(_, delivery)| delivery.to.clone()).collect(), self.head)
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
        let has_prekey = devices.is_some_and(|devices| devices.contains_key(&to.1.to_string()))
            && self.is_listed(to);
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

    /// Returns true for a listed device, and for any device of an account without a list.
    fn is_listed(&self, device: &Device) -> bool {
        self.lists.get(&device.0).is_none_or(|(list, _)| list.contains(&device.1))
    }

    fn missing(&self, new: &NewEnvelope) -> Vec<Device> {
        let headers = new.envelope.headers.iter();
        let named: BTreeSet<Device> =
            headers.map(|header| (header.recipient.clone(), header.device)).collect();
        let recipients: BTreeSet<&Username> =
            named.iter().map(|(name, _)| name).filter(|name| **name != new.sender).collect();
        let lists = recipients.into_iter().filter_map(|name| Some((name, self.lists.get(name)?)));
        let devices = lists.flat_map(|(name, (list, _))| {
            list.devices().iter().map(|device| (name.clone(), device.key))
        });
        let has_prekey = |(name, key): &Device| {
            self.prekeys.get(name).is_some_and(|devices| devices.contains_key(&key.to_string()))
        };
        devices.filter(|device| has_prekey(device) && !named.contains(device)).collect()
    }

    fn store(&mut self, new: &NewEnvelope) -> Placements {
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
        Placements { headers: placements, missing: self.missing(new) }
    }
}

impl Mailbox for SimulatedMailbox {
    fn publish_prekey(
        &mut self,
        username: &Username,
        device: &PublicKey,
        prekey: &SignedPrekey,
    ) -> Result<bool, StoreError> {
        let keys = DeviceKeys { device: *device, prekey: prekey.clone(), used_ms: None };
        self.prekeys.entry(username.clone()).or_default().insert(device.to_string(), keys);
        Ok(true)
    }

    fn prekeys(&mut self, username: &Username) -> Result<Option<AccountKeys>, StoreError> {
        if !self.accounts.contains(username) {
            return Ok(None);
        }
        let devices = self.prekeys.get(username).into_iter().flat_map(BTreeMap::values);
        let is_listed = |keys: &&DeviceKeys| self.is_listed(&(username.clone(), keys.device));
        let devices = devices.filter(is_listed).cloned().collect();
        let list = self.device_list(username).map(DeviceList::reference).unwrap_or_default();
        Ok(Some(AccountKeys { devices, list }))
    }

    fn device_entries(
        &mut self,
        username: &Username,
        after: u64,
    ) -> Result<Option<DeviceEntries>, StoreError> {
        if !self.accounts.contains(username) {
            return Ok(None);
        }
        let entries = self.lists.get(username).map(|(_, entries)| entries.as_slice());
        let entries = entries.unwrap_or_default();
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let list = self.device_list(username).map(DeviceList::reference).unwrap_or_default();
        let entries = entries.iter().skip(after).take(MAX_ENTRIES).cloned().collect();
        Ok(Some(DeviceEntries { entries, list }))
    }

    fn change_list(&mut self, change: &ListChange) -> Result<ListChanged, StoreError> {
        let ListChange { username, entry, is_recovery, .. } = change;
        let stored = self.lists.get(username);
        let list = match change.apply(stored.map(|(list, _)| list)) {
            Ok(list) => list,
            Err(refused) => return Ok(refused),
        };
        let earlier = stored.filter(|_| !is_recovery).map(|(_, entries)| entries.clone());
        let entries = earlier.into_iter().flatten().chain([entry.clone()]).collect();
        if let Some(prekeys) = self.prekeys.get_mut(username) {
            prekeys.retain(|_, keys| keys.device != entry.device || list.contains(&keys.device));
        }
        self.lists.insert(username.clone(), (list, entries));
        Ok(ListChanged::Done)
    }

    fn post(
        &mut self,
        after: u64,
        envelopes: &[Arc<NewEnvelope>],
    ) -> Result<Vec<Placements>, StoreError> {
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

    fn usage(&mut self) -> Result<MailboxUsage, StoreError> {
        let waiting = self.deliveries.values().filter(|delivery| delivery.waits);
        Ok(waiting.fold(MailboxUsage::default(), |sum, delivery| MailboxUsage {
            deliveries: sum.deliveries + 1,
            bytes: sum.bytes + delivery.mail.envelope.len() as u64,
        }))
    }
}
