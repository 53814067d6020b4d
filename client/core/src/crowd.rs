//! The choice of the stranger to evict when all places are taken.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Returns the index of the oldest entry of the address with the most entries, or `None` if there
/// are none. `addresses` are sorted by age, oldest first.
pub fn gives_way(addresses: impl Iterator<Item = IpAddr>) -> Option<usize> {
    // For each network, the index of its oldest entry and the number of its entries.
    let mut networks: HashMap<IpAddr, (usize, usize)> = HashMap::new();
    for (index, address) in addresses.enumerate() {
        networks.entry(network(address)).or_insert((index, 0)).1 += 1;
    }
    let most = networks.into_values().max_by_key(|(oldest, count)| (*count, usize::MAX - oldest));
    most.map(|(oldest, _)| oldest)
}

/// Returns an IPv4 address, or the /64 of an IPv6 address, since one machine can own all of that.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn victim(addresses: &[&str]) -> Option<usize> {
        gives_way(addresses.iter().map(|address| address.parse().unwrap()))
    }

    #[test]
    fn oldest_of_the_address_with_the_most_gives_way() {
        assert_eq!(victim(&[]), None);
        assert_eq!(victim(&["10.0.0.1", "10.0.0.2", "10.0.0.2"]), Some(1));
        assert_eq!(victim(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]), Some(0), "all have as many");
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        assert_eq!(victim(&["10.0.0.1", "2001:db8::1", "2001:db8::2", "2001:db8:1::1"]), Some(1));
        assert_eq!(victim(&["10.0.0.2", "::ffff:10.0.0.1", "10.0.0.1"]), Some(1));
    }
}
