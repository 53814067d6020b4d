//! Replies and notices to a connection, and the reading of its next line.

use letschat_protocol::dialogue::{Closing, Notice, Reply};
use letschat_protocol::frame::{FrameError, Mode};

use super::connection::{self, Connection, DelayedAction, MAX_INVALID_LINES, MAX_SLOWED, Phase};
use super::{ConnectionId, Effect, Hub, LeaveReason, interactive};
use letschat_protocol::clock::Now;

impl Hub {
    /// Carries out the delayed action.
    pub(super) fn release(&mut self, now: Now, id: ConnectionId) {
        let Some(delayed) =
            self.connections.get_mut(&id).and_then(|connection| connection.delayed.take())
        else {
            return;
        };
        match delayed.action {
            DelayedAction::Read(mode) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.asked_ms = now.boot_ms;
                }
                self.effects.push(Effect::Read { connection: id, mode });
            }
            DelayedAction::Store(request) => self.effects.push(Effect::Store(request)),
        }
    }

    /// Answers a malformed line.
    pub(super) fn malformed(&mut self, now: Now, id: ConnectionId, error: FrameError) {
        let reply = Reply::new(letschat_protocol::code::Code::Malformed, error.to_string());
        if error.is_fatal() {
            self.send_reply(id, &reply);
            return self.close(now, id, Closing::Flood);
        }
        self.answer_invalid(now, id, &reply);
    }

    /// Answers an invalid line, and closes the connection after several in a row. A person gets the
    /// same question again.
    pub(super) fn answer_invalid(&mut self, now: Now, id: ConnectionId, reply: &Reply) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.invalid_lines += 1;
        if connection.invalid_lines >= MAX_INVALID_LINES {
            self.send_reply(id, reply);
            return self.close(now, id, Closing::Flood);
        }
        let asked = match connection.login_step() {
            Some(connection::LoginStep::Asked(question)) => Some(interactive::question(question)),
            _ => None,
        };
        self.send_reply(id, reply);
        if let Some(question) = asked {
            self.send_reply(id, &question);
        }
        self.want_line(now, id, self.mode_of(id));
    }

    /// Returns the mode of the next line: verbatim while a person is asked a question.
    pub(super) fn mode_of(&self, id: ConnectionId) -> Mode {
        let Some(connection) = self.connections.get(&id) else {
            return Mode::Frame;
        };
        let asked = match &connection.phase {
            Phase::Securing | Phase::Meeting => false,
            Phase::Secured(_, step) => matches!(step, connection::LoginStep::Asked(_)),
            Phase::Member(member) => member.question.is_some(),
        };
        if asked { Mode::Verbatim } else { Mode::Frame }
    }

    /// Answers a valid line, and reads the next one.
    pub(super) fn answer(&mut self, now: Now, id: ConnectionId, reply: &Reply) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.invalid_lines = 0;
        }
        self.answer_in(now, id, reply, Mode::Frame);
    }

    pub(super) fn answer_in(&mut self, now: Now, id: ConnectionId, reply: &Reply, mode: Mode) {
        self.send_reply(id, reply);
        self.want_line(now, id, mode);
    }

    /// Reads the next line, delayed if the rate limit is exceeded.
    pub(super) fn want_line(&mut self, now: Now, id: ConnectionId, mode: Mode) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match connection.commands.take(now.boot_ms) {
            Ok(()) => {
                // An occasional short pause must not reset the count of a flood.
                connection.slowed = connection.slowed.saturating_sub(1);
                self.effects.push(Effect::Read { connection: id, mode });
            }
            // A classroom slows down a paste that is too long, and lets it end.
            Err(_) if connection.slowed >= MAX_SLOWED && !self.settings.classroom => {
                self.close(now, id, Closing::Flood);
            }
            Err(wait_ms) => {
                // The delay pays for the token, so the token is taken at its end.
                connection.slowed += 1;
                let until_ms = now.boot_ms + wait_ms;
                let _ = connection.commands.take(until_ms);
                self.delay(id, connection::Delayed { until_ms, action: DelayedAction::Read(mode) });
            }
        }
    }

    pub(super) fn delay(&mut self, id: ConnectionId, delayed: connection::Delayed) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.delayed = Some(delayed);
        }
        self.reschedule(id);
    }

    pub(super) fn send_reply(&mut self, id: ConnectionId, reply: &Reply) {
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        self.send(id, bytes);
    }

    /// Sends bytes. Does nothing if the connection has gone.
    pub(super) fn send(&mut self, id: ConnectionId, bytes: Vec<u8>) {
        if !bytes.is_empty() && self.connections.contains_key(&id) {
            self.effects.push(Effect::Send { connection: id, bytes });
        }
    }

    /// Sends a notice.
    pub(super) fn tell(&mut self, id: ConnectionId, notice: &Notice) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let bytes = match connection.is_interactive() {
            true => interactive::render(notice),
            false => notice.to_frame().to_bytes(),
        };
        self.send(id, bytes);
    }

    /// Sends the reason, and closes.
    pub(super) fn close(&mut self, now: Now, id: ConnectionId, why: Closing) {
        if matches!(self.connections.get(&id), Some(Connection { phase: Phase::Securing, .. })) {
            // Before the TLS handshake nothing can be sent.
        } else {
            self.tell(id, &Notice::Closing(why));
        }
        self.effects.push(Effect::Close { connection: id });
        self.forget(now, id, LeaveReason::Closed(why));
    }
}
