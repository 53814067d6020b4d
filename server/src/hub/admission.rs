//! Who may wait at the door, and who is slowed there.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};

use super::ConnectionId;
use super::rate::Bucket;

/// Connections that are not logged in, bounded in all and for each address. When it is full, the
/// oldest leaves of the address that has most of them here: however fast silent ones come again, who
/// comes alone stays, unless they come from more addresses than there are places.
#[derive(Debug, Default)]
pub(super) struct Antechamber {
    waiting: usize,
    by_neighbour: HashMap<Neighbour, BTreeSet<ConnectionId>>,
}

/// Connections that may wait in all.
pub(crate) const ANTECHAMBER_PLACES: usize = 256;
/// Connections that may wait from one address.
pub(super) const MAX_WAITING_PER_ADDRESS: usize = 16;

/// What counts as one address: an IPv4 address, or an IPv6 /64, which one household has to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Neighbour(IpAddr);

impl From<IpAddr> for Neighbour {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let network = v6.to_bits() & (u128::MAX << 64);
                Neighbour(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
            v4 => Neighbour(v4),
        }
    }
}

impl Antechamber {
    /// Lets a connection in and says who has to leave for it, if anybody. Connections count up,
    /// so the oldest is the smallest.
    pub(super) fn enter(&mut self, connection: ConnectionId, from: IpAddr) -> Option<ConnectionId> {
        let neighbours = self.by_neighbour.entry(from.into()).or_default();
        self.waiting += usize::from(neighbours.insert(connection));
        if neighbours.len() > MAX_WAITING_PER_ADDRESS {
            return neighbours.first().copied();
        }
        if self.waiting > ANTECHAMBER_PLACES { self.oldest_of_the_most() } else { None }
    }

    /// Looks at every address: there are hardly more of them than places.
    fn oldest_of_the_most(&self) -> Option<ConnectionId> {
        let oldest = |group: &BTreeSet<ConnectionId>| {
            group.first().map(|oldest| (Reverse(group.len()), *oldest))
        };
        self.by_neighbour.values().filter_map(oldest).min().map(|(_, oldest)| oldest)
    }

    /// It logged in or went away.
    pub(super) fn leave(&mut self, connection: ConnectionId, from: IpAddr) {
        let neighbour = Neighbour::from(from);
        if let Some(neighbours) = self.by_neighbour.get_mut(&neighbour) {
            self.waiting -= usize::from(neighbours.remove(&connection));
            if neighbours.is_empty() {
                self.by_neighbour.remove(&neighbour);
            }
        }
    }
}

/// Failed logins by address. After a few, further tries from there begin only one after another
/// and later and later; a success costs nothing. It is the try that waits and not its answer:
/// whoever hangs up instead of waiting for the answer gains nothing.
#[derive(Debug, Default)]
pub(super) struct Failures {
    by_neighbour: HashMap<Neighbour, Failed>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    count: u32,
    last_ms: u64,
    /// The next try may begin then.
    next_ms: u64,
}

/// So many failures cost nothing: fingers slip.
const FREE_FAILURES: u32 = 3;
const FIRST_DELAY_MS: u64 = 250;
const MAX_DELAY_MS: u64 = 5_000;
/// Nobody is kept waiting for longer than this; a try that would have to is refused.
const MAX_WAIT_MS: u64 = 15_000;
/// One failure is forgiven in each such time.
const FORGIVEN_MS: u64 = 30_000;
/// Addresses remembered at once; when there are more, those that failed least recently go.
const MAX_ADDRESSES: usize = 4_096;

/// Too many tries wait already; in so many milliseconds it is worth another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany(pub(super) u64);

impl Failures {
    /// How long a try from this address has to wait before it begins.
    pub(super) fn wait_ms(&mut self, from: IpAddr, now_ms: u64) -> Result<u64, TooMany> {
        let Some(failed) = self.by_neighbour.get_mut(&Neighbour::from(from)) else {
            return Ok(0);
        };
        let begins_ms = failed.next_ms.max(now_ms);
        let wait_ms = begins_ms - now_ms;
        if wait_ms > MAX_WAIT_MS {
            return Err(TooMany(wait_ms - MAX_WAIT_MS));
        }
        failed.next_ms = begins_ms + failed.delay_ms(now_ms);
        Ok(wait_ms)
    }

    /// Counts a failure.
    pub(super) fn count(&mut self, from: IpAddr, now_ms: u64) {
        let neighbour = Neighbour::from(from);
        if self.by_neighbour.len() >= MAX_ADDRESSES && !self.by_neighbour.contains_key(&neighbour) {
            self.make_room(now_ms);
        }
        let first = Failed { count: 0, last_ms: now_ms, next_ms: now_ms };
        let failed = self.by_neighbour.entry(neighbour).or_insert(first);
        failed.count = failed.remaining(now_ms) + 1;
        failed.last_ms = now_ms;
        failed.next_ms = failed.next_ms.max(now_ms + failed.delay_ms(now_ms));
    }

    fn make_room(&mut self, now_ms: u64) {
        self.by_neighbour.retain(|_, failed| failed.remaining(now_ms) > 0);
        if self.by_neighbour.len() >= MAX_ADDRESSES {
            let mut times: Vec<u64> =
                self.by_neighbour.values().map(|failed| failed.last_ms).collect();
            times.sort_unstable();
            let median = times[times.len() / 2];
            self.by_neighbour.retain(|_, failed| failed.last_ms > median);
        }
    }
}

impl Failed {
    fn remaining(self, now_ms: u64) -> u32 {
        let forgiven = now_ms.saturating_sub(self.last_ms) / FORGIVEN_MS;
        self.count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }

    fn delay_ms(self, now_ms: u64) -> u64 {
        match self.remaining(now_ms).checked_sub(FREE_FAILURES) {
            None | Some(0) => 0,
            Some(beyond) => MAX_DELAY_MS.min(FIRST_DELAY_MS << (beyond - 1).min(10)),
        }
    }
}

/// Sign-ups by address: many at once, as from a class behind one address, then slowly.
#[derive(Debug)]
pub(super) struct SignUps {
    burst: u32,
    interval_ms: u64,
    by_neighbour: HashMap<Neighbour, Bucket>,
}

impl SignUps {
    pub(super) fn new(burst: u32, interval_ms: u64) -> Self {
        SignUps { burst, interval_ms, by_neighbour: HashMap::new() }
    }

    /// Counts a sign-up, or says in how many milliseconds there may be one.
    pub(super) fn take(&mut self, from: IpAddr, now_ms: u64) -> Result<(), u64> {
        if self.by_neighbour.len() >= MAX_ADDRESSES {
            self.by_neighbour.retain(|_, bucket| !bucket.is_full(now_ms));
        }
        if self.by_neighbour.len() >= MAX_ADDRESSES {
            return Err(self.interval_ms);
        }
        let bucket = self.by_neighbour.entry(from.into());
        bucket.or_insert_with(|| Bucket::new(self.burst, self.interval_ms)).take(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n))
    }

    #[test]
    fn the_oldest_of_an_address_leaves_first_and_others_stay() {
        let mut antechamber = Antechamber::default();
        assert_eq!(antechamber.enter(ConnectionId(0), address(1)), None);
        for n in 1..=MAX_WAITING_PER_ADDRESS as u64 {
            assert_eq!(antechamber.enter(ConnectionId(n), address(2)), None);
        }
        let next = ConnectionId(MAX_WAITING_PER_ADDRESS as u64 + 1);
        assert_eq!(antechamber.enter(next, address(2)), Some(ConnectionId(1)));
    }

    #[test]
    fn the_oldest_of_all_leaves_when_all_places_are_taken() {
        let mut antechamber = Antechamber::default();
        for n in 0..ANTECHAMBER_PLACES as u64 {
            assert_eq!(antechamber.enter(ConnectionId(n), address(n as u32)), None);
        }
        let next = ConnectionId(ANTECHAMBER_PLACES as u64);
        assert_eq!(antechamber.enter(next, address(9_999)), Some(ConnectionId(0)));
        antechamber.leave(ConnectionId(0), address(0));
        antechamber.leave(ConnectionId(1), address(1));
        assert_eq!(antechamber.enter(ConnectionId(1_000), address(8_888)), None);
    }

    #[test]
    fn a_crowd_of_few_addresses_pushes_out_its_own_and_nobody_who_came_before_it() {
        let mut antechamber = Antechamber::default();
        assert_eq!(antechamber.enter(ConnectionId(0), address(0)), None);
        for n in 1..10 * ANTECHAMBER_PLACES as u64 {
            let from = address(1 + n as u32 % (ANTECHAMBER_PLACES as u32 - 2));
            if let Some(leaves) = antechamber.enter(ConnectionId(n), from) {
                assert_ne!(leaves, ConnectionId(0), "when {n} came");
                let of = address(1 + leaves.0 as u32 % (ANTECHAMBER_PLACES as u32 - 2));
                antechamber.leave(leaves, of);
            }
        }
        assert_eq!(antechamber.waiting, ANTECHAMBER_PLACES);
    }

    #[test]
    fn a_household_of_ipv6_addresses_counts_as_one() {
        let mut antechamber = Antechamber::default();
        let leaves = (0..=MAX_WAITING_PER_ADDRESS as u64).filter_map(|n| {
            let from = format!("2001:db8::{n:x}").parse().unwrap();
            antechamber.enter(ConnectionId(n), from)
        });
        assert_eq!(leaves.collect::<Vec<_>>(), [ConnectionId(0)]);
    }

    #[test]
    fn failures_slow_further_tries_from_their_own_address_and_are_forgiven() {
        let mut failures = Failures::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            waits.push(failures.wait_ms(address(1), 1_000).unwrap());
            failures.count(address(1), 1_000);
        }
        assert_eq!(waits[..4], [0, 0, 0, 0]);
        assert!(waits[4..].is_sorted_by(|a, b| a < b) && waits[4] >= FIRST_DELAY_MS, "{waits:?}");
        assert_eq!(failures.wait_ms(address(2), 1_000), Ok(0));
        assert_eq!(failures.wait_ms(address(1), 1_000 + 100 * FORGIVEN_MS), Ok(0));
    }

    #[test]
    fn tries_that_are_given_up_still_take_their_turn() {
        let mut failures = Failures::default();
        (0..20).for_each(|_| failures.count(address(1), 0));
        let begun = (0..1_000).filter(|_| failures.wait_ms(address(1), 0).is_ok()).count();
        assert!(begun as u64 <= 1 + MAX_WAIT_MS / MAX_DELAY_MS, "{begun} tries may begin");
        assert!(matches!(failures.wait_ms(address(1), 0), Err(TooMany(wait)) if wait > 0));
    }

    #[test]
    fn a_class_signs_up_at_once_and_then_it_goes_slowly() {
        let mut sign_ups = SignUps::new(50, 10_000);
        assert!((0..50).all(|_| sign_ups.take(address(1), 0).is_ok()));
        assert_eq!(sign_ups.take(address(1), 0), Err(10_000));
        assert_eq!(sign_ups.take(address(2), 0), Ok(()));
        assert_eq!(sign_ups.take(address(1), 10_000), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_that_sign_up_is_refused_until_the_first_are_forgotten() {
        let mut sign_ups = SignUps::new(1, 10_000);
        let flood = MAX_ADDRESSES as u32;
        assert!((0..flood).all(|n| sign_ups.take(address(n), 0).is_ok()));
        assert_eq!(sign_ups.take(address(flood), 0), Err(10_000));
        assert_eq!(sign_ups.take(address(flood), 10_000), Ok(()));
        assert_eq!(sign_ups.by_neighbour.len(), 1);
    }

    #[test]
    fn a_flood_of_addresses_does_not_grow_the_memory() {
        let mut failures = Failures::default();
        for n in 0..3 * MAX_ADDRESSES as u32 {
            failures.count(address(n), u64::from(n));
        }
        assert!(failures.by_neighbour.len() <= MAX_ADDRESSES);
    }
}
