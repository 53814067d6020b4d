//! Which of several strangers gives way when all places are taken.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// The index of the oldest entry of the address that has the most entries. `addresses` are in order
/// of age, the oldest first. `None` if there are none.
pub fn gives_way(addresses: impl Iterator<Item = IpAddr>) -> Option<usize> {
    // By network: where its oldest entry is, and how many it has.
    let mut networks: HashMap<IpAddr, (usize, usize)> = HashMap::new();
    for (index, address) in addresses.enumerate() {
        networks.entry(network(address)).or_insert((index, 0)).1 += 1;
    }
    let most = networks.into_values().max_by_key(|(oldest, count)| (*count, usize::MAX - oldest));
    most.map(|(oldest, _)| oldest)
}

/// An IPv4 address, or an IPv6 /64: one machine can have all addresses of that.
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
