//! What the crowd has seen.

use std::fmt;
use std::time::{Duration, Instant};

/// Counted by the crowd's thread as it happens.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Clients that are logged in.
    pub(crate) logged_in: usize,
    /// Those of them whom UDP reaches: the server's head has come in a datagram.
    pub(crate) proven: usize,
    /// Tries to connect.
    pub(crate) dials: u64,
    /// Logins that came to their end.
    pub(crate) logins: u64,
    /// Broadcasts shown by clients.
    pub(crate) shown: u64,
    /// Of these, those that came over TCP.
    pub(crate) over_tcp: u64,
    /// The broadcasts that the crowd sent, in that order.
    pub(crate) broadcasts: Vec<Delivery>,
    /// How long each list took.
    pub(crate) lists: Vec<Duration>,
    /// What was asked and failed.
    pub(crate) failures: Vec<String>,
}

/// One broadcast's way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    /// When its sender's client was asked to send it.
    pub(crate) sent: Instant,
    /// How many clients have shown it.
    pub(crate) shown: usize,
    /// When the first of them did: by then it is committed.
    pub(crate) first: Instant,
    /// When the last of them did.
    pub(crate) last: Instant,
}

impl Tally {
    /// The next broadcast is sent. Its number is in its text, so that it is known when it comes.
    pub(super) fn send(&mut self) -> usize {
        let now = Instant::now();
        self.broadcasts.push(Delivery { sent: now, shown: 0, first: now, last: now });
        self.broadcasts.len() - 1
    }

    /// A client shows a broadcast.
    pub(super) fn show(&mut self, text: &str, over: &str) {
        self.shown += 1;
        self.over_tcp += u64::from(over == "tcp");
        let number = text.split(' ').next().and_then(|number| number.parse::<usize>().ok());
        if let Some(delivery) = number.and_then(|number| self.broadcasts.get_mut(number)) {
            delivery.last = Instant::now();
            if delivery.shown == 0 {
                delivery.first = delivery.last;
            }
            delivery.shown += 1;
        }
    }
}

/// For the sentence when something does not come about.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { logged_in, proven, dials, logins, shown, over_tcp, .. } = self;
        write!(
            f,
            "logged in {logged_in}, by UDP {proven}, dials {dials}, logins {logins}, \
             shown {shown}, of these over TCP {over_tcp}, sent {}, failures {}",
            self.broadcasts.len(),
            self.failures.len()
        )?;
        self.failures.last().map_or(Ok(()), |failure| write!(f, ", the last: {failure}"))
    }
}
