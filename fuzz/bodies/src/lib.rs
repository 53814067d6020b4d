//! Everything that takes what came from outside, handed bytes that a fuzzer chooses.
//!
//! A body reads its input as it likes (as bytes from a network, or as a list of choices), drives the
//! real code with it and asserts what must hold whatever came. It panics where that does not hold.
//! The fuzzers in `fuzz/fuzz_targets` run one body each, for as long as they are let; the tests of
//! this crate run all of them on the corpora and on seeded random input.
//!
//! * [`wire`] – frames, the dialogue, peer messages, sealed datagrams, printable text
//! * [`hub`] – a server's hub, with hostile clients, a slow store and time
//! * [`open_room`] – an open room, with datagrams from anywhere
//! * [`session`] – a client's session, with a hostile server and hostile peers
//! * [`files`] – a settings file, lines of `--json`, rows of a database

pub mod choices;
pub mod files;
pub mod hub;
pub mod open_room;
pub mod session;
pub mod wire;

/// One fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As the fuzzer and its corpus are called.
    pub name: &'static str,
    /// What is run.
    pub body: fn(&[u8]),
}

/// Every target there is, in the order of the names.
pub const TARGETS: &[Target] = &[
    Target { name: "datagram", body: wire::datagram },
    Target { name: "dialogue", body: wire::dialogue },
    Target { name: "frame", body: wire::frame },
    Target { name: "hub", body: hub::run },
    Target { name: "json", body: files::json },
    Target { name: "open_room", body: open_room::run },
    Target { name: "peer", body: wire::peer },
    Target { name: "printable", body: wire::printable },
    Target { name: "session", body: session::run },
    Target { name: "settings", body: files::settings },
    Target { name: "store_rows", body: files::store_rows },
];
