//! Peer route: messages go straight to people whose key and address are known, while the server is away.
//!
//! ```text
//! a message waits ── dial the receiver at its last address ──▶ HERE, DELIVER … ◀── ACK ID
//! ```
//!
//! A link serves one direction. A message stays in the outbox until it is acknowledged. If the server is back first, a
//! message to a person goes there under the same id. One to everyone has only this route.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use letschat_protocol::body::Body;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::{PeerMessage, Refusal};
use letschat_protocol::username::Username;

use super::arrivals::Delivery;
use super::bodies::message_body;
use super::receiving::Incoming;
use crate::conversation::Via;
use crate::session::backoff::{Backoff, SOON};
use crate::session::links::LinkUse;
use crate::session::{KnownPeer, LinkId, Session};

/// The most messages on a link that are not acknowledged.
const MAX_IN_FLIGHT: usize = 16;
/// The longest wait for an acknowledgement. The other side displays a message first.
const ACK_TIMEOUT_MS: u64 = 30_000;
/// The time after which an idle link is closed.
const IDLE_MS: u64 = 120_000;
/// The most people who are told that this client is here. A class is smaller.
const MAX_GREETED: usize = 256;
/// The wait before another attempt to reach somebody who refuses, since they don't know this device.
const REFUSED_MS: u64 = 60_000;

/// The links to the people for whom messages wait.
#[derive(Debug, Default)]
pub(super) struct Peering {
    people: BTreeMap<Username, Person>,
    /// True while nothing is read from the links, since the front end is behind.
    is_held: bool,
}

#[derive(Debug, Default)]
struct Person {
    state: State,
    backoff: Backoff,
}

#[derive(Debug)]
enum State {
    /// There is no link. After a failure the next attempt is at that time.
    Down {
        retry_ms: Option<u64>,
    },
    Dialling(LinkId),
    Up(Up),
}

impl Default for State {
    fn default() -> State {
        State::Down { retry_ms: None }
    }
}

/// A link that is up.
#[derive(Debug)]
struct Up {
    link: LinkId,
    /// The messages that are not acknowledged, oldest first.
    in_flight: VecDeque<MessageId>,
    /// The time of the last progress.
    since_ms: u64,
}

impl Up {
    fn due_ms(&self) -> u64 {
        self.since_ms + if self.in_flight.is_empty() { IDLE_MS } else { ACK_TIMEOUT_MS }
    }
}

impl Peering {
    /// Returns true while an attempt to reach this person may succeed.
    fn may_reach(&self, who: &Username) -> bool {
        let has_failed =
            |person: &Person| matches!(person.state, State::Down { retry_ms: Some(_) });
        !self.people.get(who).is_some_and(has_failed)
    }

    /// Tries to reach this person again without further wait.
    pub(super) fn resume(&mut self, who: &Username) {
        if let Some(Person { state: State::Down { retry_ms }, .. }) = self.people.get_mut(who) {
            *retry_ms = None;
        }
    }

    /// Stops or restarts the clock of the links: nothing is read from them while the front end is behind.
    pub(super) fn hold(&mut self, now_ms: u64, is_held: bool) {
        if std::mem::replace(&mut self.is_held, is_held) && !is_held {
            for person in self.people.values_mut() {
                if let State::Up(up) = &mut person.state {
                    up.since_ms = now_ms;
                }
            }
        }
    }

    /// Forgets the link to a person. Returns it.
    fn forget(&mut self, who: &Username) -> Option<LinkId> {
        match self.people.remove(who)?.state {
            State::Down { .. } => None,
            State::Dialling(link) | State::Up(Up { link, .. }) => Some(link),
        }
    }

    /// Returns true while a link is being opened, or while messages are in flight.
    pub(super) fn is_active(&self) -> bool {
        self.people.values().any(|person| match &person.state {
            State::Down { .. } => false,
            State::Dialling(_) => true,
            State::Up(up) => !up.in_flight.is_empty(),
        })
    }

    /// Returns true if messages to this person are in flight.
    pub(super) fn is_busy(&self, who: &Username) -> bool {
        self.up(who).is_some_and(|up| !up.in_flight.is_empty())
    }

    /// Returns true if this message to a person is in flight.
    pub(super) fn has_in_flight(&self, who: &Username, id: &MessageId) -> bool {
        self.up(who).is_some_and(|up| up.in_flight.contains(id))
    }

    fn up(&self, who: &Username) -> Option<&Up> {
        match &self.people.get(who)?.state {
            State::Up(up) => Some(up),
            _ => None,
        }
    }

    fn up_mut(&mut self, who: &Username) -> Option<&mut Up> {
        match &mut self.people.get_mut(who)?.state {
            State::Up(up) => Some(up),
            _ => None,
        }
    }

    /// Returns true if an attempt can be made now.
    fn can_dial(&self, who: &Username) -> bool {
        let is_ready = |person: &Person| matches!(person.state, State::Down { retry_ms: None });
        self.people.get(who).is_none_or(is_ready)
    }

    fn dialling(&mut self, who: &Username, link: LinkId) {
        self.people.entry(who.clone()).or_default().state = State::Dialling(link);
    }

    fn came_up(&mut self, who: &Username, link: LinkId, now_ms: u64) {
        let person = self.people.entry(who.clone()).or_default();
        person.state = State::Up(Up { link, in_flight: VecDeque::new(), since_ms: now_ms });
    }

    /// Notes an acknowledgement. Returns false for a message that is not in flight.
    fn acknowledged(&mut self, who: &Username, id: &MessageId, now_ms: u64) -> bool {
        let Some(Person { state: State::Up(up), backoff }) = self.people.get_mut(who) else {
            return false;
        };
        let place = up.in_flight.iter().position(|other| other == id);
        if let Some(place) = place {
            up.in_flight.remove(place);
            up.since_ms = now_ms;
            *backoff = Backoff::default();
        }
        place.is_some()
    }

    /// Notes a failure. The next attempt comes after a wait.
    fn failed(&mut self, who: &Username, now_ms: u64, wait_ms: Option<u64>, jitter: f64) {
        let Person { state, backoff } = self.people.entry(who.clone()).or_default();
        let wait_ms = wait_ms.or_else(|| backoff.fail(now_ms, &SOON, jitter)).unwrap_or(REFUSED_MS);
        *state = State::Down { retry_ms: Some(now_ms + wait_ms) };
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let due_ms = |person: &Person| match &person.state {
            State::Down { retry_ms } => *retry_ms,
            State::Dialling(_) => None,
            State::Up(up) => (!self.is_held).then_some(up.due_ms()),
        };
        self.people.values().filter_map(due_ms).min()
    }

    /// Allows the attempts that are due. Returns the people on whose links nothing has happened for too long, each with
    /// true if the link was idle.
    fn tick(&mut self, now_ms: u64) -> Vec<(Username, LinkId, bool)> {
        let mut over = Vec::new();
        for (who, person) in &mut self.people {
            match &mut person.state {
                State::Down { retry_ms } => drop(retry_ms.take_if(|retry_ms| *retry_ms <= now_ms)),
                State::Up(up) if up.due_ms() <= now_ms && !self.is_held => {
                    over.push((who.clone(), up.link, up.in_flight.is_empty()));
                }
                State::Dialling(_) | State::Up(_) => {}
            }
        }
        over
    }
}

/// Own messages.
impl Session {
    /// Returns true if messages can go straight to this person.
    pub(super) fn is_reachable(&self, who: &Username) -> bool {
        let has_address = |peer: KnownPeer| peer.receiver.is_some();
        self.account.peer(who).is_some_and(has_address) && self.mail.peering.may_reach(who)
    }

    /// Sends the waiting messages that have this route now: those to everyone and, while the server is away, those to
    /// people.
    pub(super) fn deliver_to_peers(&mut self) {
        if self.account.opened().is_none()
            || self.quitting.as_ref().is_some_and(|one| one.has_left_server())
        {
            return;
        }
        let with_people = !self.server.is_logged_in();
        for who in self.mail.outbox.for_peers(with_people) {
            self.deliver_to(&who);
        }
    }

    /// Dials a person. Returns false if that can't be done now, or is done already.
    fn reach_peer(&mut self, who: &Username) -> bool {
        let Some(KnownPeer { key, receiver: Some(receiver), .. }) = self.account.peer(who) else {
            return false;
        };
        let can_dial = self.mail.peering.can_dial(who);
        if can_dial {
            let link = self.cx.dial(LinkUse::Deliver(who.clone()), receiver, key);
            self.mail.peering.dialling(who, link);
        }
        can_dial
    }

    /// Closes the link to a person whose key is another now.
    pub(in crate::session) fn forget_peer(&mut self, who: &Username) {
        if let Some(link) = self.mail.peering.forget(who) {
            self.cx.close(link);
        }
    }

    fn deliver_to(&mut self, who: &Username) {
        if self.reach_peer(who) {
            return;
        }
        let with_people = !self.server.is_logged_in();
        let (Some(account), Some(server), Some(up)) =
            (self.account.opened(), self.server.fingerprint(), self.mail.peering.up_mut(who))
        else {
            return;
        };
        let room = MAX_IN_FLIGHT.saturating_sub(up.in_flight.len());
        let in_flight = up.in_flight.make_contiguous();
        let messages = self.mail.outbox.for_peer(who, with_people, in_flight, room);
        let bodies: Vec<(MessageId, Vec<u8>)> = messages
            .into_iter()
            .filter_map(|message| {
                let body = message_body(account, &self.account, &self.groups, message)?;
                Some((message.id, body.sign(&account.identity, &server)))
            })
            .collect();
        for (id, body) in bodies {
            if up.in_flight.is_empty() {
                up.since_ms = self.cx.now_ms();
            }
            up.in_flight.push_back(id);
            self.cx.send(up.link, PeerMessage::Deliver { body });
        }
    }

    /// Tells known people that this client is here, so that they deliver what waits for it.
    pub(in crate::session) fn greet_peers(&mut self) {
        for who in self.account.reachable_people().into_iter().take(MAX_GREETED) {
            self.reach_peer(&who);
        }
    }

    /// Handles a link to a person that is up.
    pub(in crate::session) fn peer_reached(&mut self, who: &Username, link: LinkId) {
        self.mail.peering.came_up(who, link, self.cx.now_ms());
        self.cx.send(link, PeerMessage::Here { port: self.cx.config().port });
        self.post_next();
    }

    /// Handles an answer to a delivery.
    pub(in crate::session) fn delivery_answered(
        &mut self,
        who: &Username,
        link: LinkId,
        message: &PeerMessage,
    ) {
        let now_ms = self.cx.now_ms();
        match message {
            PeerMessage::Delivered { id } => {
                if self.mail.peering.acknowledged(who, id, now_ms) {
                    let changes = self.delivered(who, &[*id], Via::Peer);
                    self.commit(changes, super::After::Nothing);
                    self.deliver_to(who);
                    if self.server.is_logged_in() {
                        self.post_next();
                    }
                }
            }
            PeerMessage::Ping | PeerMessage::Pong => {}
            _ => {
                self.cx.close(link);
                self.not_delivered(who, Some(REFUSED_MS));
            }
        }
    }

    /// Handles a link to a person that could not be dialled or that ended.
    pub(in crate::session) fn peer_unreached(&mut self, who: &Username) {
        self.not_delivered(who, None);
    }

    fn not_delivered(&mut self, who: &Username, wait_ms: Option<u64>) {
        let (now_ms, jitter) = (self.cx.now_ms(), self.cx.jitter());
        self.mail.peering.failed(who, now_ms, wait_ms, jitter);
        if self.account.is_blocked(who) {
            self.stop_writing_to(who);
        }
        if !self.server.is_logged_in() {
            for message in self.mail.outbox.waiting_to(who) {
                self.answer_waiting(&message, None);
            }
        }
        self.post_next();
    }

    /// Notes whether the front end is behind.
    pub(in crate::session) fn hold_peering(&mut self, is_held: bool) {
        self.mail.peering.hold(self.cx.now_ms(), is_held);
    }

    pub(super) fn tick_peering(&mut self) {
        for (who, link, is_idle) in self.mail.peering.tick(self.cx.now_ms()) {
            self.cx.close(link);
            match is_idle {
                true => drop(self.mail.peering.people.remove(&who)),
                false => self.not_delivered(&who, None),
            }
        }
    }
}

/// Others' messages.
impl Session {
    /// Handles a message that its author delivers over a link that arrived. Only known keys are heard.
    pub(in crate::session) fn delivery_arrived(
        &mut self,
        link: LinkId,
        key: PublicKey,
        bytes: &[u8],
    ) {
        let (Some(own), Some(server)) = (self.account.name(), self.server.fingerprint()) else {
            return self.cx.close(link);
        };
        // A stranger's signature is not worth the time.
        if !self.account.knows(&key) {
            return self.cx.refuse(link, Refusal::Unknown);
        }
        let body = Body::verify(bytes, &server).ok().filter(|body| {
            body.device == key
                && self.account.key_state(&body.sender, &key).is_known()
                && body.recipients.contains(own)
        });
        let Some(body) = body else {
            return self.cx.refuse(link, Refusal::Unknown);
        };
        if self.account.is_blocked(&body.sender) {
            return self.cx.refuse(link, Refusal::Denied);
        }
        self.use_for_deliveries(link, key);
        let delivery = Delivery::Peer(link, body.message_id());
        let (sender, opened) = (body.sender.clone(), Ok(body));
        self.take_in(Incoming { delivery, sender, bytes: bytes.len(), opened });
    }

    fn use_for_deliveries(&mut self, link: LinkId, key: PublicKey) {
        for earlier in self.cx.links.serve_deliveries(link, key, self.cx.now_ms()) {
            self.cx.close(earlier);
        }
    }

    /// Handles HERE. Ignores strangers.
    pub(in crate::session) fn person_is_here(
        &mut self,
        link: LinkId,
        key: PublicKey,
        receiver: SocketAddr,
    ) {
        let Some(who) = self.account.name_of(&key) else {
            return self.cx.close(link);
        };
        self.use_for_deliveries(link, key);
        self.account.locate(&mut self.cx, &who, key, receiver);
        self.mail.peering.resume(&who);
        self.resume_files(Some(&who));
        self.post_next();
    }

    /// Tells the author that a message was displayed and recorded.
    pub(super) fn acknowledge_to_peer(&mut self, link: LinkId, id: MessageId) {
        // If the link is gone, the author delivers it again and gets the acknowledgement then.
        if matches!(self.cx.links.purpose(link), Some(LinkUse::Deliveries { .. })) {
            self.cx.send(link, PeerMessage::Delivered { id });
        }
    }
}
