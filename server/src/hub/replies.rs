//! What a connection is sent, and when its next line is read.

use letschat_protocol::dialogue::{Closing, Notice, Reply};
use letschat_protocol::frame::{FrameError, Mode};

use super::connection::{self, Connection, MAX_NONSENSE, MAX_SLOWED, Phase, Then};
use super::{ConnectionId, Effect, Hub, Why, interactive};
use crate::clock::Now;

impl Hub {
    /// Goes on with what was held back.
    pub(super) fn release(&mut self, now: Now, id: ConnectionId) {
        let Some(held) =
            self.connections.get_mut(&id).and_then(|connection| connection.held.take())
        else {
            return;
        };
        match held.then {
            Then::Read(mode) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.asked_ms = now.boot_ms;
                }
                self.effects.push(Effect::Read { connection: id, mode });
            }
            Then::Ask(request) => self.effects.push(Effect::Store(request)),
        }
    }

    /// A line that is no line. A person hears what was expected; after a few it is enough.
    pub(super) fn nonsense(&mut self, now: Now, id: ConnectionId, error: FrameError) {
        let reply = Reply::new(letschat_protocol::code::Code::Malformed, error.to_string());
        if error.is_fatal() {
            self.send_reply(id, &reply);
            return self.close(now, id, Closing::Flood);
        }
        self.answer_nonsense(now, id, &reply);
    }

    /// Answers what made no sense, and closes after a few. A person's question is asked again.
    pub(super) fn answer_nonsense(&mut self, now: Now, id: ConnectionId, reply: &Reply) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.nonsense += 1;
        if connection.nonsense >= MAX_NONSENSE {
            self.send_reply(id, reply);
            return self.close(now, id, Closing::Flood);
        }
        let asked = match connection.entrance() {
            Some(connection::Entrance::Asked(question)) => Some(interactive::question(question)),
            _ => None,
        };
        self.send_reply(id, reply);
        if let Some(question) = asked {
            self.send_reply(id, &question);
        }
        self.want_line(now, id, self.mode_of(id));
    }

    /// How the next line is taken: whole while a person is asked something, as a frame otherwise.
    pub(super) fn mode_of(&self, id: ConnectionId) -> Mode {
        let Some(connection) = self.connections.get(&id) else {
            return Mode::Frame;
        };
        let asked = match &connection.phase {
            Phase::Securing => false,
            Phase::Secured(_, entrance) => matches!(entrance, connection::Entrance::Asked(_)),
            Phase::Member(member) => member.question.is_some(),
        };
        if asked { Mode::Verbatim } else { Mode::Frame }
    }

    /// Sends a reply to what made sense, and wants the next line.
    pub(super) fn answer(&mut self, now: Now, id: ConnectionId, reply: &Reply) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.nonsense = 0;
        }
        self.answer_in(now, id, reply, Mode::Frame);
    }

    pub(super) fn answer_in(&mut self, now: Now, id: ConnectionId, reply: &Reply, mode: Mode) {
        self.send_reply(id, reply);
        self.want_line(now, id, mode);
    }

    /// Wants the next line, later if there have been too many.
    pub(super) fn want_line(&mut self, now: Now, id: ConnectionId, mode: Mode) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match connection.commands.take(now.boot_ms) {
            Ok(()) => {
                // A short pause now and then does not make up for a flood.
                connection.slowed = connection.slowed.saturating_sub(1);
                self.effects.push(Effect::Read { connection: id, mode });
            }
            Err(_) if connection.slowed >= MAX_SLOWED => self.close(now, id, Closing::Flood),
            Err(wait_ms) => {
                // The token is taken when the wait is over: the wait is what a token costs.
                connection.slowed += 1;
                let until_ms = now.boot_ms + wait_ms;
                let _ = connection.commands.take(until_ms);
                self.hold(id, connection::Held { until_ms, then: Then::Read(mode) });
            }
        }
    }

    pub(super) fn hold(&mut self, id: ConnectionId, held: connection::Held) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.held = Some(held);
        }
        self.reschedule(id);
    }

    pub(super) fn send_reply(&mut self, id: ConnectionId, reply: &Reply) {
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        self.send(id, bytes);
    }

    /// Whoever has gone meanwhile is sent nothing.
    pub(super) fn send(&mut self, id: ConnectionId, bytes: Vec<u8>) {
        if !bytes.is_empty() && self.connections.contains_key(&id) {
            self.effects.push(Effect::Send { connection: id, bytes });
        }
    }

    /// Says something unasked.
    pub(super) fn tell(&mut self, id: ConnectionId, notice: &Notice) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let bytes = match connection.is_hand() {
            true => interactive::render(notice),
            false => notice.to_frame().to_bytes(),
        };
        self.send(id, bytes);
    }

    /// Says why, and closes.
    pub(super) fn close(&mut self, now: Now, id: ConnectionId, why: Closing) {
        if matches!(self.connections.get(&id), Some(Connection { phase: Phase::Securing, .. })) {
            // Nothing can be said before TLS is up.
        } else {
            self.tell(id, &Notice::Closing(why));
        }
        self.effects.push(Effect::Close { connection: id });
        self.forget(now, id, Why::Closed(why));
    }
}
