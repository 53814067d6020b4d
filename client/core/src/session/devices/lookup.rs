//! Lookups of device lists at the server.
//!
//! ```text
//! DEVICES NAME AFTER n ── entries ──▶ verified one by one ── more? ──▶ DEVICES … ──▶ judged by the account
//!                                         │ they do not follow the held list
//!                                         └──▶ DEVICES NAME AFTER 0: another chain?
//! ```

use std::collections::BTreeMap;

use letschat_protocol::body::{Body, DeviceListRef};
use letschat_protocol::code::Code;
use letschat_protocol::devices::{Device, DeviceEntry, DeviceList, DeviceName};
use letschat_protocol::dialogue::{
    DeviceEntries, Introduction, Reply as ServerReply, Request as ServerRequest,
};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::ChatId;
use letschat_protocol::username::Username;

use crate::event::KeyState;
use crate::failure::Failure;
use crate::notice::Notice;
use crate::session::account::{Comparison, Found};
use crate::session::mail::Incoming;
use crate::session::server::Expected;
use crate::session::{LinkId, Session};

/// The most messages of a person that wait for a lookup. The next login delivers others again.
pub(super) const MAX_PARKED: usize = 256;
/// The most lists of which the user is told in a run that the server lies about them.
const MAX_TOLD: usize = 256;
/// The most of these about one person.
const MAX_TOLD_OF_ONE: usize = 4;
/// The lookups in a row that the server may leave unanswered, since it may be busy: of a claimed list, or for mail that
/// waits.
const MAX_UNANSWERED: u8 = 3;
/// The interval of lookups that unknown devices of one person cause, as long as they change nothing.
const INTERVAL_MS: u64 = 1_000;

/// The lookups under way, and the times of those that changed nothing.
#[derive(Debug, Default)]
pub(in crate::session) struct Lookups {
    under_way: BTreeMap<Username, Lookup>,
    unchanged_ms: BTreeMap<Username, u64>,
    /// The lookups of claimed lists in a row that the server left unanswered.
    unanswered: BTreeMap<Username, u8>,
}

/// A lookup, and what waits for it.
#[derive(Debug)]
struct Lookup {
    /// The list so far. It begins as the held one, unless that leads nowhere.
    list: Option<DeviceList>,
    /// The changes after the held list.
    changes: Vec<ListedChange>,
    /// True if it began with no list.
    from_start: bool,
    /// True if the known key of the person has agreed to be in this chain.
    vouches: bool,
    /// True if the list may have changed since the request.
    is_stale: bool,
    /// True if the person is known from now on, since another device of this account has written to them.
    makes_known: bool,
    mail: Vec<Incoming>,
    /// A list that a listed device claims to be the newest.
    claim: Option<DeviceListRef>,
    introduction: Option<Introduction>,
    calls: Vec<(LinkId, ChatId)>,
    /// The refusals of a busy server so far.
    refusals: u8,
    /// The time of the next attempt after a refusal.
    retry_ms: Option<u64>,
}

/// A verified change of a list.
#[derive(Debug)]
pub(super) struct ListedChange {
    pub(super) entry: DeviceEntry,
    /// The name of the device that is added or removed.
    pub(super) name: DeviceName,
    /// The name of the device that has signed.
    pub(super) by: DeviceName,
}

/// The outcome of a lookup.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The comparison of the list with the held one, or `None` if there is no list.
    pub(super) shown: Option<Comparison>,
    /// True if the server has answered, with a list or without one.
    pub(super) is_answered: bool,
    /// The changes that led from the held list to the new one.
    pub(super) changes: Vec<ListedChange>,
    /// The list that the server showed.
    pub(super) list: Option<DeviceList>,
}

impl Lookups {
    /// Returns the time of the next attempt at a refused lookup.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.under_way.values().filter_map(|lookup| lookup.retry_ms).min()
    }

    /// Returns the introductions that wait.
    pub(super) fn into_introductions(self) -> impl Iterator<Item = (Username, Introduction)> {
        let lookups = self.under_way.into_iter();
        lookups.filter_map(|(who, lookup)| Some((who, lookup.introduction?)))
    }

    /// Returns true if messages of this person wait.
    fn has_mail(&self, who: &Username) -> bool {
        self.under_way.get(who).is_some_and(|lookup| !lookup.mail.is_empty())
    }

    /// Returns true if a message may cause a lookup now.
    fn is_due(&self, who: &Username, now_ms: u64) -> bool {
        self.unchanged_ms.get(who).is_none_or(|last_ms| last_ms + INTERVAL_MS <= now_ms)
    }
}

impl Session {
    /// Looks up the newest list of an account. Returns false if that can't be done.
    pub(in crate::session) fn look_up(&mut self, who: &Username) -> bool {
        if !self.server.is_logged_in() || self.devices.is_unsupported {
            return false;
        }
        if let Some(lookup) = self.devices.lookups.under_way.get_mut(who) {
            lookup.is_stale = true;
            return true;
        }
        let list = self.account.list(who).cloned();
        let from_start = list.is_none();
        let mail = match self.account.name() == Some(who) {
            true => self.devices.own.take_mail(),
            false => Vec::new(),
        };
        self.ask_devices(who, list.as_ref());
        self.devices.lookups.under_way.insert(
            who.clone(),
            Lookup {
                list,
                changes: Vec::new(),
                from_start,
                vouches: false,
                is_stale: false,
                makes_known: false,
                mail,
                claim: None,
                introduction: None,
                calls: Vec::new(),
                refusals: 0,
                retry_ms: None,
            },
        );
        true
    }

    fn ask_devices(&mut self, who: &Username, after: Option<&DeviceList>) {
        let after = after.map_or(0, DeviceList::number);
        let request = ServerRequest::Devices { name: who.to_string(), after };
        self.server.ask(&mut self.cx, request, Expected::Devices(who.clone()));
    }

    /// Returns true while a list is being looked up.
    pub(in crate::session) fn is_looking_up(&self, who: &Username) -> bool {
        self.devices.lookups.under_way.contains_key(who)
    }

    /// Lets a message from the server wait if its device is not known, but may be in the newest list of its author.
    /// Returns false if it need not wait.
    pub(in crate::session) fn park_mail(&mut self, mail: &Incoming, body: &Body) -> bool {
        let who = &body.sender;
        if self.account.name() == Some(who)
            && mail.is_from_server()
            && self.devices.own.keeps_mail()
        {
            self.devices.own.keep_mail(mail.clone());
            return true;
        }
        let is_known = match self.account.name() == Some(who) {
            true => self.account.list(who).is_some_and(|list| list.contains(&body.device)),
            false if body.conversation.starts_with('#') => {
                self.is_trusted_device(who, &body.device)
            }
            false => self.account.key_state(who, &body.device) != KeyState::Changed,
        };
        let claims_another = self.account.claims_another_list(body);
        let earlier_waits = self.devices.lookups.has_mail(who) || self.is_getting_known(who);
        let waits = mail.is_from_server()
            && (earlier_waits
                || (!is_known || claims_another)
                    && (self.is_looking_up(who)
                        || self.devices.lookups.is_due(who, self.cx.now_ms())
                            && self.look_up(who)));
        if let (true, Some(lookup)) = (waits, self.devices.lookups.under_way.get_mut(who))
            && lookup.mail.len() < MAX_PARKED
        {
            lookup.mail.push(mail.clone());
            if claims_another {
                lookup.claim = Some(body.list);
            }
        }
        waits
    }

    /// Returns true while a person is looked up to whom another device of this account has written.
    fn is_getting_known(&self, who: &Username) -> bool {
        self.devices.lookups.under_way.get(who).is_some_and(|lookup| lookup.makes_known)
    }

    /// Looks up a list that a listed device claims to be the newest.
    pub(in crate::session) fn look_up_claim(&mut self, who: &Username, claim: DeviceListRef) {
        if self.devices.is_unsupported {
            return self.check_claim(who, claim);
        }
        if (self.is_looking_up(who) || self.devices.lookups.is_due(who, self.cx.now_ms()))
            && self.look_up(who)
            && let Some(lookup) = self.devices.lookups.under_way.get_mut(who)
        {
            lookup.claim = Some(claim);
        }
    }

    /// Makes a person known to whom another device of this account has written, with the devices that the server shows.
    pub(in crate::session) fn make_known(&mut self, who: &Username) {
        if self.account.known_key(who).is_none()
            && self.look_up(who)
            && let Some(lookup) = self.devices.lookups.under_way.get_mut(who)
        {
            lookup.makes_known = true;
        }
    }

    /// Lets an introduction wait for the newest list of the person. Returns false if it need not wait.
    pub(in crate::session) fn park_introduction(
        &mut self,
        who: &Username,
        to: &Introduction,
    ) -> bool {
        let is_changed = self.account.key_state(who, &to.key) == KeyState::Changed;
        if !is_changed || !self.look_up(who) {
            return false;
        }
        if let Some(lookup) = self.devices.lookups.under_way.get_mut(who) {
            lookup.introduction = Some(to.clone());
        }
        true
    }

    /// Lets a call wait for the newest list of the person. Returns false if it need not wait.
    pub(in crate::session) fn park_call(
        &mut self,
        who: &Username,
        key: &PublicKey,
        (link, chat): (LinkId, ChatId),
    ) -> bool {
        let is_changed = self.account.key_state(who, key) == KeyState::Changed;
        let is_due = self.devices.lookups.is_due(who, self.cx.now_ms());
        if !is_changed || !(is_due || self.is_looking_up(who)) || !self.look_up(who) {
            return false;
        }
        if let Some(lookup) = self.devices.lookups.under_way.get_mut(who) {
            lookup.calls.push((link, chat));
        }
        true
    }

    /// Handles the server's answer to DEVICES.
    pub(in crate::session) fn devices_answered(&mut self, who: &Username, reply: &ServerReply) {
        let Some(mut lookup) = self.devices.lookups.under_way.remove(who) else {
            return;
        };
        if reply.code == Code::UnknownCommand {
            self.devices.is_unsupported = true;
        }
        let entries = match reply.code.is_success() {
            true => DeviceEntries::from_reply(reply),
            false => None,
        };
        let Some(DeviceEntries { entries, list: newest }) = entries else {
            self.job_list_refused(who, reply);
            if self.account.name() == Some(who) {
                self.own_list_refused(reply);
            } else if self.will_look_up_again(&mut lookup, reply) {
                self.devices.lookups.under_way.insert(who.clone(), lookup);
                return;
            }
            return self.lookup_done(who, lookup, false);
        };
        let count = entries.len();
        let follows = self.follow(who, &mut lookup, entries);
        let reached = lookup.list.as_ref().map(DeviceList::reference).unwrap_or_default();
        let is_behind = reached.number < newest.number;
        let leads_there = follows && (is_behind || reached == newest);
        if !leads_there && !lookup.from_start {
            let begun = Lookup { list: None, changes: Vec::new(), from_start: true, ..lookup };
            self.ask_devices(who, None);
            self.devices.lookups.under_way.insert(who.clone(), begun);
        } else if !leads_there {
            self.cx.notify(Notice::DeviceListInvalid(who.clone()));
            self.lookup_done(who, lookup, false);
        } else if is_behind && count > 0 || std::mem::take(&mut lookup.is_stale) {
            self.ask_devices(who, lookup.list.as_ref());
            self.devices.lookups.under_way.insert(who.clone(), lookup);
        } else {
            // The server names a newer list than it shows.
            if is_behind {
                self.cx.notify(Notice::DeviceListInvalid(who.clone()));
            }
            self.lookup_done(who, lookup, !is_behind);
        }
    }

    /// Returns true if a refused lookup is tried again, since mail waits and the server is just busy.
    fn will_look_up_again(&self, lookup: &mut Lookup, reply: &ServerReply) -> bool {
        let is_busy = Failure::refused(reply.code, reply.last_line()).is_busy();
        lookup.refusals += 1;
        let again = is_busy && !lookup.mail.is_empty() && lookup.refusals < MAX_UNANSWERED;
        if again {
            lookup.retry_ms = Some(self.cx.now_ms() + u64::from(lookup.refusals) * INTERVAL_MS);
        }
        again
    }

    /// Tries refused lookups again.
    pub(super) fn tick_lookups(&mut self) {
        let now_ms = self.cx.now_ms();
        let lookups = self.devices.lookups.under_way.iter_mut();
        let due: Vec<(Username, Option<DeviceList>)> = lookups
            .filter_map(|(who, lookup)| {
                lookup.retry_ms.take_if(|due_ms| *due_ms <= now_ms)?;
                Some((who.clone(), lookup.list.clone()))
            })
            .collect();
        for (who, list) in due {
            self.ask_devices(&who, list.as_ref());
        }
    }

    /// Returns true if the server has left too many lookups of claimed lists unanswered to be just busy.
    fn is_withheld(&mut self, who: &Username, is_answered: bool) -> bool {
        let unanswered = &mut self.devices.lookups.unanswered;
        if is_answered {
            unanswered.remove(who);
            return true;
        }
        let count = unanswered.entry(who.clone()).or_default();
        *count = count.saturating_add(1);
        *count >= MAX_UNANSWERED
    }

    /// Verifies entries. Returns false if one does not follow the list before it.
    fn follow(&self, who: &Username, lookup: &mut Lookup, entries: Vec<DeviceEntry>) -> bool {
        let Some(server) = self.server.fingerprint() else {
            return false;
        };
        let known = self.account.known_key(who);
        for entry in entries {
            let before = lookup.list.take();
            let Ok(list) = DeviceList::after(before.as_ref(), (&server, who), &entry) else {
                lookup.list = before;
                return false;
            };
            lookup.vouches |= known == Some(entry.device);
            let lists = [before.as_ref(), Some(&list)].into_iter().flatten();
            let devices: Vec<&Device> = lists.flat_map(DeviceList::devices).collect();
            let name_of = |key: &PublicKey| {
                devices.iter().find(|device| device.key == *key).map(|device| device.name.clone())
            };
            if let Some((name, by)) = name_of(&entry.device).zip(name_of(&entry.signer)) {
                lookup.changes.push(ListedChange { entry, name, by });
            }
            lookup.list = Some(list);
        }
        true
    }

    /// Ends a lookup: judges the list, and lets everything go on that waited for it.
    fn lookup_done(&mut self, who: &Username, lookup: Lookup, is_answered: bool) {
        let Lookup {
            list, changes, vouches, makes_known, mail, claim, introduction, calls, ..
        } = lookup;
        let unchanged_ms = &mut self.devices.lookups.unchanged_ms;
        let is_caused = !mail.is_empty() || !calls.is_empty() || claim.is_some();
        match changes.is_empty() && is_caused {
            true => drop(unchanged_ms.insert(who.clone(), self.cx.now_ms())),
            false => drop(unchanged_ms.remove(who)),
        }
        let is_own = self.account.name() == Some(who);
        let found = list.filter(|_| is_answered);
        let (own, known) = (self.account.key(), self.account.known_key(who));
        let vouches = match is_own {
            true => found.as_ref().zip(own).is_some_and(|(list, own)| list.contains(&own)),
            // The owner of a common group names the lists of people whom the user does not know.
            false if known.is_none() => {
                found.as_ref().is_some_and(|list| self.groups.vouch_for(who, list))
            }
            // One who was verified is not known by devices that came before the verified one.
            false => vouches && !self.is_begun_by_another(who, found.as_ref()),
        };
        let mut changes = changes;
        if let (Some(found), Some(held)) = (&found, self.account.list(who)) {
            // A lookup from the start repeats what is known.
            let follows = found.hash_of(held.number()) == Some(held.hash());
            let new = if follows { found.number() - held.number() } else { found.number() };
            let known = changes.len().saturating_sub(usize::try_from(new).unwrap_or(usize::MAX));
            changes.drain(..known);
        }
        let mut outcome = Outcome { shown: None, is_answered, changes, list: found.clone() };
        if let Some(list) = found {
            let (shown, change) =
                self.account.take_list(&mut self.cx, who, Found { list, vouches });
            self.record_list(change);
            outcome.shown = Some(shown);
            if shown == Comparison::Older {
                self.cx.notify(Notice::DeviceListOld(who.clone()));
            }
        } else if is_answered && self.account.list(who).is_some() {
            self.cx.notify(Notice::DeviceListOld(who.clone()));
        }
        if is_own {
            self.own_list_shown(outcome);
        }
        if let Some(claim) = claim
            && self.is_withheld(who, is_answered)
        {
            self.check_claim(who, claim);
        }
        let offered = self.account.offered(who).or(self.account.list(who));
        let offered = offered.filter(|_| makes_known);
        if let Some(first) = offered.and_then(|list| list.devices().first()) {
            self.pin(who, first.key);
        }
        if is_own && self.devices.own.will_retry() {
            // Whether these come from an own device is known then.
            mail.into_iter().for_each(|mail| self.devices.own.keep_mail(mail));
        } else {
            for mail in mail {
                self.judge_mail(&mail);
            }
        }
        if let Some(to) = introduction {
            self.introduction_judged(who, to);
        }
        for (link, chat) in calls {
            self.call_judged(link, chat, who.clone());
        }
        self.release_held(who);
        self.retry_group_letters(who, is_answered);
        self.retry_group_requests();
        self.invite_looked_up(who);
        self.job_keys_changed(who);
        self.post_next();
    }

    /// Returns true if a person is verified, and their list was begun by another device than the known one.
    fn is_begun_by_another(&self, who: &Username, list: Option<&DeviceList>) -> bool {
        let known = self.account.known_key(who);
        let is_verified =
            known.is_some_and(|key| self.account.key_state(who, &key) == KeyState::Verified);
        is_verified && list.and_then(|list| list.devices().first()).map(|first| first.key) != known
    }

    /// Tells the user, once, if the server does not show the list that a listed device has.
    pub(in crate::session) fn check_claim(&mut self, who: &Username, claim: DeviceListRef) {
        let Some(list) = self.account.list(who) else {
            return;
        };
        let notice = match list.hash_of(claim.number) {
            Some(hash) if hash == claim.hash => return,
            _ if self.account.note_begun_anew(who, claim) => return,
            Some(_) => Notice::DeviceListsDiffer(who.clone()),
            None => Notice::DeviceListWithheld(who.clone()),
        };
        let told = &mut self.devices.warnings.lists;
        let of_one = told.iter().filter(|(about, _)| about == who).count();
        if of_one < MAX_TOLD_OF_ONE
            && told.len() < MAX_TOLD
            && told.insert((who.clone(), claim.number))
        {
            self.cx.notify(notice);
        }
    }
}
