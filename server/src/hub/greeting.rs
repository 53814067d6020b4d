//! The greeting: from the first byte to the choice between login and sign-up.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Closing, Reply, Request};
use letschat_protocol::frame::{Frame, Mode};
use letschat_protocol::identity::ChannelBinding;

use super::connection::{ClientKind, LoginStep, Phase, Question, StoreWork};
use super::{ConnectionId, Effect, Hub, Record, interactive};
use letschat_protocol::clock::Now;

const STORE_AWAY: &str = "The accounts can't be reached just now. Try again in a moment.";

impl Hub {
    pub(super) fn secured(&mut self, now: Now, id: ConnectionId, binding: ChannelBinding) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.phase = Phase::Secured(binding, LoginStep::AwaitingHello);
        connection.asked_ms = now.boot_ms;
        // A connection for a meeting takes no place.
        if self.is_full() && self.meetings.is_empty() {
            return self.turn_away(now, id);
        }
        let version = env!("CARGO_PKG_VERSION");
        let greeting = format!("letschat-server {version}; say HELLO");
        self.answer(now, id, &Reply::new(Code::Ready, greeting));
        self.reschedule(id);
    }

    fn is_full(&self) -> bool {
        self.directory.len() >= self.settings.places
    }

    /// Closes a connection that finds all places taken.
    pub(super) fn turn_away(&mut self, now: Now, id: ConnectionId) {
        self.effects.push(Effect::Record(Record::TurnedAway { connection: id }));
        self.send_reply(id, &Reply::new(Code::Busy, Closing::Busy.sentence()));
        self.close(now, id, Closing::Busy);
    }

    /// Handles the first line: HELLO of a program or of a person who types, or JOIN.
    pub(super) fn hello(&mut self, now: Now, id: ConnectionId, frame: &Frame) {
        let request = Request::from_frame(frame);
        if let Ok(Request::Join { token, local }) = request {
            return self.join(now, id, token, local);
        }
        if self.is_full() {
            return self.turn_away(now, id);
        }
        if is_bare_hello(frame) {
            return self.greet_interactive(now, id);
        }
        match request {
            Ok(Request::Hello) => self.greet_program(now, id),
            Ok(Request::Quit) => self.goodbye(now, id),
            _ => {
                self.answer_invalid(now, id, &Reply::new(Code::WrongPhase, interactive::SAY_HELLO));
            }
        }
    }

    fn greet_program(&mut self, now: Now, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.begin_program(now.boot_ms);
            connection.await_answer(LoginStep::Choosing, now.boot_ms);
        }
        let question = "log in or sign up? LOGIN, KEY or SIGNUP";
        self.answer(now, id, &Reply::new(Code::WhichWay, question));
    }

    fn greet_interactive(&mut self, now: Now, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.kind = ClientKind::Interactive;
            connection.await_answer(LoginStep::Choosing, now.boot_ms);
        }
        self.answer(now, id, &Reply::new(Code::WhichWay, interactive::WELCOME));
    }

    pub(super) fn goodbye(&mut self, now: Now, id: ConnectionId) {
        self.send_reply(id, &Reply::new(Code::Goodbye, "Goodbye."));
        self.effects.push(Effect::Close { connection: id });
        self.forget(now, id, super::LeaveReason::Quit);
    }

    /// Returns the store's work for a client that is not logged in.
    pub(super) fn store_work(&self, id: ConnectionId) -> Option<StoreWork> {
        match self.connections.get(&id)?.login_step()? {
            LoginStep::InStore(work) => Some(work.clone()),
            _ => None,
        }
    }

    pub(super) fn store_failed(&mut self, what: &'static str) -> Reply {
        self.effects.push(Effect::Record(Record::StoreFailed { what }));
        Reply::new(Code::StoreUnavailable, STORE_AWAY)
    }

    /// Sends a reply, and returns to the choice between login and sign-up.
    pub(super) fn back_to_choice(&mut self, now: Now, id: ConnectionId, reply: &Reply) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.await_answer(LoginStep::Choosing, now.boot_ms);
        let is_interactive = connection.is_interactive();
        self.send_reply(id, reply);
        if is_interactive {
            self.send_reply(id, &Reply::new(Code::WhichWay, interactive::WHICH_WAY));
        }
        self.want_line(now, id, Mode::Frame);
    }

    /// Asks a person a question.
    pub(super) fn ask(&mut self, now: Now, id: ConnectionId, question: Question) {
        let reply = interactive::question(&question);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.await_answer(LoginStep::Asked(question), now.boot_ms);
        }
        self.answer_in(now, id, &reply, Mode::Verbatim);
    }
}

fn is_bare_hello(frame: &Frame) -> bool {
    let mut words = frame.words();
    let hello = words.next().is_some_and(|word| word.eq_ignore_ascii_case("HELLO"));
    hello && words.next().is_none() && frame.payload().is_none()
}
