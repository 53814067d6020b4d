//! The server's whole state as a value.
//!
//! One task owns the [`Hub`], so the order of events is total, and a whole server can be simulated
//! as a value. It holds no socket, reads no clock and spawns nothing. [`Hub::handle`] takes the
//! time and one [`Input`] and returns [`Effect`]s, which are carried out in order before the next
//! input. Slow work (hashing, the database) is an effect too, answered by a later input.
//!
//! # The states of a connection
//!
//! ```text
//!  Accepted ──▶ Securing ──Secured──▶ AwaitingHello ──HELLO──▶ Choosing ◀────────┐
//!                  │                     │                     │  ▲              │ wrong, weak,
//!                  │ 10 s                │ no place:           │  │ answers      │ taken, signed up
//!                  ▼                     ▼ busy                ▼  │ (interactive)│
//!               closed                 closed                Asked           InStore
//!                                                              └─────────▶───────┤
//!  closed ◀── idle, silent, kicked, replaced, penalty, flood ── Member ◀─────────┘ right
//! ```
//!
//! A connection for a meeting begins with JOIN in place of HELLO; see `meetings`.
//!
//! Before `Member` a connection holds one of few pre-login places and has a deadline, which is
//! paused while the store works. After three wrong answers it is closed.
//!
//! # Modules
//!
//! * [`io`] – inputs and effects
//! * `settings` – the operator's settings
//! * `connection` – one connection: its phase and its deadlines
//! * `replies` – replies and notices to a connection, and the reading of its next line
//! * `requests` – dispatches each request and each answer of the store to its handler
//! * `interactive` – the dialogue with a person who types
//!
//! The handlers:
//!
//! * `greeting` – from the first byte to the choice between login and sign-up
//! * `sign_up`, `login`, `password_change` – accounts and sessions
//! * `listing` – LIST and WATCH
//! * `introduction` – CONNECT and LOCATE; `meetings` – MEET, JOIN and RELAY
//! * `broadcasting` – a broadcast from the request through the store to its delivery
//! * `delivery` – datagrams, pages over TCP, repeated heads, REPLAY
//! * `devices` – DEVICES, ENROL, CHANGE and RECOVER; several sessions of one account
//! * `mailbox` – PREKEY, KEYS, POST and ACK; sealed envelopes and their delivery
//! * `cluster` – the sessions of other servers, and what they tell
//! * `classroom` – the list of a classroom's clients, whom the others reach without the server
//! * `operator` – the operator's commands
//!
//! Values with a single concern: `admission`, `directory`, `broadcast_log`, `presence`, `rate`,
//! `tally`, `tokens`.
//!
//! # Invariants
//!
//! * A connection's next line is read only when its last one has been answered.
//! * Notices come only between whole replies, since each reply is one effect.
//! * No member is without a place, and no device is a member twice.
//! * A broadcast is published and acknowledged only after its commit. At most one commit is under
//!   way. The same holds for envelopes and for acknowledgements of mail.
//! * A device's envelopes are sent in the order of their numbers, each once on a connection.

mod admission;
mod broadcast_log;
mod broadcasting;
mod classroom;
mod cluster;
mod connection;
mod delivery;
mod devices;
mod directory;
mod greeting;
mod interactive;
mod introduction;
pub mod io;
mod listing;
mod login;
mod mailbox;
mod meetings;
mod metrics;
mod operator;
mod password_change;
mod presence;
mod rate;
mod replies;
mod requests;
mod settings;
mod sign_up;
mod tally;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use letschat_protocol::dialogue::{Closing, SessionId};
use letschat_protocol::frame::{Frame, FrameError};
use letschat_protocol::identity::{Fingerprint, PublicKey};
use letschat_protocol::username::Username;

use self::admission::{Failures, PreLogin, SignUps};
use self::broadcast_log::BroadcastLog;
use self::broadcasting::Uncommitted;
use self::classroom::Clients;
use self::cluster::Cluster;
use self::connection::{Connection, Phase};
use self::delivery::HeadRepeats;
use self::directory::{Directory, Location};
use self::mailbox::Mailbox;
use self::meetings::Meetings;
use self::metrics::Measuring;
use self::presence::Presence;
use self::rate::Buckets;
use self::tokens::Tokens;
use crate::store::StoredLog;
use crate::store::cluster::{ServerName, SessionId as SharedId};
pub(crate) use admission::PRE_LOGIN_PLACES;
pub use classroom::Shown;
pub use io::{ConnectionId, Destination, Effect, Input, LeaveReason, LinkEnd, Record};
use letschat_protocol::clock::Now;
pub use mailbox::HEADERS_PER_TOKEN;
pub use metrics::{Counts, Metrics};
pub use operator::{
    Occupancy, Operator, OperatorAnswer, SessionPage, SessionPlace, SessionSummary, Stats, Terms,
};
pub use settings::Settings;
pub use tally::Tally;

/// One run of a server: its identity and its random seed.
#[derive(Debug, Clone)]
pub struct ServerInstance {
    /// The server's key, which login signatures name.
    pub fingerprint: Fingerprint,
    /// The port on which the server receives datagrams.
    pub udp_port: u16,
    /// The id of this boot of the machine.
    pub boot_id: u64,
    /// Secret and random. Session ids and challenges are derived from it.
    pub seed: [u8; 32],
}

/// The server's state.
pub struct Hub {
    settings: Settings,
    instance: ServerInstance,
    tokens: Tokens,
    /// The time of the start, on the boot clock.
    started_ms: u64,
    tally: Tally,
    counts: Counts,
    measuring: Measuring,
    /// Ordered, because each broadcast iterates over all of them and simulations must be
    /// reproducible.
    connections: BTreeMap<ConnectionId, Connection>,
    sessions: HashMap<SessionId, ConnectionId>,
    /// The connections' deadlines, kept in sync with `Connection::deadline_ms`.
    deadlines: BTreeSet<(u64, ConnectionId)>,
    pre_login: PreLogin,
    failures: Failures,
    sign_ups: SignUps,
    directory: Directory,
    presence: Presence,
    log: BroadcastLog,
    uncommitted: Uncommitted,
    head_repeats: HeadRepeats,
    /// The rate limit of each account's broadcasts, over all its sessions.
    broadcast_rates: Buckets<Username>,
    /// The rate limit of changes to each account's device list.
    change_rates: Buckets<PublicKey>,
    mailbox: Mailbox,
    clients: Clients,
    meetings: Meetings,
    /// The other servers, if this one belongs to a cluster.
    cluster: Option<Cluster>,
    /// True if the operator told the server to stop, so that no further broadcast is committed.
    is_stopping: bool,
    effects: Vec<Effect>,
}

impl Hub {
    /// Returns a hub with the stored log and without connections.
    pub fn new(settings: Settings, instance: ServerInstance, log: StoredLog, now: Now) -> Hub {
        let log = BroadcastLog::restore(log, instance.boot_id, settings.retention_ms, now);
        Hub {
            tokens: Tokens::new(&instance.seed),
            instance,
            started_ms: now.boot_ms,
            tally: Tally::default(),
            counts: Counts::default(),
            measuring: Measuring::default(),
            connections: BTreeMap::new(),
            sessions: HashMap::new(),
            deadlines: BTreeSet::new(),
            pre_login: PreLogin::new(settings.waiting_per_address()),
            failures: Failures::default(),
            sign_ups: SignUps::new(settings.sign_up_burst, settings.sign_up_interval_ms),
            directory: Directory::default(),
            presence: Presence::default(),
            log,
            uncommitted: Uncommitted::default(),
            head_repeats: HeadRepeats::default(),
            broadcast_rates: Buckets::default(),
            change_rates: Buckets::default(),
            mailbox: Mailbox::new(now.boot_ms),
            clients: Clients::default(),
            meetings: Meetings::default(),
            cluster: None,
            is_stopping: false,
            settings,
            effects: Vec::new(),
        }
    }

    /// Makes the hub a member of a cluster, under this name.
    #[must_use]
    pub fn in_cluster(self, name: ServerName) -> Hub {
        let cluster = Some(Cluster::new(name, self.started_ms));
        Hub { cluster, ..self }
    }

    /// Handles one input and returns the effects, to be carried out in this order.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        self.tally.count_input(&input);
        match input {
            Input::Accepted { connection, peer, local } => {
                self.accepted(now, connection, peer, local);
            }
            Input::Secured { connection, binding } => self.secured(now, connection, binding),
            Input::Line { connection, line } => self.line(now, connection, line),
            Input::Drained { connection } => self.drained(now, connection),
            Input::Gone { connection, why } => self.forget(now, connection, LeaveReason::Link(why)),
            Input::Stored(answer) => self.stored(now, answer),
            Input::Datagram { session, from, message } => {
                self.datagram(now, session, from, &message);
            }
            Input::Operator(operator) => self.operator(now, operator),
            Input::Measure => self.measure(now),
            Input::KnockRefused { receiver } => self.knock_refused(receiver),
            Input::Rung => self.rung(now),
            Input::Tick => {}
        }
        self.tick(now);
        self.tally.count_effects(&self.effects);
        self.counts.count_effects(&self.effects);
        std::mem::take(&mut self.effects)
    }

    /// Returns the time on the boot clock at which [`Input::Tick`] is due.
    pub fn next_deadline(&self) -> Option<u64> {
        let connection = self.deadlines.first().map(|(due, _)| *due);
        let others = [
            self.presence.due_ms(),
            self.log.next_expiry_ms(),
            self.head_repeats.due_ms(),
            self.meetings.due_ms(),
            self.cluster.as_ref().and_then(Cluster::due_ms),
            self.measuring.due_ms(),
        ];
        let mailbox = self.mailbox.due_ms();
        connection.into_iter().chain(others.into_iter().flatten()).chain([mailbox]).min()
    }

    /// Returns the number of sessions.
    pub fn members(&self) -> usize {
        self.directory.len()
    }

    fn accepted(&mut self, now: Now, id: ConnectionId, peer: SocketAddr, local: IpAddr) {
        self.effects.push(Effect::Record(Record::Came { connection: id, peer }));
        let commands = self.settings.command_rate();
        self.connections.insert(id, Connection::new(peer, local, commands, now.boot_ms));
        if let Some(oldest) = self.pre_login.enter(id, peer.ip()) {
            self.effects.push(Effect::Close { connection: oldest });
            self.forget(now, oldest, LeaveReason::Evicted);
        }
        self.reschedule(id);
    }

    fn line(&mut self, now: Now, id: ConnectionId, line: Result<Frame, FrameError>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.asked_ms = now.boot_ms;
        if let Some(member) = connection.member_mut() {
            member.heard_ms = now.boot_ms;
        }
        match line {
            Err(error) => self.malformed(now, id, error),
            Ok(frame) if self.connections[&id].is_interactive() => {
                self.interactive_line(now, id, &frame);
            }
            Ok(frame) => self.program_line(now, id, &frame),
        }
        self.reschedule(id);
    }

    /// Handles the deadlines that have passed.
    fn tick(&mut self, now: Now) {
        while let Some((due, id)) = self.deadlines.first().copied() {
            if due > now.boot_ms {
                break;
            }
            self.connection_due(now, id);
            self.reschedule(id);
        }
        let notices = self.presence.take_due(now.boot_ms);
        self.tell_watchers(&notices);
        self.expire_broadcasts(now);
        self.repeat_head(now);
        self.mailbox_due(now);
        self.expire_meetings(now);
        self.cluster_due(now);
        self.measuring_due(now);
    }

    fn connection_due(&mut self, now: Now, id: ConnectionId) {
        let idle = self.idle();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.delayed.as_ref().is_some_and(|delayed| delayed.until_ms <= now.boot_ms) {
            return self.release(now, id);
        }
        let kind = connection.kind;
        let Phase::Member(member) = &connection.phase else {
            return self.close(now, id, Closing::TooSlow);
        };
        let is_due = |at: Option<u64>| at.is_some_and(|at| at <= now.boot_ms);
        if is_due(Some(member.idle_at_ms(idle))) {
            self.close(now, id, Closing::Idle);
        } else if is_due(member.silent_at_ms(kind)) {
            self.close(now, id, Closing::Silent);
        } else if is_due(member.datagrams.silent_at_ms()) {
            self.datagrams_broke(now, id);
        }
        // Otherwise a broadcast has moved the idle deadline.
    }

    /// Removes every trace of a connection.
    fn forget(&mut self, now: Now, id: ConnectionId, why: LeaveReason) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        if let Some(due) = connection.deadline_ms {
            self.deadlines.remove(&(due, id));
        }
        let (is_interactive, mut username) = (connection.is_interactive(), None);
        match connection.phase {
            Phase::Member(member) => {
                self.sessions.remove(&member.session);
                self.effects.push(Effect::CancelStore { connection: id });
                // A session typed by hand has no datagrams.
                if !is_interactive {
                    self.effects.push(Effect::CloseDatagrams { session: member.session });
                }
                if self.directory.remove(&member.username, Location::Local(id), now.boot_ms) {
                    self.presence.leave(&member.username, now.boot_ms);
                }
                if let Some(number) = member.number {
                    let (username, device) = (member.username.clone(), member.key);
                    self.leave_cluster(SharedId { username, device, number }, None);
                }
                if why == LeaveReason::Quit && member.key.is_some() {
                    self.leave_classroom(&member.username);
                }
                username = Some(member.username);
            }
            Phase::Securing | Phase::Secured(..) => {
                self.pre_login.leave(id, connection.peer.ip());
                self.effects.push(Effect::CancelStore { connection: id });
            }
            Phase::Meeting => self.meeting_left(now, id),
        }
        self.effects.push(Effect::Record(Record::Left { connection: id, username, why }));
    }

    /// Updates the connection's place in the order of deadlines.
    fn reschedule(&mut self, id: ConnectionId) {
        let idle = self.idle();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let due = connection.due_ms(idle);
        if due == connection.deadline_ms {
            return;
        }
        if let Some(old) = std::mem::replace(&mut connection.deadline_ms, due) {
            self.deadlines.remove(&(old, id));
        }
        if let Some(due) = due {
            self.deadlines.insert((due, id));
        }
    }
}
