//! Free ports.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// Returns a port that is free for TCP and UDP. It lies below the kernel's ephemeral ports, so no other
/// program gets it while its user is away.
pub fn free_port() -> u16 {
    let is_free = |port: &u16| {
        let place = (Ipv4Addr::LOCALHOST, *port);
        TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok()
    };
    let mut ports = std::iter::repeat_with(|| fastrand::u16(20_000..32_000));
    ports.find(is_free).unwrap()
}
