//! The one port, for TCP and for UDP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// The length of the kernel's accept queue. The usual 128 is full at once when everybody reconnects
/// after a restart.
const BACKLOG: i32 = 4096;

/// The kernel's send buffer of a connection, in bytes; the kernel doubles it for its own needs. Its
/// default grows to megabytes for each connection, and a client that does not read would be noticed
/// only when these are full. This size suffices for a page over a long distance.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// The kernel's receive buffer for bursts of datagrams, in bytes. The system may limit it to less.
const DATAGRAM_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// The number of tries for a port that is free for TCP and UDP alike.
const PORT_TRIES: usize = 32;

/// The two sockets, on one address and port.
pub(crate) struct Ports {
    pub(crate) tcp: TcpListener,
    pub(crate) udp: UdpSocket,
    pub(crate) address: SocketAddr,
}

impl Ports {
    /// Opens both sockets. Without an address they listen on all, IPv6 and IPv4, or IPv4 alone on a
    /// machine without IPv6. Port 0 is any that is free for both.
    pub(crate) fn open(listen: Option<IpAddr>, port: u16) -> io::Result<Ports> {
        open_somewhere(listen, port, Ports::open_at)
    }

    fn open_at(address: SocketAddr) -> io::Result<Ports> {
        let tries = if address.port() == 0 { PORT_TRIES } else { 1 };
        let mut result = Ports::try_open(address);
        for _ in 1..tries {
            match &result {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    result = Ports::try_open(address);
                }
                _ => break,
            }
        }
        result
    }

    /// Opens both sockets. TCP listens last, so that no client connects before the UDP port is
    /// known to be free.
    fn try_open(address: SocketAddr) -> io::Result<Ports> {
        let tcp = socket(address, Type::STREAM, Protocol::TCP)?;
        // For TCP this only skips the wait for the old server's connections to time out. For UDP it
        // would let two servers share a port, so it is not set there.
        tcp.set_reuse_address(true)?;
        // Every connection inherits it.
        tcp.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        tcp.bind(&SockAddr::from(address))?;
        let tcp = TcpListener::from(tcp);
        let address = tcp.local_addr()?;

        let udp = udp_socket(address)?;

        socket2::SockRef::from(&tcp).listen(BACKLOG)?;
        Ok(Ports { tcp, udp, address })
    }
}

/// Opens a UDP port alone, on the same addresses as [`Ports::open`].
pub(crate) fn open_udp(listen: Option<IpAddr>, port: u16) -> io::Result<UdpSocket> {
    open_somewhere(listen, port, udp_socket)
}

/// Opens a socket on this address, or on all addresses.
fn open_somewhere<T>(
    listen: Option<IpAddr>,
    port: u16,
    open_at: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    if let Some(address) = listen {
        return open_at(SocketAddr::new(address, port));
    }
    match open_at(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            open_at(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
        }
        result => result,
    }
}

fn udp_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let udp = socket(address, Type::DGRAM, Protocol::UDP)?;
    udp.set_recv_buffer_size(DATAGRAM_BUFFER_BYTES)?;
    udp.set_send_buffer_size(DATAGRAM_BUFFER_BYTES)?;
    udp.bind(&SockAddr::from(address))?;
    Ok(udp.into())
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

/// Converts an IPv4-mapped IPv6 address to IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        // Unchanged, because a link-local address needs its scope.
        IpAddr::V6(_) => address,
    }
}

/// Converts back from [`canonical`], for sending through an IPv6 socket.
pub(crate) fn through_ipv6(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        SocketAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sockets_have_the_same_port() {
        let ports = Ports::open(Some(Ipv4Addr::LOCALHOST.into()), 0).unwrap();
        assert_ne!(ports.address.port(), 0);
        assert_eq!(ports.udp.local_addr().unwrap(), ports.address);
        assert_eq!(ports.tcp.local_addr().unwrap(), ports.address);
    }

    #[test]
    fn a_port_that_is_taken_for_udp_alone_is_taken() {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = udp.local_addr().unwrap().port();
        let error = Ports::open(Some(Ipv4Addr::LOCALHOST.into()), port).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn an_ipv4_address_survives_an_ipv6_socket() {
        let address: SocketAddr = "192.0.2.1:5".parse().unwrap();
        assert!(through_ipv6(address).is_ipv6());
        assert_eq!(canonical(through_ipv6(address)), address);
        let scoped: SocketAddr = "[fe80::1%3]:5".parse().unwrap();
        assert_eq!(canonical(scoped), scoped);
    }
}
