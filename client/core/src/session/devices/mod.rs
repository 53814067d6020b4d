//! The devices of people and of the account itself.
//!
//! * `lookup` – lists that the server is asked for, and what waits for them
//! * `own` – the own list, and the devices that want to be in it
//! * `changes` – the user's changes of the own list
//!
//! A key that is not known may belong to a new device. Whatever came with it waits until the server has shown the
//! newest list.

mod changes;
mod lookup;
mod own;

use std::collections::BTreeSet;

use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

pub(super) use self::lookup::Lookups;
use self::own::OwnDevices;
use super::Session;
use crate::event::KeyState;
use crate::failure::Failure;

/// The state that concerns devices.
#[derive(Debug, Default)]
pub(super) struct Devices {
    lookups: Lookups,
    own: OwnDevices,
    warnings: Warnings,
    /// True if the server is of version 0.1, which has no lists.
    is_unsupported: bool,
}

/// The warnings that were given in this run, and are not given again.
#[derive(Debug, Default)]
struct Warnings {
    /// The lists about which the server lies.
    lists: BTreeSet<(Username, u64)>,
    /// The list of the own account that this device does not join by itself.
    other_list: Option<OtherList>,
    /// The devices that have not agreed to be in the own list.
    consents: BTreeSet<PublicKey>,
}

/// A list of the own account of which the user was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OtherList {
    hash: [u8; 32],
    /// True if the user has seen this list, and no other since. Only then can it be trusted.
    is_shown: bool,
}

impl Devices {
    pub(super) fn next_deadline(&self) -> Option<u64> {
        [self.own.next_deadline(), self.lookups.next_deadline()].into_iter().flatten().min()
    }
}

impl Session {
    pub(super) fn tick_devices(&mut self) {
        self.tick_own_devices();
        self.tick_lookups();
    }

    /// Begins to look after devices after a login.
    pub(super) fn devices_logged_in(&mut self) {
        self.devices.is_unsupported = false;
        if let Some(own) = self.account.name().cloned() {
            self.look_up(&own);
        }
    }

    /// Notes the end of the link to the server.
    pub(super) fn devices_link_ended(&mut self) {
        let Devices { lookups, own, warnings, .. } = std::mem::take(&mut self.devices);
        self.devices.warnings = warnings;
        own.fail(&mut self.cx);
        for id in self.groups.link_ended() {
            self.cx.fail(id, Failure::Unanswered(Box::new(Failure::NotLoggedIn)));
        }
        for (who, introduction) in lookups.into_introductions() {
            self.refuse_introduction(&who, &introduction);
        }
    }

    /// Remembers a person whose chat or messages the user has accepted, with the list that has this key. Returns the
    /// earlier state of the key.
    pub(super) fn pin(&mut self, who: &Username, key: PublicKey) -> KeyState {
        let state = self.account.pin(&mut self.cx, who, key);
        if state == KeyState::New {
            let change = self.account.accept_list(&mut self.cx, who, &key);
            self.record_list(change);
        }
        state
    }
}
