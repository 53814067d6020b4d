//! Checks of expiry: by the boot clock, whatever the wall clock shows.

use std::collections::BTreeMap;

use letschat_protocol::dialogue::Closing;
use letschat_protocol::username::Username;
use letschat_server::hub::{Effect, LeaveReason, Record, Settings};
use letschat_server::store::StoreRequest;

use crate::world::World;

/// The longest delay of a timer.
const LATE_MS: u64 = 1_000;

/// The last activity of all logged-in users, and counters of expiries.
#[derive(Default)]
pub(crate) struct Ages {
    active_ms: BTreeMap<Username, u64>,
    pub(crate) idled: u64,
    pub(crate) forgotten: u64,
}

impl World {
    /// Checks that nothing expires early or much too late.
    pub(crate) fn check_age(&mut self, effect: &Effect) {
        match effect {
            Effect::Record(Record::LoggedIn { username, .. }) => {
                self.ages.active_ms.insert(username.clone(), self.now.boot_ms);
            }
            Effect::Record(Record::Introduced { username, to }) => {
                self.was_active(username);
                self.was_active(to);
            }
            Effect::Record(Record::Broadcast { .. }) => {
                let now_ms = self.now.boot_ms;
                self.ages.active_ms.values_mut().for_each(|active_ms| *active_ms = now_ms);
            }
            Effect::Record(Record::Left { username: Some(username), why, .. }) => {
                let active_ms = self.ages.active_ms.remove(username);
                if *why == LeaveReason::Closed(Closing::Idle) {
                    let what = format!("{username}'s time to be idle");
                    self.expires(&what, active_ms.unwrap(), Settings::default().idle_ms);
                    self.ages.idled += 1;
                }
            }
            Effect::Store(StoreRequest::Forget { through }) => self.check_forgotten(*through),
            _ => {}
        }
    }

    /// Records a command, or a report of activity in a chat.
    pub(crate) fn was_active(&mut self, username: &Username) {
        if let Some(active_ms) = self.ages.active_ms.get_mut(username) {
            *active_ms = self.now.boot_ms;
        }
    }

    /// Checks the last deleted broadcast. Those below it were not all published, and go with the
    /// next published one.
    fn check_forgotten(&mut self, through: u64) {
        let retention_ms = Settings::default().retention_ms;
        let entries = &self.server.store.entries;
        let goes = entries.iter().filter(|entry| entry.broadcast.number <= through);
        let goes: Vec<(u64, u64)> =
            goes.map(|entry| (entry.broadcast.number, entry.boot_ms)).collect();
        for (number, made_ms) in goes {
            assert!(made_ms + retention_ms <= self.now.boot_ms, "{number} was forgotten too early");
            if number == through {
                self.expires(&format!("broadcast {number}"), made_ms, retention_ms);
                self.ages.forgotten += 1;
            }
        }
    }

    fn expires(&self, what: &str, since_ms: u64, after_ms: u64) {
        let (now_ms, due_ms) = (self.now.boot_ms, since_ms + after_ms);
        assert!(now_ms >= due_ms, "{what} expired {} ms too early", due_ms - now_ms);
        assert!(now_ms <= due_ms + LATE_MS, "{what} expired {} ms too late", now_ms - due_ms);
    }

    /// Checks at the end of a long world that nothing expired is left.
    pub(crate) fn check_that_all_has_expired(&self) {
        let left = &self.server.store.entries;
        assert!(left.is_empty(), "{} broadcasts were never forgotten", left.len());
        let idle_ms = Settings::default().idle_ms;
        for (username, active_ms) in &self.ages.active_ms {
            let stays = active_ms + idle_ms + LATE_MS >= self.now.boot_ms;
            assert!(stays || !self.server.is_up(), "{username} was idle for too long");
        }
    }
}
