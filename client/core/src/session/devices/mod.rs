//! The devices of people and of the account itself.
//!
//! * `lookup` – lists that the server is asked for, and what waits for them
//! * `own` – the own list: its beginning, its changes, and the user's commands
//!
//! A key that is not known may belong to a new device. Whatever came with it waits until the server has shown the
//! newest list.

mod lookup;
mod own;

use std::collections::BTreeSet;

use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

pub(super) use self::lookup::Lookups;
use self::own::OwnDevices;
use super::Session;
use crate::event::KeyState;

/// The state that concerns devices.
#[derive(Debug, Default)]
pub(super) struct Devices {
    lookups: Lookups,
    own: OwnDevices,
    /// The lists of which the user was told that the server lies about them.
    told: BTreeSet<(Username, u64)>,
    /// True if the server is of version 0.1, which has no lists.
    is_unsupported: bool,
}

impl Devices {
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.own.next_deadline()
    }
}

impl Session {
    pub(super) fn tick_devices(&mut self) {
        self.tick_own_devices();
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
        let Devices { lookups, own, told, .. } = std::mem::take(&mut self.devices);
        self.devices.told = told;
        own.fail(&mut self.cx);
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
