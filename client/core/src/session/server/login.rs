//! Signing up and logging in: the user's goal, kept until it is reached or given up.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Closing, Credentials, Reply as ServerReply, Request as ServerRequest, Secret, Welcome,
};
use letschat_protocol::identity::LoginStatement;
use letschat_protocol::username::{Username, UsernameError};

use super::news::FIRST_DATAGRAMS_MS;
use super::{Datagrams, Expected, Goal, Link, Repair, SignUp, Waiting};
use crate::codes::{FailureCode, LinkEnd};
use crate::event::{Event, Trouble};
use crate::failure::Failure;
use crate::notice::Notice;
use crate::session::broadcasts::Shown;

use crate::session::{
    Account, AccountError, Effect, Now, Reply, Request, RequestId, Save, Session,
};

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
            return self.fail(id, Failure::AlreadyLoggedIn);
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
            Err(error) => return self.fail(id, Failure::NameInvalid(error)),
        };
        let username = username.or_else(|| self.server.away.clone());
        let same = |other: &Username| username.as_ref().is_none_or(|name| name == other);
        if let Some(own) = self.own_name().cloned() {
            if !same(&own) && (self.server.is_logged_in() || self.has_peers()) {
                return self.fail(id, Failure::AlreadyLoggedInAs(own));
            }
            if self.server.is_logged_in() {
                self.tell(Event::notice(Notice::AlreadyLoggedIn(own.clone())));
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
                return self.fail(id, Failure::AlreadyLoggingIn);
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
            return self.fail(id, Failure::TooManyWaiting);
        }
        goal.waiting.push(Waiting { id, then: Some(request) });
        self.reach_server(now);
    }

    /// Does the next thing that is to be achieved: sign-ups first, then the login.
    pub(super) fn advance(&mut self, now: Now) {
        if let Some(sign_up) = self.server.sign_ups.pop_front() {
            let SignUp { id, username, password, repeated } = sign_up;
            if username.is_empty() || username.contains(char::is_whitespace) {
                self.fail(id, Failure::NameInvalid(UsernameError::ForbiddenCharacter));
                return self.advance(now);
            }
            if password.0.contains('\n') || repeated.0.contains('\n') {
                self.fail(id, Failure::PasswordWithLineEnd);
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
                self.give_up_login(&account_failure(error), false);
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
            port: self.config.port,
            take: goal.take,
        };
        let username = account.username.to_string();
        if goal.password.is_none() && !account.has_key {
            let why = Failure::NoKey(account.username.clone());
            self.server.link = Link::Choosing;
            self.give_up_login(&why, false);
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
            code => self.fail(id, Failure::refused(code, reply.last_line())),
        }
        self.advance(now);
    }

    pub(super) fn login_answered(&mut self, now: Now, reply: &ServerReply) {
        match (reply.code, Welcome::from_reply(reply)) {
            (Code::LoggedIn, Some(welcome)) if self.own_name() == Some(&welcome.username) => {
                self.logged_in(now, welcome);
            }
            (Code::LoggedIn, Some(_)) => {
                let why = Failure::OtherAccount;
                self.drop_link(&why);
                self.tell(Event::Disconnected { reason: LinkEnd::Lost, why: why.clone() });
                self.give_up(&why, false);
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
                self.give_up_login(&Failure::LoggedInElsewhere(self.own_name().cloned()), false);
                self.advance(now);
            }
            (Code::KeyRefused, _) => {
                self.server.link = Link::Choosing;
                self.give_up_login(&Failure::KeyRefused(self.own_name().cloned()), false);
                self.advance(now);
            }
            (code, _) => {
                self.server.link = Link::Choosing;
                self.give_up_login(&Failure::refused(code, reply.last_line()), false);
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
            self.fail(sign_up.id, Failure::AlreadyLoggedIn);
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

    pub(super) fn give_up_login(&mut self, why: &Failure, told: bool) {
        if let Some(goal) = self.server.goal.take() {
            // Who was dropped as idle has been told that the next request logs in.
            let is_idle = why.code() == FailureCode::Idle;
            if goal.waiting.is_empty() && !is_idle {
                let username = goal.username;
                let trouble = Trouble::LoginEnded { why: why.clone(), told, username };
                self.tell(Event::Error { code: why.code(), trouble });
            }
            for Waiting { id, .. } in goal.waiting {
                self.fail(id, why.clone());
            }
        }
    }
}

fn account_failure(error: AccountError) -> Failure {
    match error {
        AccountError::NotOne(names) if names.is_empty() => Failure::NoAccount,
        AccountError::NotOne(names) => Failure::WhichAccount(names),
        AccountError::InUse(name) => Failure::AccountInUse(name),
        AccountError::Folder(why) => Failure::Folder(why),
    }
}
