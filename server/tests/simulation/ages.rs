//! Checks of expiry: by the boot clock, whatever the wall clock shows.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use letschat_protocol::dialogue::{Closing, Request};
use letschat_protocol::frame::Frame;
use letschat_protocol::username::Username;
use letschat_server::hub::{ConnectionId, Effect, LeaveReason, Record, Settings};
use letschat_server::store::StoreRequest;

use crate::world::{Plan, World};

/// The longest delay of a timer.
const LATE_MS: u64 = 1_000;

/// The last activity of all sessions, and counters of expiries.
#[derive(Default)]
pub(crate) struct Ages {
    sessions: BTreeMap<ConnectionId, Activity>,
    pub(crate) idled: u64,
    pub(crate) forgotten: u64,
}

/// The last activity of a session. Of an account's sessions, a request for a chat reaches the one that was active
/// last; if that was at the same moment, either.
struct Activity {
    username: Username,
    certain_ms: u64,
    possible_ms: u64,
}

impl World {
    /// Checks that nothing expires early or much too late.
    pub(crate) fn check_age(&mut self, effect: &Effect) {
        if self.plan == Plan::Cluster {
            return; // It does not last long enough for anything to expire.
        }
        match effect {
            Effect::Record(Record::LoggedIn { connection, username, .. }) => {
                let username = username.clone();
                let (certain_ms, possible_ms) = (self.now.boot_ms, self.now.boot_ms);
                let activity = Activity { username, certain_ms, possible_ms };
                self.ages.sessions.insert(*connection, activity);
            }
            Effect::Record(Record::Introduced { to, .. }) => self.was_reached(to),
            Effect::Record(Record::Broadcast { .. }) => {
                let now_ms = self.now.boot_ms;
                self.ages.sessions.values_mut().for_each(|session| session.acts(now_ms));
            }
            Effect::Record(Record::Left { connection, username: Some(username), why }) => {
                let session = self.ages.sessions.remove(connection).expect("it has logged in");
                if *why == LeaveReason::Closed(Closing::Idle) {
                    let what = format!("{username}'s time to be idle");
                    let since_ms = session.certain_ms..=session.possible_ms;
                    self.expires(&what, since_ms, Settings::default().idle_ms);
                    self.ages.idled += 1;
                }
            }
            Effect::Store(StoreRequest::Forget { through }) => self.check_forgotten(*through),
            _ => {}
        }
    }

    /// Records a command, or a report of activity in a chat.
    pub(crate) fn was_active(&mut self, connection: ConnectionId) {
        if let Some(session) = self.ages.sessions.get_mut(&connection) {
            session.acts(self.now.boot_ms);
        }
    }

    /// Records that one of an account's sessions was asked for a chat.
    fn was_reached(&mut self, username: &Username) {
        let sessions = self.ages.sessions.values_mut();
        let mut sessions: Vec<_> = sessions.filter(|one| one.username == *username).collect();
        match &mut sessions[..] {
            [session] => session.acts(self.now.boot_ms),
            several => {
                several.iter_mut().for_each(|session| session.possible_ms = self.now.boot_ms);
            }
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
                self.expires(&format!("broadcast {number}"), made_ms..=made_ms, retention_ms);
                self.ages.forgotten += 1;
            }
        }
    }

    fn expires(&self, what: &str, since_ms: RangeInclusive<u64>, after_ms: u64) {
        let now_ms = self.now.boot_ms;
        let (due_ms, last_ms) = (since_ms.start() + after_ms, since_ms.end() + after_ms + LATE_MS);
        assert!(now_ms >= due_ms, "{what} expired {} ms too early", due_ms - now_ms);
        assert!(now_ms <= last_ms, "{what} expired {} ms too late", now_ms - last_ms);
    }

    /// Checks at the end of a long world that nothing expired is left.
    pub(crate) fn check_that_all_has_expired(&self) {
        let left = &self.server.store.entries;
        assert!(left.is_empty(), "{} broadcasts were never forgotten", left.len());
        let idle_ms = Settings::default().idle_ms;
        for Activity { username, possible_ms, .. } in self.ages.sessions.values() {
            let stays = possible_ms + idle_ms + LATE_MS >= self.now.boot_ms;
            assert!(stays || !self.server.is_up(0), "{username} was idle for too long");
        }
    }
}

impl Ages {
    /// Forgets all sessions, since the server has ended.
    pub(crate) fn server_ended(&mut self) {
        self.sessions.clear();
    }
}

impl Activity {
    fn acts(&mut self, now_ms: u64) {
        (self.certain_ms, self.possible_ms) = (now_ms, now_ms);
    }
}

/// Returns true if a line is a user's command. The hub does not report refused ones.
pub(crate) fn is_activity(line: &Frame) -> bool {
    let request = Request::from_frame(line);
    request.is_ok_and(|request| {
        !matches!(
            request,
            Request::Ping
                | Request::Replay { .. }
                | Request::Prekey(_)
                | Request::Keys { .. }
                | Request::Devices { .. }
                | Request::Enrol { .. }
        )
    })
}
