//! Known people, which the account's devices share, so that somebody who is known to one is known to all.

use std::collections::BTreeSet;

use letschat_protocol::body::{MAX_PEOPLE, Person};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::After;
use super::posting::{Job, Letter};
use crate::event::KeyState;
use crate::mail::MailChange;
use crate::session::Session;

impl Session {
    /// Notes that the user has decided something about a person, which the account's other devices have to know.
    pub(in crate::session) fn share_person(&mut self, who: &Username) {
        self.share_people(vec![who.clone()]);
    }

    /// Tells a new device of the account about everybody.
    pub(in crate::session) fn share_everybody(&mut self) {
        let blocked = self.account.opened().map(|account| account.blocked.clone());
        let known = self.account.peers().into_keys();
        let everybody: BTreeSet<Username> = known.chain(blocked.unwrap_or_default()).collect();
        self.share_people(everybody.into_iter().collect());
        self.share_groups();
    }

    fn share_people(&mut self, names: Vec<Username>) {
        if !names.is_empty() && self.has_other_devices() {
            // What a letter under way says about them is out of date.
            self.mail.posting.forget_people(&names);
            self.mail.people.extend(names.iter().cloned());
            self.commit(vec![MailChange::PeopleOwed(names)], After::Nothing);
            self.post_next();
        }
    }

    /// Returns true if the account has other listed devices.
    pub(in crate::session) fn has_other_devices(&self) -> bool {
        self.account.own_list().map_or(0, |list| list.devices().len()) > 1
    }

    /// Returns the job that tells the other devices about some people, if there is one.
    pub(super) fn people_job(&mut self) -> Option<Job> {
        let own = self.account.name()?.clone();
        let now_ms = self.cx.now_ms();
        if self.mail.people.is_empty()
            || !self.has_other_devices()
            || self.mail.posting.why_paused(&own, now_ms).is_some()
        {
            return None;
        }
        let names = self.mail.people.iter().take(MAX_PEOPLE).cloned().collect();
        Some(Job::new(self.new_envelope_id(), vec![own], Letter::People(names)))
    }

    /// Returns these people as this device knows them.
    pub(super) fn people(&self, names: &[Username]) -> Vec<Person> {
        let person = |name: &Username| {
            let peer = self.account.peer(name);
            Person {
                name: name.clone(),
                key: peer.map(|peer| peer.key),
                is_verified: peer.is_some_and(|peer| peer.verified),
                is_blocked: self.account.is_blocked(name),
            }
        };
        names.iter().map(person).collect()
    }

    /// Notes that the other devices have been told about these people.
    pub(super) fn people_told(&mut self, names: Vec<Username>) {
        self.mail.people.retain(|name| !names.contains(name));
        self.commit(vec![MailChange::PeopleTold(names)], After::Nothing);
    }

    /// Takes over what another device of the account knows. It never replaces a key that is known here: the user
    /// decides about that on each device.
    pub(super) fn take_over(&mut self, people: Vec<Person>) {
        for Person { name, key, is_verified, is_blocked } in people {
            if self.account.name() == Some(&name) {
                continue;
            }
            // The user's own decision here is newer, if the other devices have not been told of it yet.
            let is_decided_here = self.mail.people.contains(&name);
            if !is_decided_here && is_blocked != self.account.is_blocked(&name) {
                self.set_blocked(&name, is_blocked).ok();
            }
            if let Some(key) = key {
                self.take_over_key(&name, key, is_verified);
            }
        }
    }

    fn take_over_key(&mut self, who: &Username, key: PublicKey, is_verified: bool) {
        match self.account.key_state(who, &key) {
            KeyState::New => drop(self.pin(who, key)),
            KeyState::Changed => return,
            KeyState::Known | KeyState::Verified => {}
        }
        if is_verified {
            self.account.note_verified(&mut self.cx, who);
        }
        self.release_held(who);
    }
}
