//! The user's changes of the own device list: adding, removing and recovery.
//!
//! A change is signed for the newest list that is known. If another device was first, the newer list is looked up and
//! the change follows that one.

use letschat_protocol::code::Code;
use letschat_protocol::devices::{Change, Device, DeviceCode, DeviceEntry, DeviceList, DeviceName};
use letschat_protocol::dialogue::{
    Enrolling, Reply as ServerReply, Request as ServerRequest, Secret,
};
use letschat_protocol::identity::PublicKey;

use crate::event::fingerprint;
use crate::failure::Failure;
use crate::session::server::Expected;
use crate::session::{Reply, RequestId, Session};

/// The attempts at a change while other devices change the list too.
const MAX_ATTEMPTS: u8 = 3;
/// The shortest part of a key's fingerprint that names a device.
const MIN_DIGITS: usize = 4;

/// A change of the own list by this device.
#[derive(Debug)]
pub(super) struct OwnChange {
    /// The user's request, or `None` for the first list.
    pub(super) request: Option<RequestId>,
    kind: ChangeKind,
    attempts: u8,
    /// The list that the entry makes.
    pub(super) next: Option<DeviceList>,
}

#[derive(Debug, Clone)]
pub(super) enum ChangeKind {
    Begin,
    Add(Box<Enrolling>),
    Remove(PublicKey, DeviceName),
    Recover(Secret),
}

impl Session {
    pub(super) fn begin_change(&mut self, request: Option<RequestId>, kind: ChangeKind) {
        if self.devices.own.change.is_some() {
            if let Some(id) = request {
                self.cx.fail(id, Failure::DeviceChangeUnderWay);
            }
            return;
        }
        let change = OwnChange { request, kind, attempts: 0, next: None };
        self.devices.own.change = Some(change);
        self.send_change();
    }

    /// Signs the change for the newest list and sends it.
    fn send_change(&mut self) {
        let (name, nonce) = (self.own_device_name(), self.cx.new_chat_id().0);
        let (Some(account), Some(server), Some(change)) =
            (self.account.opened(), self.server.fingerprint(), &mut self.devices.own.change)
        else {
            return;
        };
        let (identity, place) = (&account.identity, (&server, &account.username));
        let held = self.account.own_list();
        let (list, entry) = match &change.kind {
            ChangeKind::Begin | ChangeKind::Recover(_) => {
                (None, DeviceEntry::first(identity, place, name, nonce))
            }
            ChangeKind::Add(added) => {
                let Enrolling { device, name, consent, .. } = &**added;
                let change = Change::Add { name: name.clone(), consent: *consent };
                (held, DeviceEntry::sign(identity, place, held, *device, change))
            }
            ChangeKind::Remove(device, _) => {
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
        let request = match &change.kind {
            ChangeKind::Recover(password) => {
                ServerRequest::Recover { entry, password: password.clone() }
            }
            ChangeKind::Begin | ChangeKind::Add(_) | ChangeKind::Remove(..) => {
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
            if matches!(change.kind, ChangeKind::Begin) {
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
    pub(super) fn retry_change(&mut self, is_answered: bool) {
        let Some(change) = &self.devices.own.change else {
            return;
        };
        if change.next.is_some() {
            return;
        }
        let list = self.account.own_list();
        let is_done = match (&change.kind, list) {
            _ if !is_answered => return self.end_change(Err(Failure::NotUnderstood)),
            // Another device has begun the list.
            (ChangeKind::Begin, _) => true,
            (ChangeKind::Add(added), Some(list)) => list.contains(&added.device),
            (ChangeKind::Remove(device, _), Some(list)) => !list.contains(device),
            (ChangeKind::Recover(_), _) => false,
            (ChangeKind::Add(_) | ChangeKind::Remove(..), None) => {
                return self.end_change(Err(Failure::DeviceUnlisted));
            }
        };
        match is_done {
            true => self.end_change(Ok(())),
            false => self.send_change(),
        }
    }

    pub(super) fn end_change(&mut self, result: Result<(), Failure>) {
        let Some(OwnChange { request, kind, .. }) = self.devices.own.change.take() else {
            return;
        };
        self.retry_group_requests();
        if let (true, Some(own)) = (result.is_ok(), self.account.name().cloned()) {
            // Copies of own messages go to the devices of the new list alone.
            self.forget_keys(&own);
        }
        match (&kind, &result) {
            (ChangeKind::Add(added), Ok(())) => {
                self.devices.own.enrolling.retain(|other| other.device != added.device);
                self.share_everybody();
            }
            (ChangeKind::Recover(_), Ok(())) => {
                self.devices.own.has_enrolled = false;
                self.mail.note_listed();
                self.renew_rosters();
            }
            (ChangeKind::Remove(..), Ok(())) => self.renew_rosters(),
            _ => {}
        }
        let Some(id) = request else {
            return;
        };
        let reply = result.map(|()| match kind {
            ChangeKind::Add(added) => {
                Reply::DeviceAdded { name: added.name.to_string(), key: fingerprint(&added.device) }
            }
            ChangeKind::Remove(device, name) => {
                Reply::DeviceRemoved { name: name.to_string(), key: fingerprint(&device) }
            }
            ChangeKind::Begin => Reply::Done {},
            ChangeKind::Recover(_) => Reply::DevicesRecovered {},
        });
        self.cx.reply(id, reply);
        self.post_next();
    }

    /// Returns the own list if this device may change it: it is in it, and the server shows no other.
    fn list_to_change(&self) -> Result<&DeviceList, Failure> {
        match self.account.name().filter(|own| self.account.offered(own).is_some()) {
            Some(own) => Err(Failure::OwnListOutdated(own.clone())),
            None => self.account.own_list().ok_or(Failure::DeviceUnlisted),
        }
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
        let list = match self.list_to_change() {
            Ok(list) => list,
            Err(why) => return self.cx.fail(id, why),
        };
        let has_code =
            |one: &&Enrolling| DeviceCode::of(&server, &account.username, &one.device) == code;
        if let Some(found) = self.devices.own.enrolling.iter().find(has_code).cloned() {
            return self.begin_change(Some(id), ChangeKind::Add(Box::new(found)));
        }
        let has_code = |key: &PublicKey| DeviceCode::of(&server, &account.username, key) == code;
        match list.devices().iter().find(|device| has_code(&device.key)) {
            Some(Device { key, name }) => {
                let (name, key) = (name.to_string(), fingerprint(key));
                self.cx.answer(id, Reply::DeviceAdded { name, key });
            }
            None => self.cx.fail(id, Failure::NoDeviceWaits),
        }
    }

    /// Removes a device, named by its name or by the beginning of its key's fingerprint.
    pub(in crate::session) fn remove_device(&mut self, id: RequestId, word: &str) {
        let list = match self.list_to_change() {
            Ok(list) => list,
            Err(why) => return self.cx.fail(id, why),
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
            [_] if list.devices().len() == 1 => self.cx.fail(id, Failure::OnlyDevice),
            [(key, name)] => self.begin_change(Some(id), ChangeKind::Remove(*key, name.clone())),
            [] => self.cx.fail(id, Failure::NoSuchDevice(word.to_owned())),
            _ => self.cx.fail(id, Failure::WhichDevice(word.to_owned())),
        }
    }

    /// Begins a new list with this device alone, since the others are lost.
    pub(in crate::session) fn recover_devices(&mut self, id: RequestId, password: Secret) {
        if password.0.contains('\n') {
            return self.cx.fail(id, Failure::PasswordWithLineEnd);
        }
        self.begin_change(Some(id), ChangeKind::Recover(password));
    }
}
