//! The dispatch of programs' requests and the store's answers to their handlers.
//!
//! A new verb is a line here and a file with its handler. A verb that is not listed for the
//! connection's phase is refused here, so that handlers see only allowed requests.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Reply, Request, USAGE};
use letschat_protocol::frame::Frame;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::connection::{Idle, LoginStep, Member, Phase};
use super::{ConnectionId, Effect, Hub, Record};
use crate::store::StoreAnswer;
use letschat_protocol::clock::Now;

impl Hub {
    /// Handles a line of a program, or the first line of any client.
    pub(super) fn program_line(&mut self, now: Now, id: ConnectionId, frame: &Frame) {
        let connection = &self.connections[&id];
        let is_member = connection.member().is_some();
        if connection.login_step() == Some(&LoginStep::AwaitingHello) {
            return self.hello(now, id, frame);
        }
        if matches!(connection.phase, Phase::Meeting) {
            return self.meeting_line(now, id, frame);
        }
        match Request::from_frame(frame) {
            Err(error) => self.refuse(now, id, error.code, error.expected),
            Ok(request) if is_member => self.member_request(now, id, request),
            Ok(request) => self.request_before_login(now, id, request),
        }
    }

    fn request_before_login(&mut self, now: Now, id: ConnectionId, request: Request) {
        match request {
            Request::SignUp { username, password, repeated } => {
                self.sign_up(now, id, &username, password, &repeated);
            }
            Request::Login { username, credentials, password } => {
                self.log_in(now, id, &username, &credentials, Some(password));
            }
            Request::Key { username, credentials } => {
                self.log_in(now, id, &username, &credentials, None);
            }
            Request::Ping => self.pong(now, id),
            Request::Help => self.answer(now, id, &usage()),
            Request::Quit => self.goodbye(now, id),
            _ => self.refuse(now, id, Code::WrongPhase, "expected LOGIN, KEY or SIGNUP first"),
        }
    }

    fn member_request(&mut self, now: Now, id: ConnectionId, request: Request) {
        if is_activity(&request) {
            self.was_active(id, now);
            match request {
                // A message that was shown does not mean that somebody uses this device.
                Request::Acknowledge { .. } => self.owes_receipt(id),
                // Envelopes are looked at later.
                Request::Post { .. } => {}
                _ => self.was_used(id, now),
            }
        }
        match request {
            Request::List { after } => self.list(now, id, after.as_ref()),
            Request::Watch(on) => self.watch(now, id, on),
            Request::Connect { who } => self.connect(now, id, &who),
            Request::Broadcast { text } => self.broadcast(now, id, text),
            Request::Replay { from } => self.replay(now, id, from),
            Request::ChangePassword { password, new, repeated } => {
                self.change_password(now, id, password, new, &repeated);
            }
            Request::Active => self.answer(now, id, &Reply::new(Code::Ok, "noted")),
            Request::Prekey(_)
            | Request::Keys { .. }
            | Request::Locate { .. }
            | Request::Meet { .. }
            | Request::Devices { .. }
            | Request::Enrol { .. }
            | Request::Change { .. }
            | Request::Recover { .. }
            | Request::Post { .. }
            | Request::Acknowledge { .. }
                if self.device_of(id).is_none() =>
            {
                self.refuse(now, id, Code::WrongPhase, "expected a login with a key first");
            }
            Request::Prekey(prekey) => self.prekey(now, id, prekey),
            Request::Keys { name } => self.keys(now, id, &name),
            Request::Locate { name, key } => self.locate(now, id, &name, &key),
            Request::Meet { name, key } => self.meet(now, id, &name, &key),
            Request::Devices { name, after } => self.devices(id, now, &name, after),
            Request::Enrol { name, consent } => self.enrol(now, id, name, consent),
            Request::Change { number, entry } => self.change_list(now, id, number, *entry),
            Request::Recover { entry, password } => self.recover(now, id, entry, password),
            Request::Post { id: envelope_id, envelope } => {
                self.post(now, id, envelope_id, &envelope);
            }
            Request::Acknowledge { numbers } => self.acknowledge(now, id, numbers),
            Request::Ping => self.pong(now, id),
            Request::Help => self.answer(now, id, &usage()),
            Request::Quit => self.goodbye(now, id),
            Request::Join { .. } | Request::Relay => {
                let expected = "expected this on a connection of its own, for a meeting";
                self.refuse(now, id, Code::WrongPhase, expected);
            }
            Request::Hello
            | Request::SignUp { .. }
            | Request::Login { .. }
            | Request::Key { .. } => {
                self.refuse(now, id, Code::WrongPhase, "you are logged in; QUIT first");
            }
        }
    }

    /// Dispatches an answer of the store to the handler that asked for it.
    pub(super) fn stored(&mut self, now: Now, answer: StoreAnswer) {
        match answer {
            StoreAnswer::SignedUp { connection, result } => self.signed_up(now, connection, result),
            StoreAnswer::Checked { connection, result } => {
                self.login_checked(now, connection, result);
            }
            StoreAnswer::PasswordChanged { connection, username, result } => {
                self.password_changed(now, connection, &username, result);
            }
            StoreAnswer::PasswordInDoubt { connection, username } => {
                self.password_in_doubt(now, connection, &username);
            }
            StoreAnswer::Appended { result } => self.appended(now, result),
            StoreAnswer::Mail(answer) => self.mail_answered(now, answer),
            StoreAnswer::Cluster(answer) => self.cluster_answered(now, answer),
        }
    }

    fn refuse(&mut self, now: Now, id: ConnectionId, code: Code, expected: &str) {
        self.answer_invalid(now, id, &Reply::new(code, expected));
    }

    fn pong(&mut self, now: Now, id: ConnectionId) {
        let pong = format!("{} pong", self.log.head());
        self.answer(now, id, &Reply::new(Code::Ok, pong));
    }

    /// Returns the account and the device of a session that logged in with a key.
    pub(super) fn device_of(&self, id: ConnectionId) -> Option<(Username, PublicKey)> {
        let member = self.member_of(id)?;
        Some((member.username.clone(), member.key?))
    }

    fn owes_receipt(&mut self, id: ConnectionId) {
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.owes_receipt = true;
        }
    }

    /// Notes an envelope to others: its user has written it, unless it is a receipt.
    pub(super) fn has_posted(&mut self, id: ConnectionId, now: Now) {
        let member = self.connections.get_mut(&id).and_then(|c| c.member_mut());
        if member.is_some_and(|member| !std::mem::take(&mut member.owes_receipt)) {
            self.was_used(id, now);
        }
    }

    pub(super) fn was_used(&mut self, id: ConnectionId, now: Now) {
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.used_ms = now.boot_ms;
        }
    }

    pub(super) fn was_active(&mut self, id: ConnectionId, now: Now) {
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.active_ms = now.boot_ms;
        }
    }

    pub(super) fn idle(&self) -> Idle {
        Idle { limit_ms: self.settings.idle_ms, broadcast_ms: self.head_repeats.published_ms() }
    }

    pub(super) fn member_of(&self, id: ConnectionId) -> Option<&Member> {
        self.connections.get(&id)?.member()
    }

    pub(super) fn asked(&mut self, id: ConnectionId, verb: &'static str) {
        if let Some(member) = self.member_of(id) {
            let username = member.username.clone();
            self.effects.push(Effect::Record(Record::Asked { username, verb }));
        }
    }
}

/// Returns true for a request that only a user triggers, and for messages: an envelope that is posted
/// or was shown. A program sends the others by itself.
fn is_activity(request: &Request) -> bool {
    !matches!(
        request,
        Request::Ping
            | Request::Replay { .. }
            | Request::Prekey(_)
            | Request::Keys { .. }
            | Request::Locate { .. }
            | Request::Meet { .. }
            | Request::Devices { .. }
            | Request::Enrol { .. }
    )
}

/// Returns the available requests, as a reply to HELP.
fn usage() -> Reply {
    let lines = USAGE.iter().map(|(_, usage)| (*usage).to_owned());
    Reply::long(Code::Help, lines, "docs/PROTOCOL.md has the whole of it".into())
}
