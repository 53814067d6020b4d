//! The devices of an account: DEVICES, ENROL, CHANGE and RECOVER.
//!
//! The server keeps the list and can't sign one. It passes the consent of a device that wants to be listed to the
//! account's other sessions, and tells them when the list has changed.

use std::sync::Arc;

use letschat_protocol::clock::Now;
use letschat_protocol::code::Code;
use letschat_protocol::devices::{Change, DeviceEntry, DeviceName};
use letschat_protocol::dialogue::{Closing, DeviceEntries, Enrolling, Notice, Reply, Secret};
use letschat_protocol::identity::{PublicKey, Signature};
use letschat_protocol::username::Username;

use super::directory::{Entry, Location};
use super::login::BANNED;
use super::mailbox::unknown_user;
use super::rate::Bucket;
use super::{ConnectionId, Effect, Hub, Record};
use crate::store::mailbox::{ListChange, ListChanged, MailRequest};
use crate::store::{StoreRequest, Unavailable, Verdict};

/// The rate limit of changes by one device: the burst, and the interval after it in milliseconds. Each change is a
/// notice to all sessions of the account, and a step for everybody who writes to it. A device uses up no other's turns.
const CHANGE_RATE: (u32, u64) = (40, 10_000);

/// The most sessions of an account with a device key. One user takes no more places.
pub(super) const MAX_SESSIONS: usize = 8;

/// The request of a session's device to be in its account's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enrolment {
    name: DeviceName,
    consent: Signature,
}

impl Hub {
    /// Looks up entries of a device list.
    pub(super) fn devices(&mut self, id: ConnectionId, now: Now, name: &str, after: u64) {
        match name.parse() {
            Ok(username) => {
                self.ask_mailbox(MailRequest::Entries { connection: id, username, after });
            }
            Err(_) => self.answer(now, id, &unknown_user()),
        }
    }

    pub(super) fn entries_found(
        &mut self,
        now: Now,
        id: ConnectionId,
        found: Result<Option<DeviceEntries>, Unavailable>,
    ) {
        let reply = match found {
            Ok(None) => unknown_user(),
            Ok(Some(entries)) => entries.to_reply(),
            Err(Unavailable) => self.store_failed("look up a device list"),
        };
        self.answer_later(now, id, &reply);
    }

    /// Passes the request of a device to be listed to the account's other sessions.
    pub(super) fn enrol(
        &mut self,
        now: Now,
        id: ConnectionId,
        name: DeviceName,
        consent: Signature,
    ) {
        let Some((username, _)) = self.device_of(id) else {
            return;
        };
        let enrolment = Some(Enrolment { name, consent });
        if self.member_of(id).is_some_and(|member| member.enrolment == enrolment) {
            return self.answer(now, id, &Reply::new(Code::Ok, "your other devices are told"));
        }
        if let Some(reply) = self.change_too_soon(now, id) {
            return self.answer(now, id, &reply);
        }
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.enrolment = enrolment;
        }
        self.tell_others_of_unlisted(&username, id);
        self.answer(now, id, &Reply::new(Code::Ok, "your other devices are told"));
    }

    /// Exchanges the notices of unlisted devices between a session and the account's others.
    pub(super) fn tell_unlisted(&mut self, id: ConnectionId) {
        let Some((username, _)) = self.device_of(id) else {
            return;
        };
        for other in self.sessions_of(&username, id) {
            if let Some(notice) = self.notice_of_unlisted(other) {
                self.tell(id, &notice);
            }
        }
        self.tell_others_of_unlisted(&username, id);
    }

    /// Tells a session that has come to another server of the account's unlisted devices here.
    pub(super) fn tell_of_unlisted(&mut self, username: &Username, entry: &Entry) {
        let with_key = self.directory.sessions(username).filter(|_| entry.key.is_some());
        let here = with_key.filter_map(|other| match other.location {
            Location::Local(id) => self.notice_of_unlisted(id),
            Location::Remote { .. } => None,
        });
        for notice in here.collect::<Vec<Notice>>() {
            self.tell_entry(username, entry, &notice);
        }
    }

    fn tell_others_of_unlisted(&mut self, username: &Username, id: ConnectionId) {
        if let Some(notice) = self.notice_of_unlisted(id) {
            let key = self.member_of(id).and_then(|member| member.key);
            let others: Vec<Entry> = self.directory.sessions(username).copied().collect();
            for other in others.iter().filter(|other| other.key.is_some() && other.key != key) {
                self.tell_entry(username, other, &notice);
            }
        }
    }

    /// Returns the notice of a session whose device is not listed.
    fn notice_of_unlisted(&self, id: ConnectionId) -> Option<Notice> {
        let connection = self.connections.get(&id)?;
        let member = connection.member()?;
        let (device, address) = (member.key?, connection.peer.ip());
        match member.enrolment.clone() {
            Some(Enrolment { name, consent }) => {
                Some(Notice::Enrolling(Enrolling { device, address, name, consent }))
            }
            None if member.is_listed => None,
            None => Some(Notice::Unlisted { device, address }),
        }
    }

    /// Returns the connections of an account's devices, without this one.
    fn sessions_of(&self, username: &Username, without: ConnectionId) -> Vec<ConnectionId> {
        let with_key = self.directory.sessions(username).filter(|entry| entry.key.is_some());
        let connections = with_key.filter_map(|entry| match entry.location {
            Location::Local(id) => Some(id),
            Location::Remote { .. } => None,
        });
        connections.filter(|id| *id != without).collect()
    }

    /// Returns the session of an account that LIST shows and CONNECT reaches: of those that can be called the one
    /// that was used last, and a device that is not listed yet only if there is no other.
    pub(super) fn reached_session<'a>(
        &self,
        username: &Username,
        sessions: impl Iterator<Item = &'a Entry>,
    ) -> Option<&'a Entry> {
        sessions.max_by_key(|entry| {
            let (is_listed, used_ms) = self.standing(username, entry);
            (entry.port.is_some(), is_listed, used_ms)
        })
    }

    /// Returns whether the device of a session is listed, and the time at which it was used last. The latter is known
    /// of the sessions of this server alone.
    fn standing(&self, username: &Username, entry: &Entry) -> (bool, Option<u64>) {
        match entry.location {
            Location::Local(id) => {
                let member = self.member_of(id);
                let is_listed = member.is_some_and(|member| member.is_listed);
                (is_listed, member.map(|member| member.used_ms))
            }
            Location::Remote { .. } => {
                let cluster = self.cluster.as_ref();
                let place = cluster.and_then(|cluster| cluster.place(username, entry.key));
                (place.is_some_and(|place| place.is_listed), None)
            }
        }
    }

    /// Returns the session that a further one of this account ends, if there are as many as may be: that of an unlisted
    /// device, or else the one that was used longest ago.
    pub(super) fn session_in_excess(&self, username: &Username) -> Option<Entry> {
        let sessions = self.directory.sessions(username);
        let with_key: Vec<&Entry> = sessions.filter(|entry| entry.key.is_some()).collect();
        let is_full = with_key.len() >= MAX_SESSIONS;
        let first = with_key.into_iter().min_by_key(|entry| self.standing(username, entry));
        first.filter(|_| is_full).copied()
    }

    /// Changes the account's device list.
    pub(super) fn change_list(
        &mut self,
        now: Now,
        id: ConnectionId,
        number: u64,
        entry: DeviceEntry,
    ) {
        let Some((username, device)) = self.device_of(id) else {
            return;
        };
        if entry.signer != device {
            let why = "expected a change that the key of this session has signed";
            return self.answer(now, id, &Reply::new(Code::KeyRefused, why));
        }
        if let Some(reply) = self.change_too_soon(now, id) {
            return self.answer(now, id, &reply);
        }
        self.asked(id, "CHANGE");
        self.send_change(id, username, number, entry, false);
    }

    fn change_too_soon(&mut self, now: Now, id: ConnectionId) -> Option<Reply> {
        let (_, device) = self.device_of(id)?;
        let first = Bucket::new(CHANGE_RATE.0, CHANGE_RATE.1);
        let wait_ms = self.change_rates.take(device, first, now.boot_ms).err()?;
        let why = format!("too many changes of your devices; the next in {wait_ms} ms");
        Some(Reply::new(Code::SlowDown, why))
    }

    fn send_change(
        &mut self,
        id: ConnectionId,
        username: Username,
        number: u64,
        entry: DeviceEntry,
        is_recovery: bool,
    ) {
        let server = self.instance.fingerprint;
        let change = Arc::new(ListChange { server, username, number, entry, is_recovery });
        self.ask_mailbox(MailRequest::ChangeList { connection: id, change });
    }

    pub(super) fn list_changed(
        &mut self,
        now: Now,
        id: ConnectionId,
        change: &ListChange,
        result: Result<ListChanged, Unavailable>,
    ) {
        let reply = match result {
            Ok(ListChanged::Done) => Reply::new(Code::Ok, format!("{} changed", change.number)),
            Ok(ListChanged::Late) => {
                let why = "another device has changed the list meanwhile; look at it again";
                Reply::new(Code::ListChanged, why)
            }
            Ok(ListChanged::Refused(why)) => Reply::new(Code::ListInvalid, why.to_string()),
            Err(Unavailable) => self.store_failed("change a device list"),
        };
        self.answer_later(now, id, &reply);
        match result {
            Ok(ListChanged::Done) => self.apply_to_sessions(now, id, change),
            // The commit may have succeeded; the next login finds out. Nobody has checked the entry, so a device that
            // is not listed ends no other's session.
            Err(Unavailable) if self.member_of(id).is_some_and(|member| member.is_listed) => {
                self.end_changed(now, change, Closing::Recheck);
            }
            Ok(_) | Err(Unavailable) => {}
        }
    }

    /// Tells the account's sessions of the new list, and ends those of removed devices.
    fn apply_to_sessions(&mut self, now: Now, changer: ConnectionId, change: &ListChange) {
        let ListChange { username, number, entry, .. } = change;
        let record = Record::DevicesChanged { username: username.clone(), number: *number };
        self.effects.push(Effect::Record(record));
        self.end_changed(now, change, Closing::Removed);
        self.tell_sessions_of_list(username, &entry.device, *number, Some(changer));
        self.tell_servers_of_list(username, &entry.device, *number);
        if *number == 1 {
            self.tell_unlisted(changer);
        }
    }

    /// Tells the account's sessions at this server of a list whose last change was about this device.
    pub(super) fn tell_sessions_of_list(
        &mut self,
        username: &Username,
        device: &PublicKey,
        number: u64,
        changer: Option<ConnectionId>,
    ) {
        let sessions: Vec<Entry> = self.directory.sessions(username).copied().collect();
        for session in sessions.iter().filter(|session| session.key.is_some()) {
            let id = match (session.location, session.key) {
                (Location::Local(id), _) => id,
                (Location::Remote { .. }, Some(key)) if key == *device || number == 1 => {
                    self.note_listed(username, key, key == *device);
                    continue;
                }
                _ => continue,
            };
            if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
                if session.key == Some(*device) {
                    (member.is_listed, member.enrolment) = (true, None);
                } else if number == 1 {
                    member.is_listed = false;
                }
            }
            if Some(id) != changer {
                self.tell(id, &Notice::Devices { number });
            }
        }
    }

    /// Ends the sessions of the devices that a change removes. If it is in doubt, that of an added device has to be
    /// checked too.
    fn end_changed(&mut self, now: Now, change: &ListChange, why: Closing) {
        let ListChange { username, entry, is_recovery, .. } = change;
        for session in self.sessions_anywhere(username) {
            let is_its_own = session.key == Some(entry.device);
            let is_removed = match entry.change {
                Change::Remove => is_its_own,
                Change::Begin { .. } => {
                    *is_recovery
                        && session.key.is_some()
                        && (!is_its_own || why == Closing::Recheck)
                }
                Change::Add { .. } => is_its_own && why == Closing::Recheck,
            };
            if is_removed {
                self.end_session(now, username, &session, why);
            }
        }
        self.end_keyless(username, false, why);
    }

    /// Begins a new list with this device alone if the password is right.
    pub(super) fn recover(
        &mut self,
        now: Now,
        id: ConnectionId,
        entry: Box<DeviceEntry>,
        password: Secret,
    ) {
        let Some((username, device)) = self.device_of(id) else {
            return;
        };
        if entry.signer != device || entry.device != device {
            let why = "expected a list of the device of this session alone";
            return self.answer(now, id, &Reply::new(Code::KeyRefused, why));
        }
        if let Some(reply) = self.change_too_soon(now, id) {
            return self.answer(now, id, &reply);
        }
        self.asked(id, "RECOVER");
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.recovery = Some(entry);
        }
        let username = Some(username);
        self.check_present_password(
            now,
            id,
            StoreRequest::CheckPassword { connection: id, username, password, key: None },
        );
    }

    /// Handles the verdict on the password of a recovery. Returns false if the connection has none.
    pub(super) fn recovery_checked(
        &mut self,
        now: Now,
        id: ConnectionId,
        result: Result<Verdict, Unavailable>,
    ) -> bool {
        let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) else {
            return false;
        };
        let Some(entry) = member.recovery.take() else {
            return false;
        };
        let username = member.username.clone();
        match result {
            Ok(Verdict::Accepted | Verdict::Unlisted) => {
                self.send_change(id, username, 1, *entry, true);
            }
            Ok(Verdict::Refused) => self.wrong_present_password(now, id),
            Ok(Verdict::Banned) => {
                self.answer(now, id, &Reply::new(Code::Banned, BANNED));
            }
            Err(Unavailable) => {
                let reply = self.store_failed("judge a password");
                self.answer(now, id, &reply);
            }
        }
        self.reschedule(id);
        true
    }
}
