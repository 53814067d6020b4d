//! Every bound that both sides must agree on, in one place.
//!
//! A bound that only one program enforces (places, retries, timeouts) lives with that program.

/// A line on TCP with its end, in bytes.
pub const MAX_LINE_BYTES: usize = 2 * 1024;

/// A payload announced by `+N`, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;

/// A sealed datagram with its header and tag, in bytes: fits the IPv6 minimum MTU (RFC 8200,
/// section 5) with room for tunnels.
pub const MAX_DATAGRAM_BYTES: usize = 1_200;

/// A page of a long answer, in bytes.
pub const MAX_PAGE_BYTES: usize = 32 * 1024;

/// A username, in characters (all of them ASCII).
pub const MAX_USERNAME_CHARS: usize = 32;

/// A password, in characters.
pub const MIN_PASSWORD_CHARS: usize = 8;
/// A password, in characters.
pub const MAX_PASSWORD_CHARS: usize = 128;

/// The text of a broadcast, in bytes of UTF-8.
pub const MAX_BROADCAST_BYTES: usize = 900;

/// A message of a direct chat, in bytes of UTF-8.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// A client proves that UDP works, and keeps its NAT binding, this often.
pub const UDP_KEEPALIVE_MS: u64 = 25_000;

/// A program says something over TCP at least this often while its UDP is not known to work.
pub const TCP_KEEPALIVE_MS: u64 = 60_000;

/// The same while its UDP is known to work.
pub const TCP_KEEPALIVE_WITH_UDP_MS: u64 = 5 * 60_000;

/// How many keep-alives may be missed before the other side counts as gone.
pub const MISSED_KEEPALIVES: u64 = 2;

/// A client reports activity that the server does not see at most this often.
pub const ACTIVITY_REPORT_MS: u64 = 60_000;
