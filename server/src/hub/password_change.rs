//! The change of a logged-in client's password.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Closing, Reply, Secret};
use letschat_protocol::password;
use letschat_protocol::username::Username;

use super::admission::TooMany;
use super::connection::{Delayed, DelayedAction, MAX_WRONG_ANSWERS};
use super::directory::Location;
use super::login::BANNED;
use super::{ConnectionId, Effect, Hub, Record};
use crate::store::{PasswordChange, StoreRequest, Unavailable, Verdict};
use letschat_protocol::clock::Now;

impl Hub {
    /// Checks the new password and asks the store to compare the present one. It has the rate limit
    /// of a login, so that an unattended session does not allow faster guesses.
    pub(super) fn change_password(
        &mut self,
        now: Now,
        id: ConnectionId,
        password: Secret,
        new: Secret,
        repeated: &Secret,
    ) {
        self.asked(id, "PASSWD");
        let Some((username, key)) =
            self.member_of(id).map(|member| (member.username.clone(), member.key))
        else {
            return;
        };
        let refusal = match password::check(&new.0, &username) {
            Err(weak) => Some(Reply::new(Code::PasswordWeak, weak.to_string())),
            Ok(()) if !password::are_same(&new.0, &repeated.0) => {
                Some(Reply::new(Code::PasswordsDiffer, "the two new passwords are not the same"))
            }
            Ok(()) => None,
        };
        if let Some(reply) = refusal {
            return self.answer(now, id, &reply);
        }
        let change = PasswordChange { connection: id, username, password, new, key };
        self.check_present_password(now, id, StoreRequest::ChangePassword(Box::new(change)));
    }

    /// Sends a request with the present password to the store, with the rate limit of a login.
    pub(super) fn check_present_password(
        &mut self,
        now: Now,
        id: ConnectionId,
        request: StoreRequest,
    ) {
        let peer = self.connections[&id].peer;
        match self.failures.wait_ms(peer.ip(), now.boot_ms) {
            Ok(0) => self.effects.push(Effect::Store(request)),
            Ok(wait_ms) => {
                let until_ms = now.boot_ms + wait_ms;
                self.delay(id, Delayed { until_ms, action: DelayedAction::Store(request) });
            }
            Err(TooMany(wait_ms)) => {
                let seconds = wait_ms.div_ceil(1_000);
                let why = format!("too many wrong answers from your address; try in {seconds} s");
                self.answer(now, id, &Reply::new(Code::SlowDown, why));
            }
        }
    }

    /// Handles the store's verdict. The session had no other request meanwhile, so this answers its
    /// last line. If it is gone, the password is changed all the same.
    pub(super) fn password_changed(
        &mut self,
        now: Now,
        id: ConnectionId,
        username: &Username,
        result: Result<Verdict, Unavailable>,
    ) {
        let is_changed = matches!(result, Ok(Verdict::Accepted | Verdict::Unlisted));
        if is_changed {
            let record = Record::PasswordChanged { username: username.clone() };
            self.effects.push(Effect::Record(record));
            self.end_other_sessions(now, id, username, Closing::Removed);
        }
        if self.member_of(id).is_none() {
            return;
        }
        match result {
            Ok(Verdict::Accepted | Verdict::Unlisted) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.wrong_answers = 0;
                }
                let done = "Your password is changed. Your other machines log in with it once.";
                self.answer(now, id, &Reply::new(Code::Ok, done));
            }
            Ok(Verdict::Refused) => self.wrong_present_password(now, id),
            Ok(Verdict::Banned) => {
                self.answer(now, id, &Reply::new(Code::Banned, BANNED));
            }
            Err(Unavailable) => self.change_failed(now, id),
        }
        self.reschedule(id);
    }

    /// Handles the lost answer to a change by the right password.
    pub(super) fn password_in_doubt(&mut self, now: Now, id: ConnectionId, username: &Username) {
        // The commit may have succeeded; the next login finds out.
        self.end_other_sessions(now, id, username, Closing::Recheck);
        if self.member_of(id).is_some() {
            self.change_failed(now, id);
            self.reschedule(id);
        }
    }

    fn change_failed(&mut self, now: Now, id: ConnectionId) {
        let reply = self.store_failed("change a password");
        self.answer(now, id, &reply);
    }

    /// Ends the other sessions of an account whose password was changed: somebody else may have them.
    fn end_other_sessions(
        &mut self,
        now: Now,
        own: ConnectionId,
        username: &Username,
        why: Closing,
    ) {
        let sessions = self.sessions_anywhere(username);
        for session in sessions.iter().filter(|entry| entry.location != Location::Local(own)) {
            self.end_session(now, username, session, why);
        }
        // An account has one session that is typed by hand: this one, or somebody else's.
        let is_typed = self.member_of(own).is_some_and(|member| member.key.is_none());
        self.end_keyless(username, !is_typed, why);
    }

    pub(super) fn wrong_present_password(&mut self, now: Now, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.wrong_answers += 1;
        let (peer, wrong_answers) = (connection.peer, connection.wrong_answers);
        self.failures.count(peer.ip(), now.boot_ms);
        if let Some(username) = self.member_of(id).map(|member| member.username.clone()) {
            self.effects.push(Effect::Record(Record::PasswordNotChanged { username }));
        }
        let reply = Reply::new(Code::WrongPassword, "That is not your present password.");
        if wrong_answers < MAX_WRONG_ANSWERS {
            return self.answer(now, id, &reply);
        }
        self.send_reply(id, &reply);
        self.close(now, id, Closing::WrongAnswers);
    }
}
