//! Ports for programs that are told one.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A port that is free for TCP and UDP. It lies below those that the kernel gives out by itself, so
/// that nothing else on the machine is given it while whoever has it is away.
pub fn free_port() -> u16 {
    let is_free = |port: &u16| {
        let place = (Ipv4Addr::LOCALHOST, *port);
        TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok()
    };
    let mut ports = std::iter::repeat_with(|| fastrand::u16(20_000..32_000));
    ports.find(is_free).unwrap()
}
