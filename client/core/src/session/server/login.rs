//! Signing up and logging in. The goal of being logged in is kept until it is reached or given up.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Closing, Credentials, Reply as ServerReply, Request as ServerRequest, Secret, Welcome,
};
use letschat_protocol::signing::LoginStatement;
use letschat_protocol::username::{Username, UsernameError};

use super::{Expected, Link, ServerSide};
use crate::codes::{FailureCode, LinkEnd};
use crate::event::{Event, Trouble};
use crate::failure::Failure;
use crate::notice::Notice;
use crate::session::account::AccountState;
use crate::session::context::Context;
use crate::session::{Account, AccountError, Effect, Reply, Request, RequestId, Session};

/// The most requests that may wait for the login of a user who was dropped as idle.
const MAX_WAITING: usize = 64;

/// The goal of being logged in, and the requests that wait for it.
#[derive(Debug, Default)]
pub(super) struct Goal {
    username: Option<Username>,
    /// The password, forgotten once the server knows the key.
    password: Option<Secret>,
    take: bool,
    waiting: Vec<Waiting>,
    /// True if the user was logged in before, so that the next login is a return.
    returning: bool,
}

/// A request that waits for the login.
#[derive(Debug)]
struct Waiting {
    id: RequestId,
    /// The request to carry out after the login, or `None` if the login was all.
    then: Option<Request>,
}

/// A sign-up that is queued.
#[derive(Debug)]
pub(super) struct SignUp {
    id: RequestId,
    username: String,
    password: Secret,
    repeated: Secret,
}

impl Goal {
    /// Returns true if requests of the user wait for it.
    pub(super) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns true if the login of this user would achieve it.
    fn is_for(&self, username: &Username) -> bool {
        self.username.as_ref().is_none_or(|name| name == username)
    }

    /// Merges another goal. Returns false if it is about another account.
    fn join(&mut self, other: Goal) -> bool {
        if !other.username.as_ref().is_none_or(|name| self.is_for(name)) {
            return false;
        }
        self.waiting.extend(other.waiting);
        self.take |= other.take;
        self.password = other.password.or(self.password.take());
        self.username = other.username.or(self.username.take());
        true
    }

    /// Fails the requests that wait for it.
    pub(super) fn fail(self, cx: &mut Context, why: &Failure) {
        cx.fail_all(self.waiting.into_iter().map(|waiting| waiting.id), why);
    }
}

impl ServerSide {
    pub(in crate::session) fn sign_up(
        &mut self,
        cx: &mut Context,
        account: &AccountState,
        id: RequestId,
        username: String,
        (password, repeated): (Secret, Secret),
    ) {
        if self.is_logged_in() {
            return cx.fail(id, Failure::AlreadyLoggedIn);
        }
        self.sign_ups.push_back(SignUp { id, username, password, repeated });
        self.reach(cx, account);
    }

    /// Queues a request until a user who was dropped as idle is logged in again. For others it
    /// fails.
    pub(in crate::session) fn ask_when_back(
        &mut self,
        cx: &mut Context,
        account: &AccountState,
        id: RequestId,
        request: Request,
    ) {
        let Some(username) = self.away.clone() else {
            return cx.fail(id, Failure::NotLoggedIn);
        };
        let goal = self
            .goal
            .get_or_insert_with(|| Goal { username: Some(username.clone()), ..Goal::default() });
        if !goal.is_for(&username) {
            // Another account is being logged in.
            return cx.fail(id, Failure::NotLoggedIn);
        }
        if goal.waiting.len() >= MAX_WAITING {
            return cx.fail(id, Failure::TooManyWaiting);
        }
        goal.waiting.push(Waiting { id, then: Some(request) });
        self.reach(cx, account);
    }

    /// Notes that the server waits for a sign-up or a login, and sends the next one.
    pub(super) fn choose(&mut self, cx: &mut Context, account: &AccountState) {
        self.link = Link::Choosing;
        for id in std::mem::take(&mut self.reaching) {
            cx.answer(id, Reply::Done {});
        }
        self.advance(cx, account);
    }

    /// Sends the next sign-up or, if there is none, the login.
    pub(super) fn advance(&mut self, cx: &mut Context, account: &AccountState) {
        while let Some(SignUp { id, username, password, repeated }) = self.sign_ups.pop_front() {
            if username.is_empty() || username.contains(char::is_whitespace) {
                cx.fail(id, Failure::NameInvalid(UsernameError::ForbiddenCharacter));
            } else if password.0.contains('\n') || repeated.0.contains('\n') {
                cx.fail(id, Failure::PasswordWithLineEnd);
            } else {
                self.link = Link::Busy;
                let expected = Expected::SignUp(id, username.clone());
                let request = ServerRequest::SignUp { username, password, repeated };
                return self.ask(cx, request, expected);
            }
        }
        let (Some(goal), Some(server)) = (&self.goal, self.fingerprint) else {
            return;
        };
        self.link = Link::Busy;
        let is_of_server = self.account_server == Some(server);
        if is_of_server && account.name().is_some_and(|name| goal.is_for(name)) {
            self.send_login(cx, account);
        } else {
            let (username, is_offline) = (goal.username.clone(), false);
            self.opening_for = Some(server);
            cx.push(Effect::OpenAccount { server, username, is_offline });
        }
    }

    fn send_login(&mut self, cx: &mut Context, state: &AccountState) {
        let (Some(account), Some(goal), Some(server)) =
            (state.opened(), &self.goal, &self.fingerprint)
        else {
            return;
        };
        // A classroom takes a new name with a new key.
        if goal.password.is_none() && !account.has_key && !cx.config().classroom {
            let why = Failure::NoKey(account.username.clone());
            return self.refuse_login(cx, state, &why);
        }
        let binding = &self.binding;
        let statement = LoginStatement { server, username: &account.username, binding };
        let credentials = Credentials {
            key: account.identity.public_key(),
            signature: account.identity.sign(&statement),
            port: cx.config().port,
            take: goal.take,
        };
        let username = account.username.to_string();
        let request = match goal.password.clone() {
            Some(password) => ServerRequest::Login { username, credentials, password },
            None => ServerRequest::Key { username, credentials },
        };
        self.ask(cx, request, Expected::Login);
    }

    pub(super) fn signed_up(
        &mut self,
        cx: &mut Context,
        account: &AccountState,
        id: RequestId,
        wanted: &str,
        reply: &ServerReply,
    ) {
        match reply.code {
            Code::SignedUp => {
                // The user's own spelling counts, not the server's.
                cx.answer(id, Reply::SignedUp { username: wanted.to_ascii_lowercase() });
            }
            code => cx.fail(id, Failure::refused(code, reply.last_line())),
        }
        self.choose(cx, account);
    }

    /// Gives up a refused login. The link stays.
    fn refuse_login(&mut self, cx: &mut Context, account: &AccountState, why: &Failure) {
        self.give_up_login(cx, why, false);
        self.choose(cx, account);
    }

    pub(super) fn give_up_login(&mut self, cx: &mut Context, why: &Failure, told: bool) {
        let Some(goal) = self.goal.take() else {
            return;
        };
        // A user who was dropped as idle knows that the next request logs in.
        if goal.waiting.is_empty() && why.code() != FailureCode::Idle {
            let username = goal.username.clone();
            let trouble = Trouble::LoginEnded { why: why.clone(), told, username };
            cx.tell(Event::Error { code: why.code(), trouble });
        }
        goal.fail(cx, why);
    }

    pub(super) fn fail_sign_ups(&mut self, cx: &mut Context, why: &Failure) {
        cx.fail_all(self.sign_ups.drain(..).map(|sign_up| sign_up.id), why);
    }

    /// Looks for the account while the server is away: messages to known people go without it. The account must have a
    /// key that the server has accepted.
    pub(super) fn open_offline(&mut self, cx: &mut Context) {
        let (Some(goal), Some(server)) = (&self.goal, cx.config().known_server) else {
            return;
        };
        if self.fingerprint.is_none() && !std::mem::replace(&mut self.tried_offline, true) {
            let (username, is_offline) = (goal.username.clone(), true);
            self.opening_for = Some(server);
            cx.push(Effect::OpenAccount { server, username, is_offline });
        }
    }

    /// Goes on without the server, and keeps trying to reach it. The user's login has failed for now.
    fn continue_offline(&mut self, cx: &mut Context, account: &AccountState) {
        self.fingerprint = cx.config().known_server;
        let (true, Some(goal)) = (cx.config().tries.is_none(), &mut self.goal) else {
            return;
        };
        goal.returning = true;
        goal.username = account.name().cloned();
        let waiting = std::mem::take(&mut goal.waiting);
        for Waiting { id, then } in waiting {
            match then {
                Some(_) => cx.fail(id, Failure::NotLoggedIn),
                None => cx.fail(id, Failure::WithoutServer),
            }
        }
    }

    /// Returns the name of the account that is to be logged in.
    pub(super) fn goal_name(&self) -> Option<Username> {
        self.goal.as_ref().and_then(|goal| goal.username.clone())
    }

    pub(super) fn is_returning(&self) -> bool {
        self.goal.as_ref().is_some_and(|goal| goal.returning)
    }

    /// Notes the login. Returns the requests that waited for it.
    fn logged_in(&mut self, cx: &mut Context, welcome: &Welcome) -> Vec<(RequestId, Request)> {
        self.link = Link::LoggedIn;
        self.logged_in_ms = cx.now_ms();
        self.away = None;
        self.lacks_meetings = false;
        self.own_address = Some(welcome.address);
        self.datagrams.open(cx, welcome.session, welcome.udp_port);
        let username = &welcome.username;
        let (mut by, mut waiting, mut wanted) = ("key", Vec::new(), Vec::new());
        if let Some(goal) = &mut self.goal {
            goal.take = false;
            goal.returning = true;
            goal.username = Some(username.clone());
            waiting = std::mem::take(&mut goal.waiting);
            if goal.password.take().is_some() {
                by = "password";
            }
        }
        cx.tell(Event::LoggedIn { username: username.clone(), by });
        for Waiting { id, then } in waiting {
            match then {
                Some(request) => wanted.push((id, request)),
                None => cx.answer(id, Reply::LoggedIn { username: username.to_string() }),
            }
        }
        self.fail_sign_ups(cx, &Failure::AlreadyLoggedIn);
        wanted
    }
}

impl Session {
    pub(in crate::session) fn log_in(
        &mut self,
        id: RequestId,
        username: Option<String>,
        password: Option<Secret>,
        take: bool,
    ) {
        let username = match username.map(|name| name.parse::<Username>()).transpose() {
            Ok(username) => username.or_else(|| self.server.away.clone()),
            Err(error) => return self.cx.fail(id, Failure::NameInvalid(error)),
        };
        let is_logged_in = self.server.is_logged_in();
        if let Some(own) = self.account.name() {
            let is_own = username.as_ref().is_none_or(|name| name == own);
            if !is_own && (is_logged_in || self.has_peers()) {
                return self.cx.fail(id, Failure::AlreadyLoggedInAs(own.clone()));
            }
            if is_logged_in {
                self.cx.notify(Notice::AlreadyLoggedIn(own.clone()));
                return self.cx.answer(id, Reply::LoggedIn { username: own.to_string() });
            }
        }
        let waiting = vec![Waiting { id, then: None }];
        let wanted = Goal { username, password, take, waiting, returning: false };
        match &mut self.server.goal {
            Some(goal) => {
                if !goal.join(wanted) {
                    return self.cx.fail(id, Failure::AlreadyLoggingIn);
                }
            }
            None => self.server.goal = Some(wanted),
        }
        self.server.reach(&mut self.cx, &self.account);
    }

    pub(in crate::session) fn account_opened(&mut self, result: Result<Account, AccountError>) {
        match result {
            Ok(mut account) => {
                if self.account.opened().is_some() {
                    // It was opened without the server, and is one of another server.
                    self.close_mail();
                }
                self.server.account_server = self.server.opening_for.take();
                let mut mail = std::mem::take(&mut account.mail);
                let log = self.server.account_server.map(|key| (key, account.username.clone()));
                self.broadcasts.follow(log, account.position);
                let lists = std::mem::take(&mut mail.lists);
                self.account.open(account, lists);
                if self.server.link != Link::Busy {
                    self.server.continue_offline(&mut self.cx, &self.account);
                }
                self.open_mail(mail);
                match self.server.link {
                    Link::Busy => self.server.send_login(&mut self.cx, &self.account),
                    _ => self.greet_peers(),
                }
            }
            Err(error) => {
                let is_in_use = matches!(error, AccountError::InUse(_));
                let why = account_failure(error);
                if matches!(self.server.link, Link::Waiting { .. }) && !is_in_use {
                    // It was only looked for. The server may know an account by password.
                    return;
                }
                if matches!(self.server.link, Link::Busy | Link::Choosing) {
                    self.server.refuse_login(&mut self.cx, &self.account, &why);
                } else {
                    self.server.give_up_login(&mut self.cx, &why, false);
                }
            }
        }
    }

    pub(super) fn login_answered(&mut self, reply: &ServerReply) {
        let own = self.account.name().cloned();
        let why = match (reply.code, Welcome::from_reply(reply)) {
            (Code::LoggedIn, Some(welcome)) if own.as_ref() == Some(&welcome.username) => {
                return self.logged_in(&welcome);
            }
            (Code::LoggedIn, Some(_)) => {
                let why = Failure::OtherAccount;
                self.drop_link(&why);
                let reason = LinkEnd::Lost;
                self.cx.tell(Event::Disconnected { reason, why: why.clone() });
                return self.server.give_up(&mut self.cx, &why, false);
            }
            (Code::LoggedIn, None) => return self.server_down(LinkEnd::Lost),
            (Code::Busy, _) => return self.server_down(LinkEnd::Closed(Closing::Busy)),
            (Code::StoreUnavailable | Code::SlowDown, _) if self.server.is_returning() => {
                // Both reasons pass: the account store is down for a moment, or another user at our
                // address guesses passwords.
                return self.server_down(LinkEnd::Lost);
            }
            (Code::LoggedInElsewhere, _) => Failure::LoggedInElsewhere(own),
            (Code::KeyRefused, _) => match own {
                Some(id) if self.cx.config().classroom => Failure::IdTaken(id),
                own => Failure::KeyRefused(own),
            },
            (code, _) => Failure::refused(code, reply.last_line()),
        };
        self.server.refuse_login(&mut self.cx, &self.account, &why);
    }

    fn logged_in(&mut self, welcome: &Welcome) {
        self.account.key_taken(&mut self.cx);
        let by_key = self.server.goal.as_ref().is_none_or(|goal| goal.password.is_none());
        let wanted = self.server.logged_in(&mut self.cx, welcome);
        self.broadcasts.logged_in(welcome.epoch, welcome.head);
        self.repair();
        self.server.watch_again(&mut self.cx);
        self.devices_logged_in();
        self.mail_logged_in(welcome.epoch, by_key);
        for (id, request) in wanted {
            self.request(id, request);
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
