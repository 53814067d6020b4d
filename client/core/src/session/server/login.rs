//! Signing up and logging in: the user's goal, kept until it is reached or given up.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Closing, Credentials, Reply as ServerReply, Request as ServerRequest, Secret, Welcome,
};
use letschat_protocol::identity::LoginStatement;
use letschat_protocol::username::Username;

use super::news::FIRST_DATAGRAMS_MS;
use super::{Datagrams, Expected, Goal, Link, Repair, SignUp, Waiting, sentence};
use crate::codes::{FailureCode, LinkEnd, NoticeCode};
use crate::event::Event;
use crate::session::broadcasts::Shown;

use crate::session::{
    Account, AccountError, Effect, Failure, Now, Reply, Request, RequestId, Save, Session,
};

const SOMEBODY_ELSE: &str =
    "The server's answer names another account than the one asked for; do not trust this server.";

/// Requests that may wait for the return of a user who was dropped as idle.
const MAX_WAITING: usize = 64;

impl Session {
    pub(in crate::session) fn sign_up(
        &mut self,
        now: Now,
        id: RequestId,
        username: String,
        password: Secret,
        repeated: Secret,
    ) {
        if self.server.is_logged_in() {
            return self.fail(
                id,
                FailureCode::AlreadyLoggedIn,
                "You are logged in; `/leave` comes first.",
            );
        }
        self.server.sign_ups.push_back(SignUp { id, username, password, repeated });
        self.reach_server(now);
    }

    pub(in crate::session) fn log_in(
        &mut self,
        now: Now,
        id: RequestId,
        username: Option<String>,
        password: Option<Secret>,
        take: bool,
    ) {
        let username = match username.map(|name| name.parse::<Username>()).transpose() {
            Ok(username) => username,
            Err(error) => return self.fail(id, FailureCode::NameInvalid, format!("{error}.")),
        };
        let username = username.or_else(|| self.server.away.clone());
        let same = |other: &Username| username.as_ref().is_none_or(|name| name == other);
        if let Some(own) = self.own_name().cloned() {
            if !same(&own) && (self.server.is_logged_in() || self.has_peers()) {
                let why = format!("You are {own} here; `/leave` that, and end its chats, first.");
                return self.fail(id, FailureCode::AlreadyLoggedIn, why);
            }
            if self.server.is_logged_in() {
                let message = format!("You are logged in as {own} already.");
                self.tell(Event::Notice { code: NoticeCode::AlreadyLoggedIn, message });
                return self.answer(id, Reply::LoggedIn { username: own.to_string() });
            }
        }
        match &mut self.server.goal {
            Some(goal) if goal.username.as_ref().is_none_or(same) => {
                goal.waiting.push(Waiting { id, then: None });
                goal.take |= take;
                goal.password = password.or(goal.password.take());
                goal.username = username.or(goal.username.take());
            }
            Some(_) => {
                let why = "Another login is under way; `/cancel` stops it.";
                return self.fail(id, FailureCode::AlreadyLoggingIn, why);
            }
            None => {
                let waiting = vec![Waiting { id, then: None }];
                let goal = Goal { username, password, take, waiting, returning: false };
                self.server.goal = Some(goal);
            }
        }
        self.reach_server(now);
    }

    /// Does this once the user is logged in again, if they were dropped as idle; otherwise it fails.
    pub(in crate::session) fn ask_when_back(&mut self, now: Now, id: RequestId, request: Request) {
        let Some(username) = self.server.away.clone() else {
            return self.fail_not_logged_in(id);
        };
        let first = Goal {
            username: Some(username.clone()),
            password: None,
            take: false,
            waiting: Vec::new(),
            returning: false,
        };
        let goal = self.server.goal.get_or_insert(first);
        if goal.username.as_ref().is_some_and(|name| *name != username) {
            // Somebody else is being logged in.
            return self.fail_not_logged_in(id);
        }
        if goal.waiting.len() >= MAX_WAITING {
            let why = "Too many requests wait for the login already.";
            return self.fail(id, FailureCode::TooManyWaiting, why);
        }
        goal.waiting.push(Waiting { id, then: Some(request) });
        self.reach_server(now);
    }

    /// Does the next thing that is to be achieved: sign-ups first, then the login.
    pub(super) fn advance(&mut self, now: Now) {
        if let Some(sign_up) = self.server.sign_ups.pop_front() {
            let SignUp { id, username, password, repeated } = sign_up;
            if username.is_empty() || username.contains(char::is_whitespace) {
                let why = "A username is made of the letters a to z, digits, '_', '-' and '.'.";
                self.fail(id, FailureCode::NameInvalid, why);
                return self.advance(now);
            }
            if password.0.contains('\n') || repeated.0.contains('\n') {
                self.fail(id, FailureCode::PasswordWeak, "A password has no line ends.");
                return self.advance(now);
            }
            self.server.link = Link::Busy;
            let expected = Expected::SignUp(id, username.clone());
            let request = ServerRequest::SignUp { username, password, repeated };
            return self.ask_server(now, request, expected);
        }
        let Some(goal) = &self.server.goal else {
            return;
        };
        let Some(server) = self.server.fingerprint else {
            return;
        };
        self.server.link = Link::Busy;
        match &self.account {
            Some(account)
                if goal.username.as_ref().is_none_or(|name| *name == account.username) =>
            {
                self.send_login(now);
            }
            _ => {
                let username = goal.username.clone();
                self.effects.push(Effect::OpenAccount { server, username });
            }
        }
    }

    pub(in crate::session) fn account_opened(
        &mut self,
        now: Now,
        result: Result<Account, AccountError>,
    ) {
        match result {
            Ok(account) => {
                let whose = self.server.fingerprint.map(|key| (key, account.username.clone()));
                // Who comes back has not forgotten what was shown after a gap.
                if self.shown_to != whose {
                    self.shown = Shown::default();
                    self.logs += 1;
                    self.shown_to = whose;
                }
                self.shown.resume(account.position);
                self.account = Some(account);
                if self.server.link == Link::Busy {
                    self.send_login(now);
                }
            }
            Err(error) => {
                if self.server.link == Link::Busy {
                    self.server.link = Link::Choosing;
                }
                let failure = account_failure(error);
                self.give_up_login(failure.code, &failure.message);
                if self.server.link == Link::Choosing {
                    self.advance(now);
                }
            }
        }
    }

    fn send_login(&mut self, now: Now) {
        let (Some(account), Some(goal)) = (&self.account, &self.server.goal) else {
            return;
        };
        let Some(server) = &self.server.fingerprint else {
            return;
        };
        let binding = &self.server.binding;
        let statement = LoginStatement { server, username: &account.username, binding };
        let credentials = Credentials {
            key: account.identity.public_key(),
            signature: account.identity.sign_login(&statement),
            port: self.birth.port,
            take: goal.take,
        };
        let username = account.username.to_string();
        if goal.password.is_none() && !account.has_key {
            let name = &account.username;
            let why = format!("This machine has no key of {name}'s yet; log in with the password.");
            self.server.link = Link::Choosing;
            self.give_up_login(FailureCode::NoKey, &why);
            return self.advance(now);
        }
        let request = match goal.password.clone() {
            Some(password) => ServerRequest::Login { username, credentials, password },
            None => ServerRequest::Key { username, credentials },
        };
        self.ask_server(now, request, Expected::Login);
    }

    pub(super) fn signed_up(&mut self, now: Now, id: RequestId, wanted: &str, reply: &ServerReply) {
        self.server.link = Link::Choosing;
        match reply.code {
            Code::SignedUp => {
                // The user's own word, whatever name the answer has.
                let username = wanted.to_ascii_lowercase();
                let message = format!("The account is made; `/login {username}` comes next.");
                self.answer(id, Reply::Said { message });
            }
            code => self.fail(id, code.into(), sentence(reply.last_line())),
        }
        self.advance(now);
    }

    pub(super) fn login_answered(&mut self, now: Now, reply: &ServerReply) {
        match (reply.code, Welcome::from_reply(reply)) {
            (Code::LoggedIn, Some(welcome)) if self.own_name() == Some(&welcome.username) => {
                self.logged_in(now, welcome);
            }
            (Code::LoggedIn, Some(_)) => {
                self.drop_link(FailureCode::Malformed, SOMEBODY_ELSE);
                let reason = LinkEnd::Lost;
                self.tell(Event::Disconnected { reason, message: SOMEBODY_ELSE.into() });
                self.give_up(FailureCode::Malformed, SOMEBODY_ELSE);
            }
            (Code::LoggedIn, None) => self.server_down(now, LinkEnd::Lost),
            (Code::Busy, _) => self.server_down(now, LinkEnd::Closed(Closing::Busy)),
            (Code::StoreUnavailable | Code::SlowDown, _) if self.is_returning() => {
                // The accounts are away for a moment, or somebody at our address guesses: that
                // passes.
                self.server_down(now, LinkEnd::Lost);
            }
            (Code::LoggedInElsewhere, _) => {
                self.server.link = Link::Choosing;
                let name = self.own_name().map_or("NAME", Username::as_str);
                let message = format!(
                    "{name} is logged in elsewhere; `/login {name} take` replaces that session."
                );
                self.give_up_login(reply.code.into(), &message);
                self.advance(now);
            }
            (code @ Code::KeyRefused, _) => {
                self.server.link = Link::Choosing;
                let name = self.own_name().map_or("NAME", Username::as_str);
                let message = format!(
                    "The server does not take this machine's key for {name} (any more); `/login {name}` asks for \
                     the password."
                );
                self.give_up_login(code.into(), &message);
                self.advance(now);
            }
            (code, _) => {
                self.server.link = Link::Choosing;
                self.give_up_login(code.into(), &sentence(reply.last_line()));
                self.advance(now);
            }
        }
    }

    pub(super) fn is_returning(&self) -> bool {
        self.server.goal.as_ref().is_some_and(|goal| goal.returning)
    }

    fn logged_in(&mut self, now: Now, welcome: Welcome) {
        self.server.link = Link::LoggedIn;
        self.server.logged_in_ms = now.boot_ms;
        self.server.away = None;
        self.server.own_address = Some(welcome.address);
        self.server.repair = Repair::None;
        let by = match &mut self.server.goal {
            Some(goal) => {
                goal.take = false;
                goal.returning = true;
                goal.username = Some(welcome.username.clone());
                if goal.password.take().is_some() { "password" } else { "key" }
            }
            None => "key",
        };
        self.effects.push(Effect::Save(Save::Identity));
        if let Some(account) = &mut self.account {
            account.has_key = true;
        }
        let (session, port) = (welcome.session, welcome.udp_port);
        self.effects.push(Effect::OpenDatagrams { session, port });
        self.server.datagrams = Datagrams {
            open: true,
            next_ms: now.boot_ms,
            since_ms: now.boot_ms,
            due_after_ms: &FIRST_DATAGRAMS_MS,
            ..Datagrams::default()
        };
        self.tell(Event::LoggedIn { username: welcome.username.clone(), by });
        let waiting = self.server.goal.as_mut().map(|goal| std::mem::take(&mut goal.waiting));
        let mut wanted = Vec::new();
        for Waiting { id, then } in waiting.unwrap_or_default() {
            match then {
                Some(request) => wanted.push((id, request)),
                None => {
                    self.answer(id, Reply::LoggedIn { username: welcome.username.to_string() });
                }
            }
        }
        for sign_up in std::mem::take(&mut self.server.sign_ups) {
            self.fail(
                sign_up.id,
                FailureCode::AlreadyLoggedIn,
                "You are logged in; `/leave` comes first.",
            );
        }
        if self.shown.welcome(welcome.epoch, welcome.head) {
            self.logs += 1;
        }
        self.repair(now);
        if self.server.watching {
            self.ask_server(now, ServerRequest::Watch(true), Expected::Watch(None));
        }
        for (id, request) in wanted {
            self.request(now, id, request);
        }
    }

    pub(super) fn give_up_login(&mut self, code: FailureCode, message: &str) {
        if let Some(goal) = self.server.goal.take() {
            // Who was dropped as idle has been told that the next request logs in.
            let is_idle = code == FailureCode::Idle;
            if goal.waiting.is_empty() && !is_idle {
                let name = goal.username.map(|name| format!(" {name}")).unwrap_or_default();
                let message = match code == FailureCode::KeyRefused {
                    true => message.to_owned(),
                    false => {
                        format!("{message} `/login{name}` tries again.").trim_start().to_owned()
                    }
                };
                self.tell(Event::Error { code, message });
            }
            for Waiting { id, .. } in goal.waiting {
                self.fail(id, code, message);
            }
        }
    }
}

fn account_failure(error: AccountError) -> Failure {
    match error {
        AccountError::NotOne(names) if names.is_empty() => Failure::new(
            FailureCode::NoAccount,
            "There is no account on this machine yet; say which: `/login NAME`.",
        ),
        AccountError::NotOne(names) => {
            let names: Vec<&str> = names.iter().map(Username::as_str).collect();
            let message = format!("Which account? `/login NAME`, one of: {}.", names.join(", "));
            Failure::new(FailureCode::WhichAccount, message)
        }
        AccountError::InUse(name) => {
            let message = format!("Another client on this machine uses the account {name}.");
            Failure::new(FailureCode::AccountInUse, message)
        }
        AccountError::Folder(why) => Failure::new(FailureCode::Folder, why),
    }
}
