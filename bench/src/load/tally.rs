//! The crowd's counters.

use std::fmt;
use std::time::{Duration, Instant};

use super::correspondence::MailTally;

/// Counters that the crowd's thread updates.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Clients that are logged in.
    pub(crate) logged_in: usize,
    /// Logged-in clients that UDP reaches: they got the server's head in a datagram.
    pub(crate) proven: usize,
    /// Attempts to connect.
    pub(crate) dials: u64,
    /// Completed logins.
    pub(crate) logins: u64,
    /// Broadcasts shown by clients.
    pub(crate) shown: u64,
    /// Broadcasts shown that arrived over TCP.
    pub(crate) over_tcp: u64,
    /// The crowd's broadcasts, in the order of sending.
    pub(crate) broadcasts: Vec<Delivery>,
    /// The durations of requests for the list.
    pub(crate) lists: Vec<Duration>,
    /// The crowd's envelopes.
    pub(crate) mail: MailTally,
    /// Failed requests.
    pub(crate) failures: Vec<String>,
}

/// The delivery of one broadcast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    /// The time at which the sender's client was told to send it.
    pub(crate) sent: Instant,
    /// The number of clients that have shown it.
    pub(crate) shown: usize,
    /// The time of the first showing, by which it is committed.
    pub(crate) first: Instant,
    /// The time of the last showing.
    pub(crate) last: Instant,
}

impl Tally {
    /// Records the next broadcast. Its text contains its number, which identifies it on arrival.
    pub(super) fn send(&mut self) -> usize {
        let now = Instant::now();
        self.broadcasts.push(Delivery { sent: now, shown: 0, first: now, last: now });
        self.broadcasts.len() - 1
    }

    /// Records that a client shows a broadcast.
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

/// The text for an error after a timeout.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { logged_in, proven, dials, logins, shown, over_tcp, mail, .. } = self;
        write!(
            f,
            "logged in {logged_in}, by UDP {proven}, dials {dials}, logins {logins}, \
             shown {shown}, of these over TCP {over_tcp}, sent {}, envelopes posted {}, \
             delivered {}, acknowledged {}, failures {}",
            self.broadcasts.len(),
            mail.posted,
            mail.delivered,
            mail.acknowledged,
            self.failures.len()
        )?;
        self.failures.last().map_or(Ok(()), |failure| write!(f, ", the last: {failure}"))
    }
}
