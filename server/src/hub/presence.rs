//! The notices to watchers: arrivals and departures, batched over a short time.

use std::collections::BTreeSet;

use letschat_protocol::dialogue::Notice;
use letschat_protocol::username::Username;

/// The time over which changes are batched.
pub(super) const GATHER_MS: u64 = 200;

/// The most names in one notice. If more came or went, only their number is sent. This many of the
/// longest names fit a line.
pub(super) const MAX_NAMES: usize = 50;

/// The changes that watchers have not been told yet.
#[derive(Debug, Default)]
pub(super) struct Presence {
    joined: BTreeSet<Username>,
    left: BTreeSet<Username>,
    due_ms: Option<u64>,
}

impl Presence {
    /// Records an arrival. It cancels a pending departure of the same account.
    pub(super) fn join(&mut self, who: &Username, now_ms: u64) {
        if !self.left.remove(who) {
            self.joined.insert(who.clone());
        }
        self.due_ms.get_or_insert(now_ms + GATHER_MS);
    }

    /// Records a departure. It cancels a pending arrival of the same account.
    pub(super) fn leave(&mut self, who: &Username, now_ms: u64) {
        if !self.joined.remove(who) {
            self.left.insert(who.clone());
        }
        self.due_ms.get_or_insert(now_ms + GATHER_MS);
    }

    /// Returns the time of the next notice.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.due_ms
    }

    /// Takes the notices for watchers, if they are due.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Vec<Notice> {
        if self.due_ms.is_none_or(|due| due > now_ms) { Vec::new() } else { self.take() }
    }

    /// Takes the notices for watchers, even if they are not due.
    pub(super) fn take(&mut self) -> Vec<Notice> {
        self.due_ms = None;
        let joined: Vec<Username> = std::mem::take(&mut self.joined).into_iter().collect();
        let left: Vec<Username> = std::mem::take(&mut self.left).into_iter().collect();
        if joined.len() > MAX_NAMES || left.len() > MAX_NAMES {
            return vec![Notice::Crowd { joined: joined.len() as u64, left: left.len() as u64 }];
        }
        let mut notices = Vec::new();
        if !joined.is_empty() {
            notices.push(Notice::Joined(joined));
        }
        if !left.is_empty() {
            notices.push(Notice::Left(left));
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Username {
        text.parse().unwrap()
    }

    #[test]
    fn what_happens_within_a_moment_is_one_notice() {
        let mut presence = Presence::default();
        presence.join(&name("alice"), 0);
        presence.join(&name("bob"), GATHER_MS - 1);
        presence.leave(&name("carol"), GATHER_MS - 1);
        assert_eq!(presence.take_due(GATHER_MS - 1), []);
        let told = presence.take_due(GATHER_MS);
        let joined = Notice::Joined(vec![name("alice"), name("bob")]);
        assert_eq!(told, [joined, Notice::Left(vec![name("carol")])]);
        assert_eq!(presence.due_ms(), None);
    }

    #[test]
    fn a_reconnect_or_a_short_visit_is_not_told() {
        let mut presence = Presence::default();
        presence.leave(&name("alice"), 0);
        presence.join(&name("alice"), 1);
        presence.join(&name("bob"), 1);
        presence.leave(&name("bob"), 2);
        assert_eq!(presence.take_due(GATHER_MS), []);
    }

    #[test]
    fn a_crowd_is_counted_and_the_most_names_fit_a_line() {
        let mut presence = Presence::default();
        let longest = |n: usize| name(&format!("{}{n:02}", "x".repeat(30)));
        (0..MAX_NAMES).for_each(|n| presence.join(&longest(n), 0));
        let told = presence.take_due(GATHER_MS);
        let line = told[0].to_frame().to_bytes();
        assert!(line.len() <= letschat_protocol::limits::MAX_LINE_BYTES);
        (0..=MAX_NAMES).for_each(|n| presence.join(&longest(n), 0));
        let crowd = Notice::Crowd { joined: MAX_NAMES as u64 + 1, left: 0 };
        assert_eq!(presence.take_due(GATHER_MS), [crowd]);
    }
}
