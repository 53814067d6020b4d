//! The delivery of committed broadcasts.
//!
//! Clients that UDP reaches get them by datagram, the others in pages over TCP. Datagrams may be
//! lost, so the newest number is repeated after a pause and with each keep-alive. A client that
//! sees a gap asks for a replay, which is sent in pages too.

use std::net::SocketAddr;

use letschat_protocol::code::Code;
use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::{Broadcast, Notice, Reply, SessionId};
use letschat_protocol::limits::MAX_PAGE_BYTES;

use super::connection::{Member, Page, Pages};
use super::directory::Location;
use super::io::Destination;
use super::{ConnectionId, Effect, Hub, Record, interactive};
use letschat_protocol::clock::Now;

/// The delays after the last broadcast at which the newest number is repeated. The first is soon,
/// since most losses are single, and the others cover lost repetitions. At 30% loss, one client in
/// four hundred then learns of the broadcast only by the next keep-alive.
const HEAD_REPEATS_MS: [u64; 4] = [100, 300, 800, 1_500];

/// The age at which a broadcast has been delivered or repaired. A commit takes at most three
/// seconds, and the last repetition of its number follows soon.
const RECENT_MS: u64 = 5_000;

/// The size of the last page before the farewell. It fits the outbox beside an undrained page and a
/// reply.
const LAST_PAGE_BYTES: usize = 16 * 1024;

/// The time of the last broadcast, and the number of repetitions left.
#[derive(Debug, Default)]
pub(super) struct HeadRepeats {
    published_ms: u64,
    left: usize,
}

impl HeadRepeats {
    /// Starts the repetitions for a broadcast that is published now.
    pub(super) fn restart(&mut self, now_ms: u64) {
        *self = HeadRepeats { published_ms: now_ms, left: HEAD_REPEATS_MS.len() };
    }

    /// Returns the time of the last published broadcast, or 0 before the first.
    pub(super) fn published_ms(&self) -> u64 {
        self.published_ms
    }

    /// Returns the time of the next repetition.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let next = HEAD_REPEATS_MS.len().checked_sub(self.left)?;
        HEAD_REPEATS_MS.get(next).map(|after| self.published_ms + after)
    }
}

impl Hub {
    /// Returns all logged-in clients.
    pub(super) fn everybody(&self) -> impl Iterator<Item = (ConnectionId, &Member)> {
        self.connections.iter().filter_map(|(id, connection)| Some((*id, connection.member()?)))
    }

    /// Sends a broadcast by datagram to all clients that UDP reaches, and as the next page to the
    /// others.
    pub(super) fn deliver(&mut self, broadcast: &Broadcast) {
        let own: Vec<Location> =
            self.directory.sessions(&broadcast.sender).map(|entry| entry.location).collect();
        let mut others = Vec::with_capacity(self.directory.len());
        let mut sender = Vec::new();
        let mut streaming = Vec::new();
        for (id, member) in self.everybody() {
            if let Some(destination) = member.destination() {
                let is_own = own.contains(&Location::Local(id));
                let to = if is_own { &mut sender } else { &mut others };
                to.push(destination);
            }
            if member.streams() {
                streaming.push(id);
            }
        }
        for (to, own) in [(others, false), (sender, true)] {
            if !to.is_empty() {
                let message = ToClient::Broadcast { entry: broadcast.clone(), own };
                self.effects.push(Effect::Datagram { to, message });
            }
        }
        for id in streaming {
            self.stream(id);
        }
    }

    /// Sends the last broadcasts over TCP before the server stops, since datagrams may have been
    /// lost. It does not wait for an earlier page to drain.
    pub(super) fn stream_the_last(&mut self, now: Now, id: ConnectionId) {
        let recent = self.log.first_since(now.boot_ms.saturating_sub(RECENT_MS));
        let head = self.log.head();
        let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) else {
            return;
        };
        if !member.streams() {
            member.stream.next = recent;
            member.stream.until = Some(head);
        }
        member.pages = Pages::default();
        self.stream_page(id, LAST_PAGE_BYTES);
    }

    /// Sends the next page of the log over TCP, if one is wanted and the last has drained.
    pub(super) fn stream(&mut self, id: ConnectionId) {
        self.stream_page(id, MAX_PAGE_BYTES);
    }

    fn stream_page(&mut self, id: ConnectionId, max_bytes: usize) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let is_interactive = connection.is_interactive();
        let Some(member) = connection.member_mut() else {
            return;
        };
        if member.pages.draining || member.pages.reserved || !member.streams() {
            return;
        }
        let (mut page, mut replayed) = (Vec::new(), 0);
        for entry in self.log.from(member.stream.next) {
            let notice =
                Notice::Broadcast { own: entry.sender == member.username, entry: entry.clone() };
            let bytes = if is_interactive {
                interactive::render(&notice)
            } else {
                notice.to_frame().to_bytes()
            };
            if page.len() + bytes.len() > max_bytes {
                break;
            }
            page.extend_from_slice(&bytes);
            let is_asked_for = member.stream.until.is_some_and(|until| entry.number <= until);
            replayed += u64::from(member.stream.replaying && is_asked_for);
            member.stream.next = entry.number + 1;
        }
        let at_head = self.log.from(member.stream.next).next().is_none();
        if at_head {
            member.stream.next = self.log.head() + 1;
        }
        if let Some(through) = member.stream.until
            && member.stream.next > through
        {
            member.stream.until = None;
            if std::mem::take(&mut member.stream.replaying) {
                Notice::Replayed { through }.to_frame().encode(&mut page);
            }
        }
        self.counts.replayed += replayed;
        if page.is_empty() {
            return;
        }
        member.pages.begin(Page::Broadcasts);
        self.effects.push(Effect::Send { connection: id, bytes: page });
        self.effects.push(Effect::TellWhenDrained { connection: id });
    }

    pub(super) fn drained(&mut self, now: Now, id: ConnectionId) {
        let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) else {
            return;
        };
        let turn = member.pages.drained();
        if turn == Page::Broadcasts {
            self.stream(id);
        }
        let reads = self.read_mail(now, id);
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.pages.reserved = reads && turn == Page::Mail;
        }
        self.stream(id);
    }

    /// Begins a replay: the reply names the first number, then the entries follow.
    pub(super) fn replay(&mut self, now: Now, id: ConnectionId, from: u64) {
        let from = from.max(1);
        let (first, head) = (self.log.first().max(from), self.log.head());
        let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) else {
            return;
        };
        member.stream.next = first;
        member.stream.until = Some(head);
        member.stream.replaying = true;
        let gone = if first > from { "what is older is gone" } else { "replaying" };
        self.answer(now, id, &Reply::new(Code::Ok, format!("{first} {head} {gone}")));
        self.stream(id);
    }

    /// Handles a genuine datagram. Its address is used only after it has answered a challenge.
    pub(super) fn datagram(
        &mut self,
        now: Now,
        session: SessionId,
        from: SocketAddr,
        message: &ToServer,
    ) {
        let Some(id) = self.sessions.get(&session).copied() else {
            return;
        };
        let head = self.log.head();
        let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) else {
            return;
        };
        let answer = match message {
            ToServer::KeepAlive if member.datagrams.proven == Some(from) => {
                member.datagrams.heard_ms = now.boot_ms;
                ToClient::Head(head)
            }
            ToServer::KeepAlive => {
                let token = self.tokens.draw();
                member.datagrams.challenge = Some((from, token));
                ToClient::Challenge(token)
            }
            ToServer::Answer(token) if member.datagrams.challenge == Some((from, *token)) => {
                member.datagrams.challenge = None;
                member.datagrams.heard_ms = now.boot_ms;
                self.datagrams_work(id, from);
                ToClient::Head(head)
            }
            ToServer::Answer(_) => return,
        };
        let to = vec![Destination { session, address: from }];
        self.effects.push(Effect::Datagram { to, message: answer });
        self.reschedule(id);
    }

    fn datagrams_work(&mut self, id: ConnectionId, at: SocketAddr) {
        let head = self.log.head();
        let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) else {
            return;
        };
        if member.datagrams.proven.replace(at).is_some() {
            return;
        }
        if member.stream.next <= head {
            // The rest of the stream continues over TCP.
            member.stream.until = Some(head);
        }
        let username = member.username.clone();
        self.effects.push(Effect::Record(Record::Datagrams { username, work: true }));
    }

    /// Falls back to TCP when UDP is silent. The client detects lost datagrams as a gap.
    pub(super) fn datagrams_broke(&mut self, now: Now, id: ConnectionId) {
        let head = self.log.head();
        let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) else {
            return;
        };
        member.datagrams = super::connection::Datagrams::default();
        // Without UDP, keep-alives over TCP are due more often, counted from now.
        member.heard_ms = now.boot_ms;
        if member.stream.until.is_none() {
            member.stream.next = head + 1;
        }
        let username = member.username.clone();
        self.effects.push(Effect::Record(Record::Datagrams { username, work: false }));
    }

    /// Repeats the newest number to all clients that UDP reaches.
    pub(super) fn repeat_head(&mut self, now: Now) {
        let before = self.head_repeats.left;
        // Several repetitions that fell due while the machine slept become one.
        while self.head_repeats.due_ms().is_some_and(|due| due <= now.boot_ms) {
            self.head_repeats.left -= 1;
        }
        if self.head_repeats.left == before {
            return;
        }
        let to: Vec<Destination> =
            self.everybody().filter_map(|(_, member)| member.destination()).collect();
        if !to.is_empty() {
            let message = ToClient::Head(self.log.head());
            self.effects.push(Effect::Datagram { to, message });
        }
    }
}
