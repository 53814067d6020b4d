//! Free ports.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Mutex;

/// Returns a port that is free for TCP and UDP, and that no other test of this process has. It lies below the kernel's
/// ephemeral ports, so no other program gets it while its user is away.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap();
    let is_free = |port: &u16| {
        let place = (Ipv4Addr::LOCALHOST, *port);
        !given.contains(port) && TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok()
    };
    let mut ports = std::iter::repeat_with(|| fastrand::u16(20_000..32_000));
    let port = ports.find(is_free).unwrap();
    given.insert(port);
    port
}
