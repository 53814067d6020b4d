//! LOGIN and KEY: from the credentials to the session.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Closing, Credentials, Reply, Secret, SessionId, Welcome};
use letschat_protocol::frame::Mode;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::signing::LoginStatement;
use letschat_protocol::username::Username;

use super::admission::TooMany;
use super::connection::{
    Datagrams, Delayed, DelayedAction, LoginAttempt, LoginStep, MAX_WRONG_ANSWERS, Member, Pages,
    Phase, StoreWork, Stream,
};
use super::directory::{Entry, Location};
use super::mailbox::MailLink;
use super::{ConnectionId, Effect, Hub, Record, interactive};
use crate::store::{StoreRequest, Unavailable, Verdict};
use letschat_protocol::clock::Now;

/// The answer to right credentials of a banned account.
pub(super) const BANNED: &str = "The operator has banned this account.";

/// The answer to every refused login, which hides the existence of names.
const WRONG: &str = "Wrong username or password.";

impl Hub {
    /// Begins a program's login, by password or by key. In both cases it proves possession of the
    /// key.
    pub(super) fn log_in(
        &mut self,
        now: Now,
        id: ConnectionId,
        name: &str,
        credentials: &Credentials,
        password: Option<Secret>,
    ) {
        let Credentials { key, signature, port, take } = credentials;
        let username = name.parse::<Username>().ok();
        let Phase::Secured(binding, _) = &self.connections[&id].phase else {
            return;
        };
        let proven = username.as_ref().is_some_and(|username| {
            let server = &self.instance.fingerprint;
            key.verifies(signature, &LoginStatement { server, username, binding })
        });
        let by = if password.is_some() { "password" } else { "key" };
        let attempt = LoginAttempt {
            username: username.clone(),
            key: Some(*key),
            port: Some(*port),
            take: *take,
            by,
        };
        match (password, username) {
            (Some(password), Some(_)) if proven => self.check_password(now, id, attempt, password),
            // No account has an invalid name, but the answer must take as long as for a valid one.
            (Some(password), None) => self.check_password(now, id, attempt, password),
            (None, Some(username)) if proven => {
                self.check_key(now, id, attempt, username, *key);
            }
            _ => self.refuse_login(now, id, Code::KeyRefused, "The key's signature is not good."),
        }
    }

    /// Sends a key to the store. In a classroom a new name becomes the key's.
    fn check_key(
        &mut self,
        now: Now,
        id: ConnectionId,
        attempt: LoginAttempt,
        username: Username,
        key: PublicKey,
    ) {
        match self.may_claim(now, id, &username) {
            Ok(claim) => {
                let request = StoreRequest::CheckKey { connection: id, username, key, claim };
                self.check(now, id, attempt, request);
            }
            Err(reply) => self.back_to_choice(now, id, &reply),
        }
    }

    pub(super) fn check_password(
        &mut self,
        now: Now,
        id: ConnectionId,
        attempt: LoginAttempt,
        password: Secret,
    ) {
        let (username, key) = (attempt.username.clone(), attempt.key);
        let request = StoreRequest::CheckPassword { connection: id, username, password, key };
        self.check(now, id, attempt, request);
    }

    /// Sends the request to the store, delayed if this address has failed too often.
    fn check(&mut self, now: Now, id: ConnectionId, attempt: LoginAttempt, request: StoreRequest) {
        let peer = self.connections[&id].peer;
        // A key can't be guessed, so a login by key is never delayed.
        let turn = match attempt.by {
            "key" => Ok(0),
            _ => self.failures.wait_ms(peer.ip(), now.boot_ms),
        };
        let wait_ms = match turn {
            Ok(wait_ms) => wait_ms,
            Err(TooMany(wait_ms)) => {
                let seconds = wait_ms.div_ceil(1_000);
                let why = format!("too many wrong answers from your address; try in {seconds} s");
                return self.back_to_choice(now, id, &Reply::new(Code::SlowDown, why));
            }
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.await_store(StoreWork::Login(attempt), now.boot_ms);
        }
        match wait_ms {
            0 => self.effects.push(Effect::Store(request)),
            wait_ms => {
                let until_ms = now.boot_ms + wait_ms;
                self.delay(id, Delayed { until_ms, action: DelayedAction::Store(request) });
            }
        }
    }

    /// Handles the store's verdict on a login.
    pub(super) fn login_checked(
        &mut self,
        now: Now,
        id: ConnectionId,
        result: Result<Verdict, Unavailable>,
    ) {
        if self.recovery_checked(now, id, result) {
            return;
        }
        let Some(StoreWork::Login(attempt)) = self.store_work(id) else {
            return;
        };
        match (result, attempt.username.clone()) {
            (Err(Unavailable), _) => {
                let reply = self.store_failed("judge a login");
                self.back_to_choice(now, id, &reply);
            }
            (Ok(verdict @ (Verdict::Accepted | Verdict::Unlisted)), Some(username)) => {
                self.welcome(now, id, username, attempt, verdict == Verdict::Accepted);
            }
            (Ok(Verdict::Banned), _) => {
                self.refuse_login(now, id, Code::Banned, BANNED);
            }
            (Ok(_), _) => self.refuse_credentials(now, id, &attempt),
        }
        self.reschedule(id);
    }

    pub(super) fn refuse_credentials(
        &mut self,
        now: Now,
        id: ConnectionId,
        attempt: &LoginAttempt,
    ) {
        if attempt.by == "key" {
            let why = self.key_refusal(attempt.username.as_ref());
            return self.refuse_login(now, id, Code::KeyRefused, &why);
        }
        self.refuse_login(now, id, Code::WrongPassword, WRONG);
    }

    /// Counts a wrong answer against this connection and this address.
    pub(super) fn refuse_login(&mut self, now: Now, id: ConnectionId, code: Code, why: &str) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.await_answer(LoginStep::Choosing, now.boot_ms);
        connection.wrong_answers += 1;
        let (peer, is_interactive) = (connection.peer, connection.is_interactive());
        let left = MAX_WRONG_ANSWERS.saturating_sub(connection.wrong_answers);
        let tries = match left {
            // A banned account's answer was right.
            _ if code == Code::Banned => String::new(),
            0 => String::from("That was the last try."),
            1 => String::from("1 more try."),
            left => format!("{left} more tries."),
        };
        self.failures.count(peer.ip(), now.boot_ms);
        let record = Record::LoginRefused { connection: id, peer, code: code.name() };
        self.effects.push(Effect::Record(record));
        self.send_reply(id, &Reply::new(code, format!("{why} {tries}").trim_end()));
        if left == 0 {
            return self.close(now, id, Closing::WrongAnswers);
        }
        if is_interactive {
            self.send_reply(id, &Reply::new(Code::WhichWay, interactive::WHICH_WAY));
        }
        self.want_line(now, id, Mode::Frame);
    }

    /// Logs the client in, unless another session requires TAKE or all places are taken.
    fn welcome(
        &mut self,
        now: Now,
        id: ConnectionId,
        username: Username,
        attempt: LoginAttempt,
        is_listed: bool,
    ) {
        if self.enter(now, id, &attempt, is_listed) {
            return;
        }
        let replacement = self.directory.replaced_by(&username, attempt.key);
        if replacement.needs_take && !attempt.take {
            return self.ask_to_take(now, id, &username);
        }
        self.end_replaced(now, &username, attempt.key);
        if self.directory.len() >= self.settings.places {
            return self.turn_away(now, id);
        }
        self.make_member(now, id, username, attempt, is_listed, None);
    }

    /// Refuses a login that would end a session that may be somebody else's.
    pub(super) fn ask_to_take(&mut self, now: Now, id: ConnectionId, username: &Username) {
        let reply = Reply::new(Code::LoggedInElsewhere, interactive::elsewhere(username));
        self.back_to_choice(now, id, &reply);
    }

    /// Ends the sessions that a login of this device ends.
    pub(super) fn end_replaced(&mut self, now: Now, username: &Username, key: Option<PublicKey>) {
        for replaced in self.directory.replaced_by(username, key).sessions {
            self.end_session(now, username, &replaced, Closing::Replaced);
        }
        if let Some(excess) = self.session_in_excess(username).filter(|_| key.is_some()) {
            self.end_session(now, username, &excess, Closing::Replaced);
        }
    }

    /// Ends a session of the directory, at any location.
    pub(super) fn end_session(
        &mut self,
        now: Now,
        username: &Username,
        entry: &Entry,
        why: Closing,
    ) {
        // A device that logs in again goes on with its meetings and relays.
        if why != Closing::Replaced && entry.key.is_some() {
            self.end_meetings(now, username, entry.key);
        }
        match entry.location {
            Location::Local(connection) => self.close(now, connection, why),
            Location::Remote { number, .. } => {
                let (username, device) = (username.clone(), entry.key);
                self.leave_cluster(super::SharedId { username, device, number }, Some(why));
            }
        }
    }

    pub(super) fn make_member(
        &mut self,
        now: Now,
        id: ConnectionId,
        username: Username,
        attempt: LoginAttempt,
        is_listed: bool,
        number: Option<u64>,
    ) {
        let session = SessionId(self.tokens.draw());
        let stream = Stream { next: self.log.head() + 1, ..Stream::default() };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let (peer, is_interactive) = (connection.peer, connection.is_interactive());
        connection.wrong_answers = 0;
        connection.phase = Phase::Member(Box::new(Member {
            username: username.clone(),
            key: attempt.key,
            port: attempt.port,
            session,
            number,
            since_ms: now.boot_ms,
            active_ms: now.boot_ms,
            used_ms: now.boot_ms,
            owes_receipt: false,
            heard_ms: now.boot_ms,
            watching: false,
            datagrams: Datagrams::default(),
            pages: Pages::default(),
            stream,
            mail: attempt.key.map_or_else(MailLink::default, |_| MailLink::of_device()),
            is_listed,
            enrolment: None,
            recovery: None,
            question: None,
        }));
        self.pre_login.leave(id, peer.ip());
        self.effects.push(Effect::Admitted { connection: id });
        self.sessions.insert(session, id);
        let location = Location::Local(id);
        let (key, address, port) = (attempt.key, peer.ip(), attempt.port);
        let entry = Entry { key, location, address, port };
        if self.directory.add(&username, entry) {
            self.presence.join(&username, now.boot_ms);
        }
        let record =
            Record::LoggedIn { connection: id, username: username.clone(), by: attempt.by };
        self.effects.push(Effect::Record(record));
        if is_interactive {
            return self.welcome_interactive(now, id, &username);
        }
        self.effects.push(Effect::OpenDatagrams { session, connection: id });
        let welcome = Welcome {
            username,
            session,
            epoch: self.log.epoch(),
            head: self.log.head(),
            udp_port: self.instance.udp_port,
            address: peer.ip(),
        };
        self.answer(now, id, &welcome.to_reply());
        self.tell_unlisted(id);
        self.enter_classroom(now, id);
        self.read_mail(now, id);
    }

    /// Sends a person the kept broadcasts without a request, since a person has no log.
    fn welcome_interactive(&mut self, now: Now, id: ConnectionId, username: &Username) {
        let others = self.directory.len() - 1;
        self.answer(now, id, &Reply::new(Code::LoggedIn, interactive::logged_in(username, others)));
        let first = self.log.first();
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.stream.next = first;
        }
        self.stream(id);
    }
}
