//! SIGNUP: a new account.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Reply, Secret};
use letschat_protocol::password;
use letschat_protocol::username::{Username, UsernameError};

use super::connection::{Question, StoreWork};
use super::{ConnectionId, Effect, Hub, Record};
use crate::reserved_names;
use crate::store::{Created, StoreRequest, Unavailable};
use letschat_protocol::clock::Now;

impl Hub {
    pub(super) fn sign_up(
        &mut self,
        now: Now,
        id: ConnectionId,
        name: &str,
        password: Secret,
        repeated: &Secret,
    ) {
        let refusal = match new_name(name) {
            Err(why) => Reply::new(Code::NameInvalid, why),
            Ok(username) => match password::check(&password.0, &username) {
                Err(weak) => Reply::new(Code::PasswordWeak, weak.to_string()),
                Ok(()) if !password::are_same(&password.0, &repeated.0) => {
                    Reply::new(Code::PasswordsDiffer, "the two passwords are not the same")
                }
                Ok(()) => return self.ask_for_account(now, id, username, password),
            },
        };
        self.answer(now, id, &refusal);
    }

    pub(super) fn ask_for_account(
        &mut self,
        now: Now,
        id: ConnectionId,
        username: Username,
        password: Secret,
    ) {
        if let Some(reply) = self.sign_up_too_soon(now, id) {
            return self.back_to_choice(now, id, &reply);
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.await_store(StoreWork::SignUp { username: username.clone() }, now.boot_ms);
        }
        let request = StoreRequest::SignUp { connection: id, username, password };
        self.effects.push(Effect::Store(request));
    }

    /// Counts a sign-up, or returns its refusal.
    pub(super) fn sign_up_too_soon(&mut self, now: Now, id: ConnectionId) -> Option<Reply> {
        let peer = self.connections[&id].peer;
        let wait_ms = self.sign_ups.take(peer.ip(), now.boot_ms).err()?;
        let seconds = wait_ms.div_ceil(1_000);
        let why = format!("too many sign-ups from your address; the next in {seconds} s");
        Some(Reply::new(Code::SlowDown, why))
    }

    /// Handles the store's answer to a sign-up.
    pub(super) fn signed_up(
        &mut self,
        now: Now,
        id: ConnectionId,
        result: Result<Created, Unavailable>,
    ) {
        let Some(StoreWork::SignUp { username }) = self.store_work(id) else {
            return;
        };
        let is_interactive = self.connections[&id].is_interactive();
        let reply = match result {
            Ok(Created::New) => {
                let record = Record::SignedUp { connection: id, username: username.clone() };
                self.effects.push(Effect::Record(record));
                Reply::new(Code::SignedUp, format!("{username} has an account now; log in"))
            }
            Ok(Created::Taken) => {
                Reply::new(Code::NameTaken, "somebody has that username; choose another")
            }
            Err(Unavailable) => self.store_failed("make an account"),
        };
        if is_interactive && reply.code == Code::NameTaken {
            self.send_reply(id, &reply);
            self.ask(now, id, Question::SignUpName);
        } else {
            self.back_to_choice(now, id, &reply);
        }
        self.reschedule(id);
    }
}

/// Parses a name for a new account, or returns the reason of its refusal.
pub(super) fn new_name(name: &str) -> Result<Username, String> {
    let username: Username = name.parse().map_err(|error: UsernameError| error.to_string())?;
    match reserved_names::check(&username) {
        Ok(()) => Ok(username),
        Err(reserved) => Err(reserved.to_string()),
    }
}
