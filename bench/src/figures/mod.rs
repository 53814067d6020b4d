//! The figures, one file each. docs/PERFORMANCE.md explains each.

pub(crate) mod broadcast_cost;
pub(crate) mod broadcast_delay;
pub(crate) mod chat_round_trip;
pub(crate) mod chat_throughput;
pub(crate) mod class;
pub(crate) mod client_start;
pub(crate) mod cluster;
pub(crate) mod coming_back;
pub(crate) mod envelopes;
pub(crate) mod file;
pub(crate) mod full_screen;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod idle;
pub(crate) mod kept_mail;
pub(crate) mod memory;
pub(crate) mod open_room;
pub(crate) mod passwords;
pub(crate) mod relay;
pub(crate) mod send;
pub(crate) mod window;

use clap::ValueEnum;

/// Every figure, by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Figure {
    /// Server CPU for each broadcast that reaches a client.
    BroadcastCost,
    /// Processor time for each datagram that an open room delivers.
    OpenRoom,
    /// From a broadcast until the last client has it.
    BroadcastDelay,
    /// Server memory for each idle client.
    Memory,
    /// Everybody comes back after the server was away.
    ComingBack,
    /// Logins by password, and what they leave to the others.
    Passwords,
    /// A message there and back.
    ChatRoundTrip,
    /// Messages one way.
    ChatThroughput,
    /// A message in an envelope to somebody online.
    Send,
    /// Envelopes a second through one server, and its CPU for each.
    Envelopes,
    /// Kept envelopes, delivered to somebody who returns.
    KeptMail,
    /// Two servers as one service: their broadcasts, and what each costs.
    Cluster,
    /// A message to all other clients of a class without its server.
    Class,
    /// A message in a group, its author's CPU, and the return of members who were away.
    Group,
    /// A file from client to client, the memory for it, and messages beside it.
    File,
    /// A file over a relayed link, the server's memory for such pairs, and broadcasts beside them.
    Relay,
    /// From the start of the client to its prompt, and its memory there.
    ClientStart,
    /// The full screen: its first paint, its memory, and a key to the screen.
    FullScreen,
    /// The window: its first paint, its memory, and its processor time.
    Window,
    /// Searches of a history.
    History,
    /// A server that has nothing to do but to keep its clients.
    Idle,
}

impl Figure {
    /// Returns the position of a figure's rows in the table.
    pub(crate) fn place_of(name: &str) -> Option<usize> {
        let is_it = |figure: &Figure| {
            let value = figure.to_possible_value();
            value.is_some_and(|value| value.get_name().replace('-', "_") == name)
        };
        Figure::value_variants().iter().position(is_it)
    }
}
