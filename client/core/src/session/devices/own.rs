//! The own device list: its beginning, its changes, and the user's commands.
//!
//! ```text
//! login ── no list ──▶ CHANGE 1                         listed
//!       ── a list without this device ──▶ ENROL ──▶ waits until a listed device adds it
//! ```

use std::net::IpAddr;

use letschat_protocol::code::Code;
use letschat_protocol::devices::{
    Change, ConsentStatement, DeviceCode, DeviceEntry, DeviceList, DeviceName,
};
use letschat_protocol::dialogue::{
    AccountKeys, Enrolling, Reply as ServerReply, Request as ServerRequest, Secret,
};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::lookup::Outcome;
use crate::event::{DeviceChange, Event, fingerprint, format_rfc3339};
use crate::failure::Failure;
use crate::notice::Notice;
use crate::session::account::Shown;
use crate::session::backoff::{Backoff, SOON};
use crate::session::context::Context;
use crate::session::mail::Incoming;
use crate::session::server::Expected;
use crate::session::{OwnDevice, Reply, RequestId, Session, WaitingDevice};

/// The most devices that wait to be listed.
const MAX_ENROLLING: usize = 8;
/// The attempts at a change while other devices change the list too.
const MAX_ATTEMPTS: u8 = 3;
/// The shortest part of a key's fingerprint that names a device.
const MIN_DIGITS: usize = 4;

/// The state of the own devices.
#[derive(Debug, Default)]
pub(super) struct OwnDevices {
    /// The devices that want to be listed.
    enrolling: Vec<Enrolling>,
    /// The change under way.
    change: Option<OwnChange>,
    /// True if this device has told the others that it wants to be listed.
    has_enrolled: bool,
    /// The time at which the own list is looked up again, since the server was busy.
    retry_ms: Option<u64>,
    backoff: Backoff,
    /// The messages that wait for that lookup.
    mail: Vec<Incoming>,
}

/// A change of the own list by this device.
#[derive(Debug)]
struct OwnChange {
    /// The user's request, or `None` for the first list.
    request: Option<RequestId>,
    what: What,
    attempts: u8,
    /// The list that the entry makes.
    next: Option<DeviceList>,
}

#[derive(Debug, Clone)]
enum What {
    Begin,
    Add(Box<Enrolling>),
    Remove(PublicKey, DeviceName),
    Recover(Secret),
}

impl OwnDevices {
    pub(super) fn will_retry(&self) -> bool {
        self.retry_ms.is_some()
    }

    pub(super) fn keep_mail(&mut self, mail: Vec<Incoming>) {
        self.mail = mail;
    }

    pub(super) fn take_mail(&mut self) -> Vec<Incoming> {
        std::mem::take(&mut self.mail)
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Fails the user's request, since the link to the server has ended.
    pub(super) fn fail(self, cx: &mut Context) {
        if let Some(OwnChange { request: Some(id), .. }) = self.change {
            cx.fail(id, Failure::Unanswered(Box::new(Failure::NotLoggedIn)));
        }
    }
}

impl Session {
    /// Handles the own list as the server shows it.
    pub(super) fn own_list_shown(&mut self, outcome: Outcome) {
        let Outcome { shown, is_answered, entries, list } = outcome;
        if !is_answered {
            return self.retry_change(false);
        }
        self.devices.own.backoff = Backoff::default();
        match (shown, list) {
            (None, _) if self.account.own_list().is_none() => {
                self.begin_change(None, What::Begin);
            }
            (Some(Shown::Held), Some(_)) if self.account.own_list().is_some() => {
                if let Some(list) = self.account.own_list() {
                    self.devices.own.enrolling.retain(|one| !list.contains(&one.device));
                }
                self.tell_changes(&entries);
                if std::mem::take(&mut self.devices.own.has_enrolled) {
                    self.cx.notify(Notice::DeviceListed);
                }
            }
            // The list is held, or was never held: this device is not in it.
            (Some(Shown::Held | Shown::Other), Some(list)) if self.account.own_list().is_none() => {
                self.enrol(&list);
            }
            // Only the user knows whether another device has begun a new list.
            (Some(Shown::Other), Some(_)) => self.cx.notify(Notice::DeviceListReplaced),
            _ => {}
        }
        self.retry_change(true);
    }

    /// Looks up the own list again in a while, if the server is just busy. What is missing then is begun again: the list
    /// itself, or the wish to be in it.
    fn look_after_list_later(&mut self, reply: &ServerReply) {
        if !Failure::refused(reply.code, reply.last_line()).is_busy() {
            return;
        }
        let (now_ms, jitter) = (self.cx.now_ms(), self.cx.jitter());
        let own = &mut self.devices.own;
        own.retry_ms = own.backoff.fail(now_ms, &SOON, jitter).map(|wait_ms| now_ms + wait_ms);
    }

    /// Handles a refusal to show the own list.
    pub(super) fn own_list_refused(&mut self, reply: &ServerReply) {
        self.look_after_list_later(reply);
        if self.devices.own.change.as_ref().is_some_and(|change| change.next.is_none()) {
            self.end_change(Err(Failure::refused(reply.code, reply.last_line())));
        }
    }

    pub(super) fn tick_own_devices(&mut self) {
        let now_ms = self.cx.now_ms();
        if self.devices.own.retry_ms.take_if(|due| *due <= now_ms).is_some()
            && let Some(own) = self.account.name().cloned()
        {
            self.look_up(&own);
        }
    }

    /// Tells the changes that other devices have made since.
    fn tell_changes(&mut self, entries: &[(DeviceEntry, DeviceName)]) {
        let own = self.account.key();
        // A device that has just been added need not hear how the list came about.
        if entries.iter().any(|(entry, _)| own == Some(entry.device)) {
            return;
        }
        for (entry, name) in entries.iter().filter(|(entry, _)| own != Some(entry.signer)) {
            let change = match entry.change {
                Change::Add { .. } => DeviceChange::Added,
                Change::Remove => DeviceChange::Removed,
            };
            self.cx.tell(Event::DeviceChanged {
                key: fingerprint(&entry.device),
                name: name.clone(),
                change,
                by: fingerprint(&entry.signer),
            });
        }
    }

    /// Gives up the own list for another one that the server has shown. Returns false if there is none.
    pub(in crate::session) fn trust_own_list(&mut self, own: &Username) -> bool {
        if self.account.offered(own).is_none() {
            return false;
        }
        let change = self.account.drop_list(own);
        self.record_list(change);
        self.look_up(own)
    }

    /// Asks the other devices to list this one, and tells the user its code.
    fn enrol(&mut self, list: &DeviceList) {
        let (Some(account), Some(server)) = (self.account.opened(), self.server.fingerprint())
        else {
            return;
        };
        let name = self.cx.config().device_name.clone();
        let statement = ConsentStatement {
            server: &server,
            account: &account.username,
            chain: &list.chain(),
            name: &name,
        };
        let consent = account.identity.sign(&statement);
        let code = DeviceCode::of(&server, &account.username, &account.identity.public_key());
        let request = ServerRequest::Enrol { name, consent };
        self.server.ask(&mut self.cx, request, Expected::Enrol);
        if !std::mem::replace(&mut self.devices.own.has_enrolled, true) {
            self.cx.notify(Notice::DeviceUnlisted(code));
        }
    }

    /// Handles the server's answer to ENROL.
    pub(in crate::session) fn enrol_answered(&mut self, reply: &ServerReply) {
        self.look_after_list_later(reply);
    }

    /// Handles the request of another device to be listed.
    pub(in crate::session) fn device_enrolling(&mut self, enrolling: Enrolling) {
        let (Some(account), Some(server), Some(list)) =
            (self.account.opened(), self.server.fingerprint(), self.account.own_list())
        else {
            return;
        };
        let Enrolling { device, address, name, consent } = &enrolling;
        let chain = &list.chain();
        let statement =
            ConsentStatement { server: &server, account: &account.username, chain, name };
        if list.contains(device) {
            return;
        }
        if !device.verifies(consent, &statement) {
            // The server shows that device another list, or it is none of this account.
            return self.cx.notify(Notice::DeviceConsentInvalid);
        }
        let (key, address, name) = (fingerprint(device), address.to_string(), name.clone());
        let known = &mut self.devices.own.enrolling;
        let is_new = !known.iter().any(|other| other.device == enrolling.device);
        known.retain(|other| other.device != enrolling.device);
        if known.len() == MAX_ENROLLING {
            known.remove(0);
        }
        known.push(enrolling);
        if is_new {
            self.cx.tell(Event::DeviceWaiting { key, address, name });
        }
    }

    fn begin_change(&mut self, request: Option<RequestId>, what: What) {
        if self.devices.own.change.is_some() {
            if let Some(id) = request {
                self.cx.fail(id, Failure::DeviceChangeUnderWay);
            }
            return;
        }
        let change = OwnChange { request, what, attempts: 0, next: None };
        self.devices.own.change = Some(change);
        self.send_change();
    }

    /// Signs the change for the newest list and sends it.
    fn send_change(&mut self) {
        let (Some(account), Some(server), Some(change)) =
            (self.account.opened(), self.server.fingerprint(), &mut self.devices.own.change)
        else {
            return;
        };
        let (identity, place) = (&account.identity, (&server, &account.username));
        let name = self.cx.config().device_name.clone();
        let held = self.account.own_list();
        let (list, entry) = match &change.what {
            What::Begin | What::Recover(_) => (None, DeviceEntry::first(identity, place, name)),
            What::Add(added) => {
                let Enrolling { device, name, consent, .. } = &**added;
                let change = Change::Add { name: name.clone(), consent: *consent };
                (held, DeviceEntry::sign(identity, place, held, *device, change))
            }
            What::Remove(device, _) => {
                (held, DeviceEntry::sign(identity, place, held, *device, Change::Remove))
            }
        };
        let next = DeviceList::after(list, place, &entry);
        let number = list.map_or(0, DeviceList::number) + 1;
        change.attempts += 1;
        match next {
            Ok(next) => change.next = Some(next),
            Err(why) => return self.end_change(Err(Failure::ListInvalid(why))),
        }
        let entry = Box::new(entry);
        let request = match &change.what {
            What::Recover(password) => ServerRequest::Recover { entry, password: password.clone() },
            What::Begin | What::Add(_) | What::Remove(..) => {
                ServerRequest::Change { number, entry }
            }
        };
        self.server.ask(&mut self.cx, request, Expected::ListChange);
    }

    /// Handles the server's answer to a change.
    pub(in crate::session) fn change_answered(&mut self, reply: &ServerReply) {
        let Some(change) = &mut self.devices.own.change else {
            return;
        };
        if reply.code == Code::ListChanged && change.attempts < MAX_ATTEMPTS {
            // Another device was first. The change follows its list.
            change.next = None;
            if let Some(own) = self.account.name().cloned() {
                self.look_up(&own);
            }
            return;
        }
        if !reply.code.is_success() {
            if matches!(change.what, What::Begin) {
                self.look_after_list_later(reply);
            }
            return self.end_change(Err(Failure::refused(reply.code, reply.last_line())));
        }
        let next = change.next.take();
        if let (Some(next), Some(own)) = (next, self.account.name().cloned()) {
            let recorded = self.account.hold_list(&mut self.cx, &own, next);
            self.record_list(Some(recorded));
        }
        self.end_change(Ok(()));
    }

    /// Tries a change again after the newest list has been shown.
    fn retry_change(&mut self, is_answered: bool) {
        let Some(change) = &self.devices.own.change else {
            return;
        };
        if change.next.is_some() {
            return;
        }
        let list = self.account.own_list();
        let is_done = match (&change.what, list) {
            _ if !is_answered => return self.end_change(Err(Failure::NotUnderstood)),
            // Another device has begun the list.
            (What::Begin, _) => true,
            (What::Add(added), Some(list)) => list.contains(&added.device),
            (What::Remove(device, _), Some(list)) => !list.contains(device),
            (What::Recover(_), _) => false,
            (What::Add(_) | What::Remove(..), None) => {
                return self.end_change(Err(Failure::DeviceUnlisted));
            }
        };
        match is_done {
            true => self.end_change(Ok(())),
            false => self.send_change(),
        }
    }

    fn end_change(&mut self, result: Result<(), Failure>) {
        let Some(OwnChange { request, what, .. }) = self.devices.own.change.take() else {
            return;
        };
        if let (true, Some(own)) = (result.is_ok(), self.account.name().cloned()) {
            // Copies of own messages go to the devices of the new list alone.
            self.forget_keys(&own);
        }
        match (&what, &result) {
            (What::Add(added), Ok(())) => {
                self.devices.own.enrolling.retain(|other| other.device != added.device);
                self.share_everybody();
            }
            (What::Recover(_), Ok(())) => self.devices.own.has_enrolled = false,
            _ => {}
        }
        let Some(id) = request else {
            return;
        };
        let reply = result.map(|()| match what {
            What::Add(added) => {
                Reply::DeviceAdded { name: added.name.to_string(), key: fingerprint(&added.device) }
            }
            What::Remove(device, name) => {
                Reply::DeviceRemoved { name: name.to_string(), key: fingerprint(&device) }
            }
            What::Begin | What::Recover(_) => Reply::Done {},
        });
        self.cx.reply(id, reply);
        self.post_next();
    }

    /// Adds the waiting device with this code to the list.
    pub(in crate::session) fn approve_device(&mut self, id: RequestId, code: &str) {
        let (Some(account), Some(server)) = (self.account.opened(), self.server.fingerprint())
        else {
            return self.cx.fail(id, Failure::NotLoggedIn);
        };
        let Ok(code) = code.parse::<DeviceCode>() else {
            return self.cx.fail(id, Failure::NotADeviceCode);
        };
        if self.account.own_list().is_none() {
            return self.cx.fail(id, Failure::DeviceUnlisted);
        }
        let has_code =
            |one: &&Enrolling| DeviceCode::of(&server, &account.username, &one.device) == code;
        match self.devices.own.enrolling.iter().find(has_code).cloned() {
            Some(found) => self.begin_change(Some(id), What::Add(Box::new(found))),
            None => self.cx.fail(id, Failure::NoDeviceWaits),
        }
    }

    /// Removes a device, named by its name or by the beginning of its key's fingerprint.
    pub(in crate::session) fn remove_device(&mut self, id: RequestId, word: &str) {
        let Some(list) = self.account.own_list() else {
            return self.cx.fail(id, Failure::DeviceUnlisted);
        };
        let digits: String = word.chars().filter(|c| !c.is_whitespace()).collect();
        let digits = digits.to_ascii_lowercase();
        let is_meant = |key: &PublicKey| {
            let is_prefix = |text: String| digits.len() >= MIN_DIGITS && text.starts_with(&digits);
            is_prefix(fingerprint(key)) || is_prefix(key.to_string())
        };
        let meant: Vec<(PublicKey, DeviceName)> = list
            .devices()
            .iter()
            .filter(|device| device.name.as_str() == word || is_meant(&device.key))
            .map(|device| (device.key, device.name.clone()))
            .collect();
        match &meant[..] {
            [(key, name)] => self.begin_change(Some(id), What::Remove(*key, name.clone())),
            [] => self.cx.fail(id, Failure::NoSuchDevice(word.to_owned())),
            _ => self.cx.fail(id, Failure::WhichDevice(word.to_owned())),
        }
    }

    /// Begins a new list with this device alone, since the others are lost.
    pub(in crate::session) fn recover_devices(&mut self, id: RequestId, password: Secret) {
        if password.0.contains('\n') {
            return self.cx.fail(id, Failure::PasswordWithLineEnd);
        }
        self.begin_change(Some(id), What::Recover(password));
    }

    /// Lists the own devices. The server knows when each was used last.
    pub(in crate::session) fn list_devices(&mut self, id: RequestId) {
        let Some(own) = self.account.name().cloned() else {
            return self.cx.fail(id, Failure::NotLoggedIn);
        };
        if !self.server.is_logged_in() {
            let reply = self.own_devices(&AccountKeys::default());
            return self.cx.answer(id, reply);
        }
        let request = ServerRequest::Keys { name: own.to_string() };
        self.server.ask(&mut self.cx, request, Expected::OwnDevices(id));
    }

    /// Handles the server's answer about the own devices.
    pub(in crate::session) fn own_devices_answered(&mut self, id: RequestId, reply: &ServerReply) {
        let keys = AccountKeys::from_reply(reply).filter(|_| reply.code.is_success());
        let reply = self.own_devices(&keys.unwrap_or_default());
        self.cx.answer(id, reply);
    }

    fn own_devices(&self, keys: &AccountKeys) -> Reply {
        let own = self.account.key();
        let name = self.account.name();
        let list = name.and_then(|name| self.account.list(name));
        let used = |key: &PublicKey| {
            let keys = keys.devices.iter().find(|keys| keys.device == *key);
            keys.and_then(|keys| keys.used_ms).map(format_rfc3339)
        };
        let devices = list.map_or(&[][..], DeviceList::devices).iter().map(|device| OwnDevice {
            name: device.name.to_string(),
            key: fingerprint(&device.key),
            used: used(&device.key),
            this: own == Some(device.key),
        });
        let waiting = self.devices.own.enrolling.iter().map(|one| WaitingDevice {
            name: one.name.to_string(),
            key: fingerprint(&one.device),
            address: IpAddr::to_string(&one.address),
        });
        let is_listed = list.zip(own).is_none_or(|(list, own)| list.contains(&own))
            && !self.devices.own.has_enrolled;
        let code = match (self.server.fingerprint(), name, own) {
            (Some(server), Some(name), Some(own)) if !is_listed => {
                Some(DeviceCode::of(&server, name, &own).to_string())
            }
            _ => None,
        };
        Reply::Devices { devices: devices.collect(), waiting: waiting.collect(), code }
    }
}
