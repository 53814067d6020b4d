//! The open room: three kinds of datagrams in clear text, without accounts.
//!
//! A client sends `GREETING` and `MESSAGE <text>`. The room sends `INCOMING <ip>:<port> <text>`.
//! Readers accept the line ends that common programs add to a datagram; writers add none.

use std::net::{IpAddr, SocketAddr};

/// The longest text of a message, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;

/// The largest datagram to the room, in bytes: the word, the text, and room for added line ends.
pub const MAX_TO_ROOM_BYTES: usize = MESSAGE.len() + MAX_TEXT_BYTES + 64;

/// The largest datagram from the room, in bytes: the word, the longest address, the text, and room
/// for added line ends.
pub const MAX_FROM_ROOM_BYTES: usize = INCOMING.len() + MAX_ADDRESS_BYTES + 1 + MAX_TEXT_BYTES + 64;

const GREETING: &[u8] = b"GREETING";
const MESSAGE: &[u8] = b"MESSAGE ";
const INCOMING: &[u8] = b"INCOMING ";

/// The longest address: IPv6 in brackets, a scope of ten digits and a port.
const MAX_ADDRESS_BYTES: usize = 45 + 2 + 11 + 6;

/// A datagram from a client to the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToRoom<'a> {
    /// Registers the sender.
    Greeting,
    /// A text for all members, in the bytes that the sender wrote.
    Message(&'a [u8]),
}

/// A message of a client, in a datagram from the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// The client's address as the room sees it.
    pub from: SocketAddr,
    /// The message's text, not yet made safe for a terminal.
    pub text: &'a [u8],
}

impl<'a> ToRoom<'a> {
    /// Parses a datagram. Returns `None` for one that the room does not know.
    pub fn parse(datagram: &'a [u8]) -> Option<ToRoom<'a>> {
        if without_end(datagram, b" \t\r\n\0") == GREETING {
            return Some(ToRoom::Greeting);
        }
        text(datagram.strip_prefix(MESSAGE)?).map(ToRoom::Message)
    }

    /// Returns the datagram's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            ToRoom::Greeting => GREETING.to_vec(),
            ToRoom::Message(text) => [MESSAGE, text].concat(),
        }
    }
}

impl<'a> Incoming<'a> {
    /// Parses a datagram. Returns `None` for one that no room sends.
    pub fn parse(datagram: &'a [u8]) -> Option<Incoming<'a>> {
        let rest = datagram.strip_prefix(INCOMING)?;
        let end = rest.iter().position(|byte| *byte == b' ')?;
        let from = str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        Some(Incoming { from, text: text(&rest[end + 1..])? })
    }

    /// Returns the datagram's bytes. The address has no scope, which only names an interface of the
    /// room's machine.
    pub fn to_bytes(&self) -> Vec<u8> {
        let from = shown(self.from).to_string();
        [INCOMING, from.as_bytes(), b" ", self.text].concat()
    }
}

/// Returns the address as others see it: IPv4 instead of mapped IPv6, and IPv6 without a scope.
fn shown(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Returns true for an address that even a private room greets: loopback, private (RFC 1918),
/// unique local (RFC 4193) or link-local. Others can be forged from afar.
pub fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Returns the text without its line end, or `None` if it is empty or too long.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    let text = without_end(bytes, b"\r\n\0");
    (1..=MAX_TEXT_BYTES).contains(&text.len()).then_some(text)
}

fn without_end<'a>(bytes: &'a [u8], unwanted: &[u8]) -> &'a [u8] {
    let last = bytes.iter().rposition(|byte| !unwanted.contains(byte));
    &bytes[..last.map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greeting_may_have_blanks_and_a_line_end_after_it() {
        for datagram in ["GREETING", "GREETING\n", "GREETING \r\n", "GREETING\0\0"] {
            assert_eq!(ToRoom::parse(datagram.as_bytes()), Some(ToRoom::Greeting), "{datagram:?}");
        }
        for datagram in ["", "\n", " GREETING", "greeting", "GREETING you", "GREETINGS"] {
            assert_eq!(ToRoom::parse(datagram.as_bytes()), None, "{datagram:?}");
        }
    }

    #[test]
    fn message_keeps_its_text_but_for_the_line_end() {
        let text = |datagram| match ToRoom::parse(datagram) {
            Some(ToRoom::Message(text)) => Some(text),
            _ => None,
        };
        assert_eq!(text(b"MESSAGE hi"), Some(&b"hi"[..]));
        assert_eq!(text(b"MESSAGE hi there \r\n"), Some(&b"hi there "[..]));
        assert_eq!(text(b"MESSAGE  a\nb\0"), Some(&b" a\nb"[..]));
        assert_eq!(text(b"MESSAGE \xff\xfe"), Some(&b"\xff\xfe"[..]));
        for datagram in [&b"MESSAGE"[..], b"MESSAGE ", b"MESSAGE \n", b"MESSAGEhi", b"message hi"] {
            assert_eq!(text(datagram), None, "{datagram:?}");
        }
    }

    #[test]
    fn text_that_is_too_long_is_no_message() {
        let longest = vec![b'x'; MAX_TEXT_BYTES];
        let datagram = ToRoom::Message(&longest).to_bytes();
        assert_eq!(ToRoom::parse(&datagram), Some(ToRoom::Message(&longest)));
        assert_eq!(ToRoom::parse(&[&datagram[..], b"x"].concat()), None);
    }

    #[test]
    fn addresses_are_written_as_others_see_them() {
        for (from, written) in [
            ("127.0.0.1:5000", "INCOMING 127.0.0.1:5000 hi"),
            ("[::ffff:10.0.0.7]:5", "INCOMING 10.0.0.7:5 hi"),
            ("[::1]:5000", "INCOMING [::1]:5000 hi"),
            ("[fe80::1%3]:9", "INCOMING [fe80::1]:9 hi"),
        ] {
            let incoming = Incoming { from: from.parse().unwrap(), text: b"hi" };
            assert_eq!(String::from_utf8(incoming.to_bytes()).unwrap(), written);
            assert_eq!(Incoming::parse(written.as_bytes()).unwrap().from, shown(incoming.from));
        }
    }

    #[test]
    fn only_what_a_room_says_is_incoming() {
        for datagram in ["", "INCOMING", "INCOMING 127.0.0.1:5", "INCOMING here:5 hi", "GREETING"] {
            assert_eq!(Incoming::parse(datagram.as_bytes()), None, "{datagram:?}");
        }
    }

    #[test]
    fn longest_datagrams_fit_their_limits() {
        let text = vec![b'x'; MAX_TEXT_BYTES];
        let from = "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535".parse().unwrap();
        assert!(Incoming { from, text: &text }.to_bytes().len() <= MAX_FROM_ROOM_BYTES);
        assert!(ToRoom::Message(&text).to_bytes().len() <= MAX_TO_ROOM_BYTES);
    }

    #[test]
    fn near_addresses_are_those_of_no_public_network() {
        for near in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.3.4",
            "::1",
            "fd00::1",
            "fc12::1",
            "fe80::1",
            "::ffff:192.168.1.1",
        ] {
            assert!(is_near(near.parse().unwrap()), "{near}");
        }
        for far in [
            "8.8.8.8",
            "172.32.0.1",
            "192.0.2.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "2001:db8::1",
            "::",
            "ff02::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_near(far.parse().unwrap()), "{far}");
        }
    }
}
