//! MEET, JOIN and RELAY: clients that can't reach each other's receivers meet at the server.
//!
//! ```text
//! MEET ──▶ two tokens ── JOIN from both ──▶ addresses told ── RELAY from both ──▶ relayed
//!              │ 10 s                            │ 10 s, or one of them leaves
//!              └────────────▶ over ◀─────────────┘
//! ```
//!
//! Each side joins over a connection of its own, from a new port, whose address the other side is told. The two then
//! try to connect between these ports while the server's connections hold the mappings of their NATs.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use letschat_protocol::clock::Now;
use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Candidates, Invitation, MeetingToken, Notice, Reply, Request};
use letschat_protocol::frame::{Frame, Mode};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::admission::AddressBlock;
use super::connection::Phase;
use super::directory::{Location, seen_from};
use super::{ConnectionId, Effect, Hub, LeaveReason, Record};

/// The time in which both sides join, and after that the time in which they connect or ask for a relay.
const STEP_MS: u64 = 10_000;
/// The most meetings to which a device is invited at a time. An account can invite it to one of them.
const MAX_INVITATIONS: usize = 8;
/// The most meetings that an account asks for at a time.
const MAX_ASKED: usize = 8;
/// The most relays of an account at a time.
pub(super) const MAX_RELAYS: usize = 8;

/// The meetings and relays.
#[derive(Debug, Default)]
pub(super) struct Meetings {
    /// By the time at which they are over, and a number.
    meetings: BTreeMap<(u64, u64), Meeting>,
    last: u64,
    /// The connections that are relayed. Each counts until it has gone.
    relayed: BTreeMap<ConnectionId, Relayed>,
}

/// A meeting: the side that asked for it, and the other.
#[derive(Debug)]
struct Meeting {
    sides: [Side; 2],
}

#[derive(Debug)]
struct Side {
    username: Username,
    key: PublicKey,
    token: MeetingToken,
    joined: Option<Joined>,
}

/// The connection of a side that has come.
#[derive(Debug)]
struct Joined {
    connection: ConnectionId,
    local: SocketAddr,
    wants_relay: bool,
}

/// The device and the network of a relayed connection.
#[derive(Debug)]
struct Relayed {
    username: Username,
    key: PublicKey,
    network: AddressBlock,
}

impl Meeting {
    fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.sides.iter().filter_map(|side| Some(side.joined.as_ref()?.connection))
    }

    /// Returns both connections once both sides have come.
    fn pair(&self) -> Option<[ConnectionId; 2]> {
        let [asking, invited] = &self.sides;
        Some([asking.joined.as_ref()?.connection, invited.joined.as_ref()?.connection])
    }
}

impl Meetings {
    /// Returns true if nobody is expected to join.
    pub(super) fn is_empty(&self) -> bool {
        self.meetings.is_empty()
    }

    /// Returns the time at which the next meeting is over.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.meetings.first_key_value().map(|((due_ms, _), _)| *due_ms)
    }

    /// Returns the number of relays.
    pub(super) fn relays(&self) -> usize {
        self.relayed.len().div_ceil(2)
    }

    /// Returns the address of a side that has come, as the side itself sees it.
    fn local_of(&self, connection: ConnectionId) -> Option<SocketAddr> {
        let sides = self.meetings.values().flat_map(|meeting| &meeting.sides);
        let mut joined = sides.filter_map(|side| side.joined.as_ref());
        Some(joined.find(|joined| joined.connection == connection)?.local)
    }

    /// Returns true if the account may ask for a meeting with this device.
    fn may_ask(&self, asking: &Username, invited: &PublicKey) -> bool {
        let (mut asked, mut invitations) = (0, 0);
        for Meeting { sides: [one, other] } in self.meetings.values() {
            let (is_asking, is_invited) = (one.username == *asking, other.key == *invited);
            if is_asking && is_invited {
                return false;
            }
            asked += usize::from(is_asking);
            invitations += usize::from(is_invited);
        }
        asked < MAX_ASKED && invitations < MAX_INVITATIONS
    }

    fn begin(&mut self, now_ms: u64, sides: [Side; 2]) {
        self.last += 1;
        self.meetings.insert((now_ms + STEP_MS, self.last), Meeting { sides });
    }

    /// Notes that a side has come. Returns the meeting, or `None` if it is over or the side is there already.
    fn join(&mut self, now_ms: u64, token: MeetingToken, joined: Joined) -> Option<&Meeting> {
        let expects = |side: &Side| side.token == token && side.joined.is_none();
        let found = self.meetings.iter().find(|(_, meeting)| meeting.sides.iter().any(expects));
        let key = *found?.0;
        let mut meeting = self.meetings.remove(&key)?;
        let side = meeting.sides.iter_mut().find(|side| expects(side))?;
        side.joined = Some(joined);
        let key = if meeting.pair().is_some() { (now_ms + STEP_MS, key.1) } else { key };
        Some(self.meetings.entry(key).or_insert(meeting))
    }

    /// Notes that a side wants a relay. Returns the key of its meeting if the other side wants one too.
    fn want_relay(&mut self, connection: ConnectionId) -> Option<(u64, u64)> {
        for (key, meeting) in &mut self.meetings {
            let joined = meeting.sides.iter_mut().filter_map(|side| side.joined.as_mut());
            let own = joined.into_iter().find(|joined| joined.connection == connection);
            let Some(own) = own else {
                continue;
            };
            own.wants_relay = true;
            let wants = |side: &Side| side.joined.as_ref().is_some_and(|joined| joined.wants_relay);
            return meeting.sides.iter().all(wants).then_some(*key);
        }
        None
    }

    /// Returns true if the server may relay these connections besides the present ones. One network gets at most half
    /// of what `relays` have room for.
    fn may_relay(&self, relays: usize, new: &[(ConnectionId, Relayed)]) -> bool {
        let all = || self.relayed.values().chain(new.iter().map(|(_, one)| one));
        let is_allowed = |(_, side): &(ConnectionId, Relayed)| {
            all().filter(|one| one.username == side.username).count() <= MAX_RELAYS
                && all().filter(|one| one.network == side.network).count() <= relays.max(2)
        };
        self.relays() < relays && new.iter().all(is_allowed)
    }

    /// Ends the meetings of a device, or of an account, whose tokens are good for nothing then. Returns their connections
    /// and the relayed ones, which have to be closed.
    fn end_all_of(&mut self, username: &Username, device: Option<PublicKey>) -> Vec<ConnectionId> {
        let is_meant = |name: &Username, key: &PublicKey| {
            name == username && device.is_none_or(|device| device == *key)
        };
        let mut closed = Vec::new();
        self.meetings.retain(|_, meeting| {
            let is_theirs = meeting.sides.iter().any(|side| is_meant(&side.username, &side.key));
            if is_theirs {
                closed.extend(meeting.connections());
            }
            !is_theirs
        });
        let relayed = self
            .relayed
            .iter()
            .filter(|(_, one)| is_meant(&one.username, &one.key))
            .map(|(id, _)| *id);
        closed.extend(relayed);
        closed
    }

    /// Ends the meeting or the relay of a connection that has gone. Returns the others that have to be closed.
    fn leave(&mut self, connection: ConnectionId) -> Vec<ConnectionId> {
        let mut met = self.meetings.iter();
        let found = met.find(|(_, meeting)| meeting.connections().any(|one| one == connection));
        if let Some(key) = found.map(|(key, _)| *key) {
            let meeting = self.meetings.remove(&key);
            let connections = meeting.iter().flat_map(Meeting::connections);
            return connections.filter(|one| *one != connection).collect();
        }
        // What the other side has not got yet is still sent, so that its connection ends by itself.
        self.relayed.remove(&connection);
        Vec::new()
    }
}

impl Hub {
    /// Invites the device of an account that has this key to a meeting.
    pub(super) fn meet(&mut self, now: Now, id: ConnectionId, name: &str, key: &PublicKey) {
        let Some((username, own_key)) = self.device_of(id) else {
            return;
        };
        let Some((other, invited)) = self.located(id, name, key) else {
            let why = "That device is not here now.";
            return self.answer(now, id, &Reply::new(Code::NotHere, why));
        };
        if !self.meetings.may_ask(&username, key) {
            let why = "Too many meetings at a time; wait for one to end.";
            return self.answer(now, id, &Reply::new(Code::SlowDown, why));
        }
        let [token, others] = [(); 2].map(|()| self.draw_token());
        self.meetings.begin(
            now.boot_ms,
            [
                Side { username: username.clone(), key: own_key, token, joined: None },
                Side { username: other.clone(), key: *key, token: others, joined: None },
            ],
        );
        let server = match invited.location {
            Location::Local(_) => None,
            Location::Remote { .. } => self.place_of(id),
        };
        let invitation = Invitation { username, key: own_key, token: others, server };
        self.tell_entry(&other, &invited, &Notice::Meeting(invitation));
        self.answer(now, id, &Reply::new(Code::Ok, format!("{token} JOIN with this token")));
    }

    /// Returns the address of this server to which a client has connected.
    fn place_of(&self, id: ConnectionId) -> Option<SocketAddr> {
        let local = self.connections.get(&id)?.local;
        Some(SocketAddr::new(local.to_canonical(), self.instance.udp_port))
    }

    fn draw_token(&mut self) -> MeetingToken {
        let [high, low] = [(); 2].map(|()| u128::from(self.tokens.draw()));
        MeetingToken(high << 64 | low)
    }

    /// Handles a connection that begins with JOIN.
    pub(super) fn join(
        &mut self,
        now: Now,
        id: ConnectionId,
        token: MeetingToken,
        local: SocketAddr,
    ) {
        let joined = Joined { connection: id, local, wants_relay: false };
        let Some(meeting) = self.meetings.join(now.boot_ms, token, joined) else {
            let why = "No meeting has that token, or no longer.";
            self.send_reply(id, &Reply::new(Code::TokenInvalid, why));
            return self.hang_up(now, id);
        };
        let pair = meeting.pair();
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.phase = Phase::Meeting;
            self.pre_login.leave(id, connection.peer.ip());
        }
        self.effects.push(Effect::Admitted { connection: id });
        self.reschedule(id);
        let Some([asking, invited]) = pair else {
            return; // The answer follows when the other side has come.
        };
        for (one, other) in [(asking, invited), (invited, asking)] {
            let Some(candidates) = self.candidates(other, one) else {
                continue;
            };
            let reply = format!("{candidates} the other side is there");
            self.send_reply(one, &Reply::new(Code::Ok, reply));
            self.effects.push(Effect::Read { connection: one, mode: Mode::Frame });
        }
    }

    /// Returns the addresses of a side that has come, for the other side.
    fn candidates(&self, of: ConnectionId, to: ConnectionId) -> Option<Candidates> {
        let local = self.meetings.local_of(of)?;
        let (peer, viewer) = (self.connections.get(&of)?.peer, self.connections.get(&to)?);
        let seen = seen_from(viewer.peer.ip(), viewer.local, peer.ip());
        Some(Candidates { seen: SocketAddr::new(seen, peer.port()), local })
    }

    /// Handles the line of a connection that has joined.
    pub(super) fn meeting_line(&mut self, now: Now, id: ConnectionId, frame: &Frame) {
        if Request::from_frame(frame) != Ok(Request::Relay) {
            self.send_reply(id, &Reply::new(Code::WrongPhase, "expected RELAY"));
            return self.hang_up(now, id);
        }
        let Some(key) = self.meetings.want_relay(id) else {
            return; // The other side still tries to connect.
        };
        let Some(meeting) = self.meetings.meetings.remove(&key) else {
            return;
        };
        let Some(pair) = meeting.pair() else {
            return;
        };
        let sides = pair.into_iter().zip(meeting.sides).filter_map(|(id, side)| {
            let network = AddressBlock::widest(self.connections.get(&id)?.peer.ip())?;
            Some((id, Relayed { username: side.username, key: side.key, network }))
        });
        let sides: Vec<_> = sides.collect();
        let relays = self.settings.relays;
        if !self.meetings.may_relay(relays, &sides) {
            for id in pair {
                let why = "The server relays nothing more at the moment.";
                self.send_reply(id, &Reply::new(Code::NoRelay, why));
                self.hang_up(now, id);
            }
            return;
        }
        for id in pair {
            self.send_reply(id, &Reply::new(Code::Ok, "what follows goes to the other side"));
        }
        self.effects.push(Effect::Relay { connections: pair });
        if let [(_, asking), (_, invited)] = &sides[..] {
            let (username, to) = (asking.username.clone(), invited.username.clone());
            self.effects.push(Effect::Record(Record::Relayed { username, to }));
        }
        self.meetings.relayed.extend(sides);
    }

    /// Ends the meeting or the relay of a connection that has gone, and the other side's connection with it.
    pub(super) fn meeting_left(&mut self, now: Now, id: ConnectionId) {
        for other in self.meetings.leave(id) {
            self.hang_up(now, other);
        }
    }

    /// Ends the meetings and relays of a device, or of an account, whose sessions are ended.
    pub(super) fn end_meetings(
        &mut self,
        now: Now,
        username: &Username,
        device: Option<PublicKey>,
    ) {
        self.end_meetings_elsewhere(username, device);
        self.end_meetings_here(now, username, device);
    }

    pub(super) fn end_meetings_here(
        &mut self,
        now: Now,
        username: &Username,
        device: Option<PublicKey>,
    ) {
        for id in self.meetings.end_all_of(username, device) {
            self.hang_up(now, id);
        }
    }

    /// Ends the meetings that have taken too long.
    pub(super) fn expire_meetings(&mut self, now: Now) {
        while let Some(due) = self.meetings.meetings.first_entry()
            && due.key().0 <= now.boot_ms
        {
            for id in due.remove().connections() {
                let why = "The meeting took too long.";
                self.send_reply(id, &Reply::new(Code::NotHere, why));
                self.hang_up(now, id);
            }
        }
    }

    /// Closes a connection without a reason.
    fn hang_up(&mut self, now: Now, id: ConnectionId) {
        self.effects.push(Effect::Close { connection: id });
        self.forget(now, id, LeaveReason::Met);
    }
}
