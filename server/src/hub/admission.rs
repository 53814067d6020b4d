//! Limits on connections that are not logged in, on failed logins and on sign-ups.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use super::ConnectionId;
use super::rate::{Bucket, Buckets};

/// A group of addresses that share a limit. An IPv6 address counts both for its household and for
/// its site, since a site has 65,536 households.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum AddressBlock {
    /// A single IPv4 address.
    Address(Ipv4Addr),
    /// An IPv6 /64, the network of one household.
    Household(u128),
    /// An IPv6 /48, the largest network that one subscriber usually has (RFC 6177).
    Site(u128),
}

/// The limit of a site, in households.
const HOUSEHOLDS_PER_SITE: u32 = 4;

impl AddressBlock {
    /// Returns all blocks of an address, the widest last.
    fn all(address: IpAddr) -> impl Iterator<Item = AddressBlock> {
        let (first, second) = match address.to_canonical() {
            IpAddr::V4(v4) => (AddressBlock::Address(v4), None),
            IpAddr::V6(v6) => {
                let network = |bits: u32| v6.to_bits() & (u128::MAX << (128 - bits));
                (AddressBlock::Household(network(64)), Some(AddressBlock::Site(network(48))))
            }
        };
        [first].into_iter().chain(second)
    }

    /// Returns the widest block of an address.
    pub(super) fn widest(address: IpAddr) -> Option<AddressBlock> {
        AddressBlock::all(address).last()
    }

    /// Returns the block's limit, in households.
    fn share(self) -> u32 {
        match self {
            AddressBlock::Address(_) | AddressBlock::Household(_) => 1,
            AddressBlock::Site(_) => HOUSEHOLDS_PER_SITE,
        }
    }

    /// Returns true for the widest block of its addresses.
    fn is_widest(self) -> bool {
        !matches!(self, AddressBlock::Household(_))
    }
}

/// Connections that are not logged in, bounded in total and for each block. When the places are
/// full, the oldest connection of the block with the most connections is evicted. Silent clients of
/// few addresses can therefore never evict a client of another one.
#[derive(Debug)]
pub(super) struct PreLogin {
    max_per_address: usize,
    waiting: usize,
    by_block: HashMap<AddressBlock, BTreeSet<ConnectionId>>,
}

/// The most connections that may wait in total.
pub(crate) const PRE_LOGIN_PLACES: usize = 256;
/// The most connections that may wait from one address, outside of a classroom.
pub(super) const MAX_WAITING_PER_ADDRESS: usize = 16;

impl PreLogin {
    /// Returns free places, of which one address may take this many.
    pub(super) fn new(max_per_address: usize) -> Self {
        PreLogin { max_per_address, waiting: 0, by_block: HashMap::new() }
    }

    /// Admits a connection and returns the one to evict for it, if any. Ids count up, so the oldest
    /// connection has the smallest.
    pub(super) fn enter(&mut self, connection: ConnectionId, from: IpAddr) -> Option<ConnectionId> {
        let mut leaves = None;
        for block in AddressBlock::all(from) {
            let waiting = self.by_block.entry(block).or_default();
            let is_new = waiting.insert(connection);
            self.waiting += usize::from(is_new && block.is_widest());
            if waiting.len() > self.max_per_address * block.share() as usize {
                leaves = leaves.or(waiting.first().copied());
            }
        }
        leaves.or_else(|| {
            (self.waiting > PRE_LOGIN_PLACES).then(|| self.oldest_of_the_most()).flatten()
        })
    }

    /// Finds the connection to evict by scanning all addresses, of which there are hardly more than
    /// places.
    fn oldest_of_the_most(&self) -> Option<ConnectionId> {
        let oldest = |group: &BTreeSet<ConnectionId>| {
            group.first().map(|oldest| (Reverse(group.len()), *oldest))
        };
        let widest = self.by_block.iter().filter(|(block, _)| block.is_widest());
        widest.filter_map(|(_, group)| oldest(group)).min().map(|(_, oldest)| oldest)
    }

    /// Removes a connection that logged in or left.
    pub(super) fn leave(&mut self, connection: ConnectionId, from: IpAddr) {
        for block in AddressBlock::all(from) {
            let Some(waiting) = self.by_block.get_mut(&block) else {
                continue;
            };
            let was_there = waiting.remove(&connection);
            self.waiting -= usize::from(was_there && block.is_widest());
            if waiting.is_empty() {
                self.by_block.remove(&block);
            }
        }
    }
}

/// Failed logins by address. After a few failures, further attempts from there start one at a time
/// with growing delays; a success adds none. The attempt is delayed and not its answer, so that
/// hanging up early gains nothing.
#[derive(Debug, Default)]
pub(super) struct Failures {
    by_block: HashMap<AddressBlock, Failed>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    /// The number of failures without a delay.
    free: u32,
    count: u32,
    last_ms: u64,
    /// The earliest start of the next attempt.
    next_ms: u64,
}

/// The number of a household's failures without a delay, to allow for typing errors.
const FREE_FAILURES: u32 = 3;
const FIRST_DELAY_MS: u64 = 250;
const MAX_DELAY_MS: u64 = 5_000;
/// The longest delay. An attempt that would have to wait longer is refused.
const MAX_WAIT_MS: u64 = 15_000;
/// The interval after which one failure is forgiven.
const FORGIVEN_MS: u64 = 30_000;
/// The most addresses that are remembered. Beyond it, those that failed least recently are evicted.
const MAX_ADDRESSES: usize = 4_096;

/// The error for too many waiting attempts, with the milliseconds until the next is allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany(pub(super) u64);

impl Failures {
    /// Returns the wait before an attempt from this address may start.
    pub(super) fn wait_ms(&mut self, from: IpAddr, now_ms: u64) -> Result<u64, TooMany> {
        let next = AddressBlock::all(from).filter_map(|block| self.by_block.get(&block));
        let begins_ms = next.map(|failed| failed.next_ms).max().unwrap_or(0).max(now_ms);
        let wait_ms = begins_ms - now_ms;
        if wait_ms > MAX_WAIT_MS {
            return Err(TooMany(wait_ms - MAX_WAIT_MS));
        }
        for block in AddressBlock::all(from) {
            let failed = self.by_block.get_mut(&block);
            // A site that has not used up its own free failures does not wait for one of its
            // households.
            if let Some(failed) = failed.filter(|failed| failed.delay_ms(now_ms) > 0) {
                failed.next_ms = begins_ms + failed.delay_ms(now_ms);
            }
        }
        Ok(wait_ms)
    }

    /// Counts a failure.
    pub(super) fn count(&mut self, from: IpAddr, now_ms: u64) {
        for block in AddressBlock::all(from) {
            let is_new = !self.by_block.contains_key(&block);
            if is_new && self.by_block.len() >= MAX_ADDRESSES {
                self.make_room(now_ms);
            }
            let free = FREE_FAILURES * block.share();
            let first = Failed { free, count: 0, last_ms: now_ms, next_ms: now_ms };
            let failed = self.by_block.entry(block).or_insert(first);
            failed.count = failed.remaining(now_ms).saturating_add(1);
            failed.last_ms = now_ms;
            failed.next_ms = failed.next_ms.max(now_ms + failed.delay_ms(now_ms));
        }
    }

    fn make_room(&mut self, now_ms: u64) {
        self.by_block.retain(|_, failed| failed.remaining(now_ms) > 0);
        if self.by_block.len() >= MAX_ADDRESSES {
            let mut times: Vec<u64> = self.by_block.values().map(|failed| failed.last_ms).collect();
            times.sort_unstable();
            let median = times[times.len() / 2];
            self.by_block.retain(|_, failed| failed.last_ms > median);
        }
    }
}

impl Failed {
    fn remaining(self, now_ms: u64) -> u32 {
        let forgiven = now_ms.saturating_sub(self.last_ms) / FORGIVEN_MS;
        self.count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }

    fn delay_ms(self, now_ms: u64) -> u64 {
        match self.remaining(now_ms).checked_sub(self.free) {
            None | Some(0) => 0,
            Some(beyond) => MAX_DELAY_MS.min(FIRST_DELAY_MS << (beyond - 1).min(10)),
        }
    }
}

/// A rate limit of sign-ups by address: a burst, as from a class behind one address, then slowly.
/// Failed attempts count as well, and cost only their sender.
#[derive(Debug)]
pub(super) struct SignUps {
    burst: u32,
    interval_ms: u64,
    buckets: Buckets<AddressBlock>,
}

impl SignUps {
    pub(super) fn new(burst: u32, interval_ms: u64) -> Self {
        SignUps { burst, interval_ms, buckets: Buckets::default() }
    }

    /// Counts a sign-up, or returns the milliseconds until the next is allowed.
    pub(super) fn take(&mut self, from: IpAddr, now_ms: u64) -> Result<(), u64> {
        let waits = AddressBlock::all(from).map(|block| self.buckets.wait_ms(&block, now_ms));
        if let Some(wait_ms) = waits.max().filter(|wait_ms| *wait_ms > 0) {
            return Err(wait_ms);
        }
        for block in AddressBlock::all(from) {
            let share = block.share();
            let burst = self.burst.saturating_mul(share);
            let bucket = Bucket::new(burst, self.interval_ms / u64::from(share));
            self.buckets.take(block, bucket, now_ms)?;
        }
        Ok(())
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
        let mut pre_login = PreLogin::new(MAX_WAITING_PER_ADDRESS);
        assert_eq!(pre_login.enter(ConnectionId(0), address(1)), None);
        for n in 1..=MAX_WAITING_PER_ADDRESS as u64 {
            assert_eq!(pre_login.enter(ConnectionId(n), address(2)), None);
        }
        let next = ConnectionId(MAX_WAITING_PER_ADDRESS as u64 + 1);
        assert_eq!(pre_login.enter(next, address(2)), Some(ConnectionId(1)));
    }

    #[test]
    fn the_oldest_of_all_leaves_when_all_places_are_taken() {
        let mut pre_login = PreLogin::new(MAX_WAITING_PER_ADDRESS);
        for n in 0..PRE_LOGIN_PLACES as u64 {
            assert_eq!(pre_login.enter(ConnectionId(n), address(n as u32)), None);
        }
        let next = ConnectionId(PRE_LOGIN_PLACES as u64);
        assert_eq!(pre_login.enter(next, address(9_999)), Some(ConnectionId(0)));
        pre_login.leave(ConnectionId(0), address(0));
        pre_login.leave(ConnectionId(1), address(1));
        assert_eq!(pre_login.enter(ConnectionId(1_000), address(8_888)), None);
    }

    #[test]
    fn crowd_of_few_addresses_pushes_out_only_its_own() {
        let mut pre_login = PreLogin::new(MAX_WAITING_PER_ADDRESS);
        assert_eq!(pre_login.enter(ConnectionId(0), address(0)), None);
        for n in 1..10 * PRE_LOGIN_PLACES as u64 {
            let from = address(1 + n as u32 % (PRE_LOGIN_PLACES as u32 - 2));
            if let Some(leaves) = pre_login.enter(ConnectionId(n), from) {
                assert_ne!(leaves, ConnectionId(0), "when {n} came");
                let of = address(1 + leaves.0 as u32 % (PRE_LOGIN_PLACES as u32 - 2));
                pre_login.leave(leaves, of);
            }
        }
        assert_eq!(pre_login.waiting, PRE_LOGIN_PLACES);
    }

    #[test]
    fn a_household_of_ipv6_addresses_counts_as_one() {
        let mut pre_login = PreLogin::new(MAX_WAITING_PER_ADDRESS);
        let leaves = (0..=MAX_WAITING_PER_ADDRESS as u64).filter_map(|n| {
            let from = format!("2001:db8::{n:x}").parse().unwrap();
            pre_login.enter(ConnectionId(n), from)
        });
        assert_eq!(leaves.collect::<Vec<_>>(), [ConnectionId(0)]);
    }

    #[test]
    fn failures_slow_their_own_address_and_are_forgiven() {
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
    fn a_crowd_that_signs_up_closes_sign_up_to_nobody_else() {
        let mut sign_ups = SignUps::new(50, 10_000);
        for n in 0..5_000 {
            assert!((0..3).all(|_| sign_ups.take(address(n), 0).is_ok()), "address {n}");
        }
        assert_eq!(sign_ups.take(address(9_999), 0), Ok(()));
    }

    #[test]
    fn an_ipv6_site_signs_up_as_four_households() {
        let mut sign_ups = SignUps::new(50, 10_000);
        let at = |site: u32, n: u32| format!("2001:db8:{site:x}:{n:x}::1").parse().unwrap();
        let taken = (0..1_000).filter(|n| sign_ups.take(at(1, *n), 0).is_ok());
        assert_eq!(taken.count(), 200);
        assert_eq!(sign_ups.take(at(1, 5_000), 0), Err(2_500));
        assert_eq!(sign_ups.take(at(2, 0), 0), Ok(()));
        assert!((1..50).all(|_| sign_ups.take(at(2, 0), 0).is_ok()));
        assert_eq!(sign_ups.take(at(2, 0), 0), Err(10_000));
    }

    #[test]
    fn failures_of_an_ipv6_site_count_together() {
        let mut failures = Failures::default();
        let at = |site: u32, n: u32| format!("2001:db8:{site:x}:{n:x}::1").parse().unwrap();
        let waits = (0..100).map(|n| {
            let wait_ms = failures.wait_ms(at(1, n), 0);
            failures.count(at(1, n), 0);
            wait_ms
        });
        assert!(waits.skip(13).all(|wait_ms| wait_ms != Ok(0)));
        assert_eq!(failures.wait_ms(at(2, 0), 0), Ok(0));
    }

    #[test]
    fn a_household_that_waits_holds_up_no_other_of_its_site() {
        let mut failures = Failures::default();
        let at = |n: u32| format!("2001:db8:1:{n:x}::1").parse().unwrap();
        for _ in 0..8 {
            failures.count(at(1), 0);
        }
        let waits: Vec<_> = (0..3).map(|_| failures.wait_ms(at(1), 0)).collect();
        assert!(waits[2] != Ok(0), "{waits:?}");
        assert_eq!(failures.wait_ms(at(2), 0), Ok(0));
    }

    #[test]
    fn a_crowd_of_an_ipv6_site_pushes_out_nobody_elsewhere() {
        let mut pre_login = PreLogin::new(MAX_WAITING_PER_ADDRESS);
        assert_eq!(pre_login.enter(ConnectionId(0), address(0)), None);
        for n in 1..10 * PRE_LOGIN_PLACES as u64 {
            let from = |n: u64| format!("2001:db8:1:{n:x}::1").parse().unwrap();
            if let Some(leaves) = pre_login.enter(ConnectionId(n), from(n)) {
                assert_ne!(leaves, ConnectionId(0), "when {n} came");
                pre_login.leave(leaves, from(leaves.0));
            }
        }
        assert_eq!(pre_login.waiting, 1 + 4 * MAX_WAITING_PER_ADDRESS);
        assert_eq!(pre_login.by_block.len(), 2 + 4 * MAX_WAITING_PER_ADDRESS);
    }

    #[test]
    fn a_flood_of_addresses_does_not_grow_the_memory() {
        let mut failures = Failures::default();
        for n in 0..3 * MAX_ADDRESSES as u32 {
            failures.count(address(n), u64::from(n));
        }
        assert!(failures.by_block.len() <= MAX_ADDRESSES);
    }
}
