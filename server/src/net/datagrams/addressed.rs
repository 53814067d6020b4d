//! The source address of the server's datagrams.
//!
//! A client only accepts datagrams from the address that it sent to. A socket that listens on all
//! addresses sends from the one that the route to the client prefers. On a machine with several
//! addresses it may be another. Such a datagram has to name its source (`IP_PKTINFO`, ip(7); RFC
//! 3542, section 6).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::cmsg_space;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};

use crate::net::ports::canonical;

/// A received datagram.
pub(crate) struct Received {
    pub(crate) length: usize,
    pub(crate) from: SocketAddr,
    /// The server's address that was addressed, or `None` if the socket has only one.
    pub(crate) local: Option<IpAddr>,
}

/// Makes the socket report each datagram's destination address, if it listens on several.
pub(crate) fn prepare(socket: &UdpSocket) -> io::Result<()> {
    match socket.local_addr()?.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        _ => {}
    }
    Ok(())
}

/// Receives a datagram without blocking.
pub(crate) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = cmsg_space!(in6_pktinfo);
    let mut slices = [IoSliceMut::new(buffer)];
    let fd = socket.as_raw_fd();
    let received =
        recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut control), MsgFlags::empty())?;
    let from = received.address.as_ref().and_then(socket_address);
    // Internet sockets always report the sender.
    let from = canonical(from.ok_or(io::ErrorKind::InvalidData)?);
    let local = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            // The interface's own address, if the datagram was sent to a broadcast address.
            Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(info.ipi_spec_dst.s_addr))))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(IpAddr::from(info.ipi6_addr.s6_addr).to_canonical())
        }
        _ => None,
    });
    let local = local.filter(|local| !local.is_multicast());
    Ok(Received { length: received.bytes, from, local })
}

/// Returns the source that a datagram to this client has to name, or `None` if the route chooses it
/// anyway.
pub(crate) fn source(to: SocketAddr, local: Option<IpAddr>) -> Option<IpAddr> {
    local.filter(|local| preferred_source(to).ok() != Some(*local))
}

/// Returns the source address that the route to a client prefers. Nothing is sent.
fn preferred_source(to: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

/// Sends a datagram from this address of the server. `to` has the socket's own address family.
pub(crate) fn send(
    socket: &UdpSocket,
    datagram: &[u8],
    to: SocketAddr,
    source: IpAddr,
) -> io::Result<()> {
    let slices = [IoSlice::new(datagram)];
    let send = |message: ControlMessage<'_>| {
        let to = SockaddrStorage::from(to);
        sendmsg(socket.as_raw_fd(), &slices, &[message], MsgFlags::empty(), Some(&to))
    };
    match (to, source) {
        (SocketAddr::V4(_), IpAddr::V4(source)) => {
            let address = in_addr { s_addr: source.to_bits().to_be() };
            let any = in_addr { s_addr: 0 };
            let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: any };
            send(ControlMessage::Ipv4PacketInfo(&info))?;
        }
        (SocketAddr::V6(to), source) => {
            let source = match source {
                IpAddr::V4(source) => source.to_ipv6_mapped(),
                IpAddr::V6(source) => source,
            };
            // A link-local address needs its interface.
            let ipi6_ifindex = if source.is_unicast_link_local() { to.scope_id() } else { 0 };
            let ipi6_addr = in6_addr { s6_addr: source.octets() };
            send(ControlMessage::Ipv6PacketInfo(&in6_pktinfo { ipi6_addr, ipi6_ifindex }))?;
        }
        (SocketAddr::V4(_), IpAddr::V6(_)) => return Err(io::ErrorKind::InvalidInput.into()),
    }
    Ok(())
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}
