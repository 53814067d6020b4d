//! The way of messages straight to people while the server is away: one link in each direction, a few messages in
//! flight.
//!
//! ```text
//! a message waits ── the receiver at its last address is dialled ──▶ DELIVER ◀── ACK ID
//! ```
//!
//! A message stays in the outbox until it is acknowledged. If the server is back first, it goes there under the same id.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use letschat_protocol::body::Body;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::{PeerMessage, Refusal};
use letschat_protocol::username::Username;

use super::arrivals::Delivery;
use super::bodies::text_body;
use super::receiving::Incoming;
use crate::conversation::Via;
use crate::session::backoff::{Backoff, SOON};
use crate::session::links::LinkUse;
use crate::session::{KnownPeer, LinkId, Session};

/// The most messages on a link that are not acknowledged.
const MAX_IN_FLIGHT: usize = 16;
/// The longest wait for an acknowledgement. The other side first displays a message.
const ANSWER_MS: u64 = 30_000;
/// The time after which an idle link is closed.
const IDLE_MS: u64 = 120_000;
/// The most people who are told that this client is here.
const MAX_GREETED: usize = 64;
/// The wait before another attempt to reach somebody who refuses, since they don't know this device.
const REFUSED_MS: u64 = 60_000;

/// The links to the people for whom messages wait.
#[derive(Debug, Default)]
pub(super) struct Peering {
    people: BTreeMap<Username, Person>,
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
    Dialling,
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
        self.since_ms + if self.in_flight.is_empty() { IDLE_MS } else { ANSWER_MS }
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

    /// Returns true while a link is being opened, or while messages are in flight.
    pub(super) fn is_active(&self) -> bool {
        self.people.values().any(|person| match &person.state {
            State::Down { .. } => false,
            State::Dialling => true,
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

    /// Notes an attempt. Returns false if none can be made now.
    fn begin(&mut self, who: &Username) -> bool {
        let person = self.people.entry(who.clone()).or_default();
        let can_dial = matches!(person.state, State::Down { retry_ms: None });
        if can_dial {
            person.state = State::Dialling;
        }
        can_dial
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
            State::Dialling => None,
            State::Up(up) => Some(up.due_ms()),
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
                State::Up(up) if up.due_ms() <= now_ms => {
                    over.push((who.clone(), up.link, up.in_flight.is_empty()));
                }
                State::Dialling | State::Up(_) => {}
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

    /// Sends the waiting messages to the people who can be reached without the server.
    pub(super) fn deliver_to_peers(&mut self) {
        if self.account.opened().is_none()
            || self.quitting.as_ref().is_some_and(|one| one.is_over())
        {
            return;
        }
        let people: BTreeSet<Username> = self.mail.outbox.ready().cloned().collect();
        for who in people {
            self.deliver_to(&who);
        }
    }

    /// Dials a person. Returns false if that can't be done now, or is done already.
    fn reach_peer(&mut self, who: &Username) -> bool {
        let Some(KnownPeer { key, receiver: Some(receiver), .. }) = self.account.peer(who) else {
            return false;
        };
        let can_dial = self.mail.peering.begin(who);
        if can_dial {
            self.cx.dial(LinkUse::Deliver(who.clone()), receiver, key);
        }
        can_dial
    }

    fn deliver_to(&mut self, who: &Username) {
        if self.reach_peer(who) {
            return;
        }
        let (Some(account), Some(server), Some(up)) =
            (self.account.opened(), self.server.fingerprint(), self.mail.peering.up_mut(who))
        else {
            return;
        };
        let room = MAX_IN_FLIGHT.saturating_sub(up.in_flight.len());
        let in_flight = up.in_flight.make_contiguous();
        for message in self.mail.outbox.ready_to(who, in_flight, room) {
            let body = text_body(account, message).sign(&account.identity, &server);
            if up.in_flight.is_empty() {
                up.since_ms = self.cx.now_ms();
            }
            up.in_flight.push_back(message.id);
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
        if self.mail.outbox.ready_to(who, &[], 1).is_empty() {
            self.cx.send(link, PeerMessage::Here { port: self.cx.config().port });
        }
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
                    if self.server.is_logged_in() { self.post_next() } else { self.deliver_to(who) }
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
        if !self.server.is_logged_in() {
            for message in self.mail.outbox.waiting_to(Some(who)) {
                self.answer_waiting(&message, None);
            }
        }
        self.post_next();
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
        let body = Body::verify(bytes, &server).ok().filter(|body| {
            body.device == key
                && self.account.known_key(&body.sender) == Some(key)
                && body.recipients.contains(own)
        });
        let Some(body) = body else {
            return self.cx.refuse(link, Refusal::Unknown);
        };
        if self.account.is_blocked(&body.sender) {
            return self.cx.refuse(link, Refusal::Denied);
        }
        for earlier in self.cx.links.serve_deliveries(link, key, self.cx.now_ms()) {
            self.cx.close(earlier);
        }
        let delivery = Delivery::Peer(link, body.message_id());
        let (sender, opened) = (body.sender.clone(), Ok(body));
        self.take_in(Incoming { delivery, sender, bytes: bytes.len(), opened });
    }

    /// Handles the word of a person that they are here. That of strangers says nothing.
    pub(in crate::session) fn person_is_here(
        &mut self,
        link: LinkId,
        key: PublicKey,
        receiver: SocketAddr,
    ) {
        let Some(who) = self.account.name_of(&key) else {
            return self.cx.close(link);
        };
        for earlier in self.cx.links.serve_deliveries(link, key, self.cx.now_ms()) {
            self.cx.close(earlier);
        }
        self.account.locate(&mut self.cx, &who, key, receiver);
        self.mail.peering.resume(&who);
        self.post_next();
    }

    /// Tells the author that a message was displayed and recorded.
    pub(super) fn acknowledge_to_peer(&mut self, link: LinkId, id: MessageId) {
        // Otherwise the author delivers it again.
        if matches!(self.cx.links.purpose(link), Some(LinkUse::Deliveries { .. })) {
            self.cx.send(link, PeerMessage::Delivered { id });
        }
    }
}
