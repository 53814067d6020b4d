//! What a client does after its link to the server ended, and when.
//!
//! | reason | what the client does |
//! |---|---|
//! | link lost, server terminated, silent, not reading | comes back: after 0.5, 1, 2, then 4 s for 2 minutes, then every 30 s |
//! | busy, no server found | tries again after 5, 15, 45, 120, 240 s, then gives up and asks |
//! | idle | waits for its user, whose next request logs in again by key; comes back at once if it was asked to |
//! | kicked, penalty, replaced, wrong answers, too slow, flood | waits for its user |
//! | key changed, key unknown, login refused | stops and explains: no link ended, so nothing is tried |
//!
//! Every wait is jittered by a fifth, so that many clients do not come back at once.

use letschat_protocol::dialogue::Closing;

/// Why there is no link to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It broke.
    Lost,
    /// Nobody answers there.
    NoServer,
    /// The server closed it and said why.
    Closed(Closing),
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Back as soon as possible, for as long as it takes.
    Return,
    /// A few tries, then the user is asked.
    TryLater,
    /// Nothing until the user wants it.
    WaitForUser,
}

impl Reason {
    /// The table above.
    pub(super) fn action(self, return_after_idle: bool) -> Action {
        match self {
            Reason::Lost => Action::Return,
            Reason::NoServer => Action::TryLater,
            Reason::Closed(closing) => match closing {
                Closing::Terminated | Closing::Silent | Closing::NotReading => Action::Return,
                Closing::Busy => Action::TryLater,
                Closing::Idle if return_after_idle => Action::Return,
                Closing::Idle
                | Closing::Replaced
                | Closing::Kicked
                | Closing::Penalty
                | Closing::WrongAnswers
                | Closing::TooSlow
                | Closing::Flood => Action::WaitForUser,
            },
        }
    }

    /// A stable word for events and failures.
    pub(super) fn name(self) -> &'static str {
        match self {
            Reason::Lost => "lost",
            Reason::NoServer => "no_server",
            Reason::Closed(closing) => closing.name(),
        }
    }

    /// What happened, in a sentence.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Reason::Lost => "The connection to the server was lost.",
            Reason::NoServer => "No server answers there.",
            Reason::Closed(Closing::Idle) => {
                "You were idle for too long. Your next request to the server logs in again."
            }
            Reason::Closed(closing) => closing.sentence(),
        }
    }
}

const LATER_MS: [u64; 5] = [5_000, 15_000, 45_000, 120_000, 240_000];
const RETURN_MS: [u64; 4] = [500, 1_000, 2_000, 4_000];
/// After so long without success, tries become rare.
const RARE_AFTER_MS: u64 = 120_000;
const RARE_MS: u64 = 30_000;

/// How long to wait before try `attempt` (from 1), or `None` to give up. `since_ms` is how long
/// the link has been gone; `jitter` is from 0 to 1.
pub(super) fn wait_ms(action: Action, attempt: u32, since_ms: u64, jitter: f64) -> Option<u64> {
    let index = attempt.saturating_sub(1) as usize;
    let base = match action {
        Action::Return if since_ms >= RARE_AFTER_MS => RARE_MS,
        Action::Return => RETURN_MS[index.min(RETURN_MS.len() - 1)],
        Action::TryLater => *LATER_MS.get(index)?,
        Action::WaitForUser => return None,
    };
    let factor = 0.8 + 0.4 * jitter.clamp(0.0, 1.0);
    Some((base as f64 * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_server_is_tried_five_times_within_ten_minutes_even_at_the_longest() {
        let waits: Vec<u64> = (1..).map_while(|n| wait_ms(Action::TryLater, n, 0, 1.0)).collect();
        assert_eq!(waits.len(), 5);
        assert!(waits.iter().sum::<u64>() <= 600_000, "{waits:?}");
        assert!(wait_ms(Action::TryLater, 1, 0, 0.0) < wait_ms(Action::TryLater, 1, 0, 1.0));
    }

    #[test]
    fn a_lost_server_is_tried_soon_and_for_ever() {
        assert!(wait_ms(Action::Return, 1, 0, 1.0) <= Some(600));
        assert!(wait_ms(Action::Return, 1_000, 100_000, 1.0) <= Some(4_800));
        assert!(wait_ms(Action::Return, 1_000, RARE_AFTER_MS, 0.0) >= Some(24_000));
    }

    #[test]
    fn nobody_comes_back_uninvited_after_a_penalty_or_a_kick() {
        let closed = [Closing::Penalty, Closing::Kicked, Closing::Replaced, Closing::Idle];
        for closing in closed {
            assert_eq!(Reason::Closed(closing).action(false), Action::WaitForUser);
        }
        assert_eq!(Reason::Closed(Closing::Idle).action(true), Action::Return);
    }
}
