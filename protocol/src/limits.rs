//! The bounds that both sides share.
//!
//! A bound that only one program enforces (places, retries, timeouts) lives with that program.

/// The largest line on TCP with its end, in bytes.
pub const MAX_LINE_BYTES: usize = 2 * 1024;

/// The largest payload announced by `+N`, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;

/// The largest sealed datagram with its header and tag, in bytes. It fits the IPv6 minimum MTU (RFC
/// 8200, section 5) with room for tunnels.
pub const MAX_DATAGRAM_BYTES: usize = 1_200;

/// The largest page of a long answer, in bytes.
pub const MAX_PAGE_BYTES: usize = 32 * 1024;

/// The longest username, in characters (all of them ASCII).
pub const MAX_USERNAME_CHARS: usize = 32;

/// The shortest password, in characters.
pub const MIN_PASSWORD_CHARS: usize = 8;
/// The longest password, in characters.
pub const MAX_PASSWORD_CHARS: usize = 128;

/// The longest text of a broadcast, in bytes of UTF-8.
pub const MAX_BROADCAST_BYTES: usize = 900;

/// The longest message of a direct chat, in bytes of UTF-8.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// The largest padded body, in bytes: that of the longest text.
pub const MAX_BODY_BYTES: usize = 32 * 1024;

/// The largest envelope, in bytes.
pub const MAX_ENVELOPE_BYTES: usize = MAX_PAYLOAD_BYTES;
/// The most devices that one envelope is for.
pub const MAX_RECIPIENT_DEVICES: usize = 160;
/// The most bytes of envelopes on a connection that the client has not acknowledged. One envelope always fits.
pub const MAX_MAIL_IN_FLIGHT_BYTES: usize = 64 * 1024;
/// The most numbers in one acknowledgement of envelopes.
pub const MAX_ACKNOWLEDGED: usize = 64;

/// The most people in a group, with those who are invited.
pub const MAX_GROUP_MEMBERS: usize = 64;

/// The most times that a group is given to another owner.
pub const MAX_GIVINGS: usize = 64;

/// The most bytes of a signed roster: one with as much of everything as it can have.
pub const MAX_ROSTER_BYTES: usize = 24 * 1024;

/// The most devices whose rosters a roster names. Those whose last one is oldest are left out first.
pub const MAX_ROSTER_VERSIONS: usize = 64;

/// The most devices of an account.
pub const MAX_DEVICES: usize = 32;

/// The interval at which a client proves that UDP works and keeps its NAT binding.
pub const UDP_KEEPALIVE_MS: u64 = 25_000;

/// The interval of a program's TCP keep-alives while its UDP is not known to work.
pub const TCP_KEEPALIVE_MS: u64 = 60_000;

/// The interval of a program's TCP keep-alives while its UDP is known to work.
pub const TCP_KEEPALIVE_WITH_UDP_MS: u64 = 5 * 60_000;

/// The number of missed keep-alives after which the other side counts as gone.
pub const MISSED_KEEPALIVES: u64 = 2;

/// The shortest interval of a client's reports of activity that the server does not see.
pub const ACTIVITY_REPORT_MS: u64 = 60_000;
