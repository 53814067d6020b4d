//! The prekeys of this device: when to make one, when to publish it, when to delete it.

use letschat_protocol::prekey::{CLOCK_TOLERANCE_MS, PREKEY_ROTATION_MS, PrekeyPublic};

use crate::mail::StoredPrekey;

/// The longest time for which a server keeps an envelope.
const MAX_RETENTION_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// The time after a login in which the server's mail arrives.
const DRAINING_MS: u64 = 60_000;
/// The interval of checks.
const CHECK_MS: u64 = 60 * 60 * 1_000;

/// The prekeys, oldest first.
#[derive(Debug, Default)]
pub(super) struct Prekeys {
    stored: Vec<StoredPrekey>,
    /// The epoch of the server's log, once the session is logged in.
    epoch: Option<u64>,
    /// True if the server may have dropped the published prekey.
    is_dropped: bool,
    /// True while one is being made or published.
    is_busy: bool,
    /// The time of the next check on the boot clock.
    check_ms: Option<u64>,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Make a prekey.
    Make,
    /// Publish this one.
    Publish(StoredPrekey),
}

impl Prekeys {
    /// Returns the stored prekeys, in the order in which they were made.
    pub(super) fn new(stored: Vec<StoredPrekey>) -> Prekeys {
        Prekeys { stored, ..Prekeys::default() }
    }

    /// Notes a login at a server with a log of this epoch. A server that accepts the key of a device has its prekey. One
    /// that needs the password may have removed the key, and the prekey with it.
    pub(super) fn logged_in(&mut self, epoch: u64, by_key: bool, now_ms: u64) {
        self.epoch = Some(epoch);
        self.is_dropped = !by_key;
        self.is_busy = false;
        self.check_ms = Some(now_ms + DRAINING_MS);
    }

    /// Notes the end of the link.
    pub(super) fn link_ended(&mut self) {
        self.epoch = None;
        self.is_busy = false;
        self.check_ms = None;
    }

    pub(super) fn check_due_ms(&self) -> Option<u64> {
        self.check_ms
    }

    /// Begins the step that is due, if any.
    pub(super) fn begin(&mut self, wall_ms: u64) -> Option<Step> {
        let epoch = self.epoch.filter(|_| !self.is_busy)?;
        let step = match self.stored.last() {
            None => Some(Step::Make),
            Some(newest) if is_old(newest, wall_ms) => Some(Step::Make),
            Some(newest) => {
                let is_there = newest.published.is_some_and(|(_, at)| at == epoch);
                (!is_there || self.is_dropped).then_some(Step::Publish(*newest))
            }
        };
        self.is_busy = step.is_some();
        step
    }

    /// Adds a prekey that was made.
    pub(super) fn made(&mut self, prekey: StoredPrekey) {
        self.stored.push(prekey);
        self.is_busy = false;
    }

    /// Notes that the step failed. The next check tries again.
    pub(super) fn failed(&mut self) {
        self.is_busy = false;
    }

    /// Notes that the server has the newest prekey. Returns it, with the time of its first publication, and the
    /// epoch.
    pub(super) fn published(&mut self, wall_ms: u64) -> Option<(PrekeyPublic, u64, u64)> {
        self.is_busy = false;
        self.is_dropped = false;
        let epoch = self.epoch?;
        let newest = self.stored.last_mut()?;
        // The clock may have been ahead at the first publication.
        let first_ms = newest.published.map_or(wall_ms, |(at_ms, _)| at_ms.min(wall_ms));
        newest.published = Some((first_ms, epoch));
        Some((newest.key, first_ms, epoch))
    }

    /// Removes and returns the prekeys to which no envelope that the server still has can be sealed. `is_drained` is
    /// true if no envelope is being handled. Sets the time of the next check.
    pub(super) fn check(
        &mut self,
        now_ms: u64,
        wall_ms: u64,
        is_drained: bool,
    ) -> Vec<PrekeyPublic> {
        if self.check_ms.is_none_or(|due| due > now_ms) {
            return Vec::new();
        }
        self.check_ms = Some(now_ms + if is_drained { CHECK_MS } else { DRAINING_MS });
        if !is_drained {
            return Vec::new();
        }
        let is_over = |successor: &StoredPrekey| {
            let published = successor.published.map(|(at_ms, _)| at_ms);
            published.is_some_and(|at_ms| at_ms + MAX_RETENTION_MS + CLOCK_TOLERANCE_MS <= wall_ms)
        };
        let mut kept = Vec::new();
        let mut gone = Vec::new();
        for (place, prekey) in self.stored.iter().enumerate() {
            // A successor that was not published is followed by one that was, or it is the newest.
            match self.stored[place + 1..].iter().any(is_over) {
                true => gone.push(prekey.key),
                false => kept.push(*prekey),
            }
        }
        self.stored = kept;
        gone
    }
}

/// Returns true if a prekey needs a successor. One that was made in the future was made by a wrong clock. One that was
/// never published, as at a server of version 0.1, serves until it expires.
fn is_old(prekey: &StoredPrekey, wall_ms: u64) -> bool {
    if prekey.published.is_none() {
        return wall_ms >= prekey.until_ms;
    }
    wall_ms >= prekey.created_ms.saturating_add(PREKEY_ROTATION_MS)
        || prekey.created_ms > wall_ms.saturating_add(PREKEY_ROTATION_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_protocol::prekey::PREKEY_VALID_MS;

    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    const BEGIN: u64 = 1_000 * DAY_MS;

    fn made(byte: u8, created_ms: u64) -> StoredPrekey {
        StoredPrekey {
            key: PrekeyPublic([byte; 32]),
            created_ms,
            until_ms: created_ms + PREKEY_VALID_MS,
            published: None,
        }
    }

    /// Returns a device that made and published a prekey on day 0.
    fn device() -> Prekeys {
        let mut prekeys = Prekeys::default();
        prekeys.logged_in(1, true, 0);
        assert_eq!(prekeys.begin(BEGIN), Some(Step::Make));
        assert_eq!(prekeys.begin(BEGIN), None, "one step at a time");
        prekeys.made(made(1, BEGIN));
        assert_eq!(prekeys.begin(BEGIN), Some(Step::Publish(made(1, BEGIN))));
        prekeys.published(BEGIN);
        prekeys
    }

    /// Lets the device rotate on this day.
    fn rotate(prekeys: &mut Prekeys, byte: u8, day: u64) {
        let wall_ms = BEGIN + day * DAY_MS;
        assert_eq!(prekeys.begin(wall_ms), Some(Step::Make), "day {day}");
        prekeys.made(made(byte, wall_ms));
        prekeys.begin(wall_ms);
        prekeys.published(wall_ms);
    }

    fn gone(prekeys: &mut Prekeys, day: u64) -> Vec<PrekeyPublic> {
        prekeys.logged_in(1, true, 0);
        prekeys.check(DRAINING_MS, BEGIN + day * DAY_MS, true)
    }

    #[test]
    fn prekey_is_replaced_after_a_week() {
        let mut prekeys = device();
        assert_eq!(prekeys.begin(BEGIN + 7 * DAY_MS - 1), None);
        rotate(&mut prekeys, 2, 7);
    }

    #[test]
    fn old_prekey_is_deleted_when_the_server_has_forgotten_its_mail() {
        let mut prekeys = device();
        rotate(&mut prekeys, 2, 7);
        assert_eq!(gone(&mut prekeys, 37), []);
        assert_eq!(gone(&mut prekeys, 38), [PrekeyPublic([1; 32])]);
        assert_eq!(gone(&mut prekeys, 300), [], "the newest stays");
    }

    #[test]
    fn device_that_was_away_for_50_days_still_has_its_prekey() {
        let mut prekeys = device();
        rotate(&mut prekeys, 2, 50);
        assert_eq!(gone(&mut prekeys, 80), []);
        assert_eq!(gone(&mut prekeys, 81), [PrekeyPublic([1; 32])]);
    }

    #[test]
    fn nothing_is_deleted_while_mail_arrives() {
        let mut prekeys = device();
        rotate(&mut prekeys, 2, 7);
        prekeys.logged_in(1, true, 0);
        assert_eq!(prekeys.check(DRAINING_MS - 1, BEGIN + 90 * DAY_MS, true), []);
        assert_eq!(prekeys.check(DRAINING_MS, BEGIN + 90 * DAY_MS, false), []);
        assert_eq!(prekeys.check(DRAINING_MS * 2, BEGIN + 90 * DAY_MS, true).len(), 1);
    }

    #[test]
    fn unpublished_successor_deletes_nothing() {
        let mut prekeys = device();
        assert_eq!(prekeys.begin(BEGIN + 7 * DAY_MS), Some(Step::Make));
        prekeys.made(made(2, BEGIN + 7 * DAY_MS));
        assert_eq!(gone(&mut prekeys, 90), []);
    }

    #[test]
    fn server_that_lost_its_database_gets_the_prekey_again() {
        let mut prekeys = device();
        prekeys.logged_in(1, true, 0);
        assert_eq!(prekeys.begin(BEGIN), None);
        prekeys.logged_in(2, true, 0);
        assert!(matches!(prekeys.begin(BEGIN), Some(Step::Publish(_))));
    }

    #[test]
    fn login_by_password_publishes_the_prekey_again() {
        let mut prekeys = device();
        prekeys.logged_in(1, false, 0);
        assert!(matches!(prekeys.begin(BEGIN), Some(Step::Publish(_))));
        prekeys.published(BEGIN);
        assert_eq!(prekeys.begin(BEGIN), None);
    }

    #[test]
    fn prekey_that_no_server_takes_is_not_replaced_every_week() {
        let mut prekeys = Prekeys::new(vec![made(1, BEGIN)]);
        prekeys.logged_in(1, true, 0);
        assert!(matches!(prekeys.begin(BEGIN + 59 * DAY_MS), Some(Step::Publish(_))));
        prekeys.failed();
        assert_eq!(prekeys.begin(BEGIN + 60 * DAY_MS), Some(Step::Make));
    }

    #[test]
    fn prekey_from_the_future_is_replaced() {
        let mut prekeys = device();
        assert_eq!(prekeys.begin(BEGIN - 7 * DAY_MS), None, "clocks are off by days at times");
        assert_eq!(prekeys.begin(BEGIN - 7 * DAY_MS - 1), Some(Step::Make));
        prekeys.made(made(2, BEGIN - 7 * DAY_MS - 1));
        assert_eq!(gone(&mut prekeys, 20), [], "the clock was set back");
    }
}
