//! The own device list as the server shows it, and the devices that want to be in it.
//!
//! ```text
//! login ── no list ──▶ CHANGE 1                         listed
//!       ── a list without this device
//!             ├─ the key was made for this login ──▶ ENROL ──▶ waits until a listed device adds it
//!             └─ people may know the key ──▶ the user trusts that list ──▶ ENROL
//! ```
//!
//! ENROL has this device's consent to the list. People who know the key take any list that has it, so a server must
//! not get one without the user.

use std::net::IpAddr;

use letschat_protocol::devices::{Change, ConsentStatement, DeviceCode, DeviceList, DeviceName};
use letschat_protocol::dialogue::{
    AccountKeys, Enrolling, Reply as ServerReply, Request as ServerRequest,
};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::OtherList;
use super::changes::{ChangeKind, OwnChange};
use super::lookup::{ListedChange, MAX_PARKED, Outcome};
use crate::event::{DeviceChange, Event, fingerprint, format_rfc3339};
use crate::failure::Failure;
use crate::notice::Notice;
use crate::session::account::Comparison;
use crate::session::backoff::{Backoff, SOON};
use crate::session::context::Context;
use crate::session::mail::Incoming;
use crate::session::server::Expected;
use crate::session::{OwnDevice, Reply, RequestId, Session, WaitingDevice};

/// The most devices that wait to be listed, and as many that are not listed and do not wait.
const MAX_ENROLLING: usize = 8;
/// The time in which a device that logs in says that it wants to be listed.
const ENROLMENT_MS: u64 = 5_000;

/// The state of the own devices.
#[derive(Debug, Default)]
pub(super) struct OwnDevices {
    /// The devices that want to be listed.
    pub(super) enrolling: Vec<Enrolling>,
    /// The devices that have logged in without being listed.
    unlisted: Vec<UnlistedLogin>,
    /// The change under way.
    pub(super) change: Option<OwnChange>,
    /// True if this device has told the others that it wants to be listed.
    pub(super) has_enrolled: bool,
    /// The time at which the own list is looked up again, since the server was busy.
    retry_ms: Option<u64>,
    backoff: Backoff,
    /// The messages that wait for that lookup.
    mail: Vec<Incoming>,
}

/// A device that has logged in to the account, is not listed, and has not asked to be.
#[derive(Debug)]
struct UnlistedLogin {
    device: PublicKey,
    address: IpAddr,
    /// The time at which the user is told, if that is not done.
    due_ms: Option<u64>,
}

impl OwnDevices {
    pub(super) fn will_retry(&self) -> bool {
        self.retry_ms.is_some()
    }

    /// Returns true if mail waits, so that later mail has to.
    pub(super) fn keeps_mail(&self) -> bool {
        self.will_retry() && !self.mail.is_empty()
    }

    /// Keeps mail until the own list is looked up again. The next login delivers others again.
    pub(super) fn keep_mail(&mut self, mail: Incoming) {
        if self.mail.len() < MAX_PARKED {
            self.mail.push(mail);
        }
    }

    pub(super) fn take_mail(&mut self) -> Vec<Incoming> {
        std::mem::take(&mut self.mail)
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.unlisted.iter().filter_map(|one| one.due_ms).chain(self.retry_ms).min()
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
        let Outcome { shown, is_answered, changes, list } = outcome;
        if !is_answered {
            self.account.take_key_is_new();
            return self.retry_change(false);
        }
        self.devices.own.backoff = Backoff::default();
        let is_listed = self.account.own_list().is_some();
        let key_is_new = self.account.take_key_is_new();
        let holds_none = self.account.name().is_some_and(|own| self.account.list(own).is_none());
        match (shown, list) {
            (None, _) if holds_none => self.begin_change(None, ChangeKind::Begin),
            (Some(Comparison::Held), Some(_)) if is_listed => {
                self.note_listed(&changes);
                self.tell_changes(&changes);
            }
            // This device was removed, or the user has trusted this list.
            (Some(Comparison::Held), Some(list)) => self.enrol(&list),
            (Some(Comparison::Other), Some(list)) if holds_none && key_is_new => {
                self.hold_own_list(list.clone());
                self.enrol(&list);
            }
            // Only the user knows whether another device has begun this list.
            (Some(Comparison::Other), Some(list)) => self.tell_other_list(&list),
            _ => {}
        }
        self.retry_change(true);
    }

    /// Notes that this device is in the list.
    fn note_listed(&mut self, changes: &[ListedChange]) {
        let own = self.account.key();
        let is_added = changes.iter().any(|change| {
            own == Some(change.entry.device) && matches!(change.entry.change, Change::Add { .. })
        });
        let Some(list) = self.account.own_list() else {
            return;
        };
        self.devices.own.enrolling.retain(|one| !list.contains(&one.device));
        self.devices.own.unlisted.retain(|one| !list.contains(&one.device));
        if std::mem::take(&mut self.devices.own.has_enrolled) || is_added {
            let others = list.devices().iter().filter(|device| own != Some(device.key));
            let others = others.map(|device| device.name.clone()).collect();
            self.cx.notify(Notice::DeviceListed(others));
            self.mail.note_listed();
        }
    }

    /// Tells the user, once, of a list of the account that this device does not join by itself.
    fn tell_other_list(&mut self, list: &DeviceList) {
        let earlier = self.devices.warnings.other_list;
        if earlier.is_some_and(|earlier| earlier.hash == list.hash()) {
            return;
        }
        // A user who is about to trust an earlier one could overlook this one.
        self.show_other_list(list, earlier.is_none());
    }

    fn show_other_list(&mut self, list: &DeviceList, is_shown: bool) {
        if let Some(own) = self.account.name().cloned() {
            self.devices.warnings.other_list = Some(OtherList { hash: list.hash(), is_shown });
            let devices = list.devices().to_vec();
            self.cx.notify(Notice::DeviceListReplaced { own, devices });
        }
    }

    /// Looks up the own list again in a while, if the server is just busy. What is missing then is begun again: the list
    /// itself, or the wish to be in it.
    pub(super) fn look_after_list_later(&mut self, reply: &ServerReply) {
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
        let unlisted = self.devices.own.unlisted.iter_mut();
        let due: Vec<(PublicKey, IpAddr)> = unlisted
            .filter_map(|one| {
                one.due_ms.take_if(|due_ms| *due_ms <= now_ms)?;
                Some((one.device, one.address))
            })
            .collect();
        for (device, address) in due {
            self.tell_unlisted(&device, &address);
        }
    }

    /// Tells the changes that other devices have made since.
    fn tell_changes(&mut self, changes: &[ListedChange]) {
        let own = self.account.key();
        // A device that has just been added need not hear how the list came about.
        let is_own = |change: &ListedChange| own == Some(change.entry.device);
        let told = changes.iter().rposition(is_own).map_or(0, |place| place + 1);
        for ListedChange { entry, name, by } in &changes[told..] {
            if own == Some(entry.signer) {
                continue;
            }
            let change = match entry.change {
                Change::Begin { .. } | Change::Add { .. } => DeviceChange::Added,
                Change::Remove => DeviceChange::Removed,
            };
            self.cx.tell(Event::DeviceChanged {
                key: fingerprint(&entry.device),
                name: name.clone(),
                change,
                by: fingerprint(&entry.signer),
                by_name: by.clone(),
            });
        }
    }

    /// Holds the other list of the own account that the server offers. Returns false if there is none.
    ///
    /// # Errors
    ///
    /// Fails if the user has to look at it first.
    pub(in crate::session) fn trust_own_list(&mut self, own: &Username) -> Result<bool, Failure> {
        let Some(list) = self.account.offered(own).cloned() else {
            return Ok(false);
        };
        let shown = OtherList { hash: list.hash(), is_shown: true };
        if self.devices.warnings.other_list != Some(shown) {
            self.show_other_list(&list, true);
            return Err(Failure::OwnListNotShown);
        }
        self.hold_own_list(list);
        self.look_up(own);
        Ok(true)
    }

    fn hold_own_list(&mut self, list: DeviceList) {
        if let Some(own) = self.account.name().cloned() {
            let change = self.account.hold_list(&mut self.cx, &own, list);
            self.record_list(Some(change));
        }
    }

    /// Returns the name of this device: that of the own list, if it is in it.
    pub(in crate::session) fn own_device_name(&self) -> DeviceName {
        let own = self.account.key();
        let devices = self.account.own_list().map_or(&[][..], DeviceList::devices);
        let listed = devices.iter().find(|device| own == Some(device.key));
        listed.map_or_else(|| self.cx.config().device_name.clone(), |device| device.name.clone())
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
            let warned = &mut self.devices.warnings.consents;
            if warned.len() < MAX_ENROLLING && warned.insert(*device) {
                self.cx.notify(Notice::DeviceConsentInvalid);
            }
            return self.device_unlisted(*device, *address);
        }
        let (key, address, name) = (fingerprint(device), address.to_string(), name.clone());
        self.devices.own.unlisted.retain(|other| other.device != enrolling.device);
        let known = &mut self.devices.own.enrolling;
        let is_new = !known.iter().any(|other| other.device == enrolling.device);
        known.retain(|other| other.device != enrolling.device);
        if known.len() == MAX_ENROLLING {
            known.remove(0);
        }
        known.push(enrolling);
        if is_new {
            self.cx.tell(Event::DeviceWaiting { key, address, name: Some(name) });
        }
    }

    /// Handles the login of a device that is not listed. The user is told unless it soon asks to be.
    pub(in crate::session) fn device_unlisted(&mut self, device: PublicKey, address: IpAddr) {
        let due_ms = Some(self.cx.now_ms() + ENROLMENT_MS);
        let Some(list) = self.account.own_list() else {
            return;
        };
        let OwnDevices { enrolling, unlisted, .. } = &mut self.devices.own;
        let is_known = list.contains(&device)
            || enrolling.iter().any(|one| one.device == device)
            || unlisted.iter().any(|one| one.device == device);
        if is_known {
            return;
        }
        let excess = (unlisted.len() == MAX_ENROLLING).then(|| unlisted.remove(0));
        unlisted.push(UnlistedLogin { device, address, due_ms });
        if let Some(UnlistedLogin { device, address, due_ms: Some(_) }) = excess {
            self.tell_unlisted(&device, &address);
        }
    }

    fn tell_unlisted(&mut self, device: &PublicKey, address: &IpAddr) {
        let (key, address) = (fingerprint(device), address.to_string());
        self.cx.tell(Event::DeviceWaiting { key, address, name: None });
    }

    /// Returns true while this device may be about to be in the list.
    pub(in crate::session) fn awaits_own_list(&self) -> bool {
        let own = self.account.name().filter(|_| self.account.own_list().is_none());
        own.is_some_and(|own| self.is_looking_up(own)) || self.devices.own.change.is_some()
    }

    /// Returns false if the account has a list, as far as is known, that this device is not in.
    pub(in crate::session) fn is_listed(&self) -> bool {
        let own = self.account.name();
        let list = own.and_then(|own| self.account.offered(own).or(self.account.list(own)));
        list.zip(self.account.key()).is_none_or(|(list, own)| list.contains(&own))
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
        let list = name.and_then(|name| self.account.offered(name).or(self.account.list(name)));
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
        let code = match (self.server.fingerprint(), name, own) {
            (Some(server), Some(name), Some(own)) if self.devices.own.has_enrolled => {
                Some(DeviceCode::of(&server, name, &own).to_string())
            }
            _ => None,
        };
        Reply::Devices { devices: devices.collect(), waiting: waiting.collect(), code }
    }
}
