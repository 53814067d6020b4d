//! Fuzzing bodies for all code that handles outside input.
//!
//! A body reads its input as bytes from a network or as a sequence of choices. It drives the real code and
//! panics if an assertion fails. Each fuzzer in `fuzz/fuzz_targets` runs one body. The tests of this crate
//! run all bodies on the corpora and on seeded random input.
//!
//! * [`wire`] – frames, the dialogue, peer messages, sealed datagrams, printable text
//! * [`envelopes`] – envelopes and the bodies inside, with a server that alters them
//! * [`rosters`] – rosters of groups
//! * [`file_links`] – offers of files, the lines of the links that carry them, lists of hashes
//! * [`hub`] – a server's hub, with hostile clients, a slow store and passing time
//! * [`open_room`] – an open room that receives datagrams from any address
//! * [`session`] – a client's session, with a hostile server and hostile peers
//! * [`files`] – a settings file, a classroom's file, lines of `--json`, rows of a database

pub mod choices;
pub mod envelopes;
pub mod file_links;
pub mod files;
pub mod hub;
pub mod open_room;
pub mod rosters;
pub mod session;
pub mod wire;

/// One fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of the fuzzer and of its corpus.
    pub name: &'static str,
    /// The function to run.
    pub body: fn(&[u8]),
}

/// All targets, by name.
pub const TARGETS: &[Target] = &[
    Target { name: "clients_file", body: files::clients_file },
    Target { name: "datagram", body: wire::datagram },
    Target { name: "dialogue", body: wire::dialogue },
    Target { name: "envelope", body: envelopes::envelope },
    Target { name: "file_hashes", body: file_links::file_hashes },
    Target { name: "file_lines", body: file_links::file_lines },
    Target { name: "file_offer", body: file_links::file_offer },
    Target { name: "frame", body: wire::frame },
    Target { name: "hub", body: hub::run },
    Target { name: "json", body: files::json },
    Target { name: "open_room", body: open_room::run },
    Target { name: "peer", body: wire::peer },
    Target { name: "printable", body: wire::printable },
    Target { name: "roster", body: rosters::roster },
    Target { name: "session", body: session::run },
    Target { name: "settings", body: files::settings },
    Target { name: "store_rows", body: files::store_rows },
];
