//! From the first byte to the login.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Closing, Credentials, Notice, Reply, Request, Secret, SessionId, Welcome,
};
use letschat_protocol::frame::{Frame, Mode};
use letschat_protocol::identity::{ChannelBinding, LoginStatement};
use letschat_protocol::password;
use letschat_protocol::username::{Username, UsernameError};

use super::admission::TooMany;
use super::connection::{
    Datagrams, Entrance, Held, LoginTry, MAX_WRONG_ANSWERS, Member, Phase, Question, Stream, Then,
    Tongue, Work,
};
use super::{ConnectionId, Effect, Hub, Record, directory, hand};
use crate::clock::Now;
use crate::reserved_names;
use crate::store::{Created, StoreAnswer, StoreRequest, Unavailable, Verdict};

/// What every login that came to nothing is told: name and password, known and unknown, alike.
const WRONG: &str = "Wrong username or password.";
const STORE_AWAY: &str = "The accounts can't be reached just now. Try again in a moment.";

impl Hub {
    pub(super) fn secured(&mut self, now: Now, id: ConnectionId, binding: ChannelBinding) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.phase = Phase::Secured(binding, Entrance::Greeted);
        connection.asked_ms = now.boot_ms;
        if self.directory.len() >= self.settings.places {
            return self.turn_away(now, id);
        }
        let version = env!("CARGO_PKG_VERSION");
        let greeting = format!("letschat-server {version}; say HELLO");
        self.answer(now, id, &Reply::new(Code::Ready, greeting));
        self.reschedule(id);
    }

    /// All places are taken: says so at once, and disturbs nobody.
    fn turn_away(&mut self, now: Now, id: ConnectionId) {
        self.effects.push(Effect::Record(Record::TurnedAway { connection: id }));
        self.send_reply(id, &Reply::new(Code::Busy, Closing::Busy.sentence()));
        self.close(now, id, Closing::Busy);
    }

    /// A line of somebody who has not said HELLO, or of a program that is not logged in.
    pub(super) fn program_entrance(&mut self, now: Now, id: ConnectionId, frame: &Frame) {
        let greeted = self.connections[&id].entrance() == Some(&Entrance::Greeted);
        if greeted && is_bare_hello(frame) {
            return self.greet_hand(now, id);
        }
        match Request::from_frame(frame) {
            Err(error) => {
                let expected = if greeted { hand::SAY_HELLO } else { error.expected };
                let code = if greeted { Code::WrongPhase } else { error.code };
                self.answer_nonsense(now, id, &Reply::new(code, expected));
            }
            Ok(Request::Quit) => self.goodbye(now, id),
            Ok(Request::Hello) if greeted => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.begin_program(now.boot_ms);
                    connection.await_answer(Entrance::Choosing, now.boot_ms);
                }
                let question = "log in or sign up? LOGIN, KEY or SIGNUP";
                self.answer(now, id, &Reply::new(Code::WhichWay, question));
            }
            Ok(_) if greeted => {
                self.answer_nonsense(now, id, &Reply::new(Code::WrongPhase, hand::SAY_HELLO));
            }
            Ok(Request::Help) => self.answer(now, id, &super::requests::usage()),
            Ok(Request::Ping) => {
                let pong = format!("{} pong", self.log.head());
                self.answer(now, id, &Reply::new(Code::Ok, pong));
            }
            Ok(Request::SignUp { username, password, repeated }) => {
                self.sign_up(now, id, &username, password, &repeated);
            }
            Ok(Request::Login { username, credentials, password }) => {
                self.log_in(now, id, &username, &credentials, Some(password));
            }
            Ok(Request::Key { username, credentials }) => {
                self.log_in(now, id, &username, &credentials, None);
            }
            Ok(_) => {
                let reply = Reply::new(Code::WrongPhase, "expected LOGIN, KEY or SIGNUP first");
                self.answer_nonsense(now, id, &reply);
            }
        }
    }

    fn greet_hand(&mut self, now: Now, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.tongue = Tongue::Hand;
            connection.await_answer(Entrance::Choosing, now.boot_ms);
        }
        self.answer(now, id, &Reply::new(Code::WhichWay, hand::WELCOME));
    }

    pub(super) fn goodbye(&mut self, now: Now, id: ConnectionId) {
        self.send_reply(id, &Reply::new(Code::Goodbye, "Goodbye."));
        self.effects.push(Effect::Close { connection: id });
        self.forget(now, id, super::Why::Quit);
    }

    fn sign_up(
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
        let peer = self.connections[&id].peer;
        if let Err(wait_ms) = self.sign_ups.take(peer.ip(), now.boot_ms) {
            let seconds = wait_ms.div_ceil(1_000);
            let why = format!("too many sign-ups from your address; the next in {seconds} s");
            return self.back_to_choice(now, id, &Reply::new(Code::SlowDown, why));
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.await_store(Work::SignUp { username: username.clone() }, now.boot_ms);
        }
        let request = StoreRequest::SignUp { connection: id, username, password };
        self.effects.push(Effect::Store(request));
    }

    /// A program's login, by password or by key. The key must be the program's own in any case.
    fn log_in(
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
            let server = &self.birth.fingerprint;
            key.verifies_login(signature, &LoginStatement { server, username, binding })
        });
        let by = if password.is_some() { "password" } else { "key" };
        let attempt = LoginTry {
            username: username.clone(),
            key: Some(*key),
            port: Some(*port),
            take: *take,
            by,
        };
        match (password, username) {
            (Some(password), Some(_)) if proven => self.check_password(now, id, attempt, password),
            // No account has such a name, which must not show in the time it takes.
            (Some(password), None) => self.check_password(now, id, attempt, password),
            (None, Some(username)) if proven => {
                let request = StoreRequest::CheckKey { connection: id, username, key: *key };
                self.check(now, id, attempt, request);
            }
            _ => self.refuse_login(now, id, Code::KeyRefused, "The key's signature is not good."),
        }
    }

    pub(super) fn check_password(
        &mut self,
        now: Now,
        id: ConnectionId,
        attempt: LoginTry,
        password: Secret,
    ) {
        let (username, key) = (attempt.username.clone(), attempt.key);
        let request = StoreRequest::CheckPassword { connection: id, username, password, key };
        self.check(now, id, attempt, request);
    }

    /// Asks the store, now or when it is this address's turn.
    fn check(&mut self, now: Now, id: ConnectionId, attempt: LoginTry, request: StoreRequest) {
        let peer = self.connections[&id].peer;
        // A key can't be guessed: who comes by one does not wait for those who guess.
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
            connection.await_store(Work::Login(attempt), now.boot_ms);
        }
        match wait_ms {
            0 => self.effects.push(Effect::Store(request)),
            wait_ms => {
                let until_ms = now.boot_ms + wait_ms;
                self.hold(id, Held { until_ms, then: Then::Ask(request) });
            }
        }
    }

    pub(super) fn stored(&mut self, now: Now, answer: StoreAnswer) {
        let (id, outcome) = match answer {
            StoreAnswer::Appended { result } => return self.appended(now, result),
            StoreAnswer::PasswordChanged { connection, result } => {
                return self.password_changed(now, connection, result);
            }
            StoreAnswer::SignedUp { connection, result } => (connection, Outcome::SignUp(result)),
            StoreAnswer::Checked { connection, result } => (connection, Outcome::Login(result)),
        };
        let Some(Entrance::Working(work)) = self.connections.get(&id).and_then(|c| c.entrance())
        else {
            return;
        };
        match (work.clone(), outcome) {
            (Work::SignUp { username }, Outcome::SignUp(result)) => {
                self.signed_up(now, id, username, result);
            }
            (Work::Login(attempt), Outcome::Login(result)) => {
                self.judged(now, id, attempt, result);
            }
            _ => {}
        }
        self.reschedule(id);
    }

    fn signed_up(
        &mut self,
        now: Now,
        id: ConnectionId,
        username: Username,
        result: Result<Created, Unavailable>,
    ) {
        let is_hand = self.connections[&id].is_hand();
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
        if is_hand && reply.code == Code::NameTaken {
            self.send_reply(id, &reply);
            return self.ask(now, id, Question::SignUpName);
        }
        self.back_to_choice(now, id, &reply);
    }

    pub(super) fn store_failed(&mut self, what: &'static str) -> Reply {
        self.effects.push(Effect::Record(Record::StoreFailed { what }));
        Reply::new(Code::StoreUnavailable, STORE_AWAY)
    }

    /// Answers and goes back to: log in or sign up?
    pub(super) fn back_to_choice(&mut self, now: Now, id: ConnectionId, reply: &Reply) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.await_answer(Entrance::Choosing, now.boot_ms);
        let is_hand = connection.is_hand();
        self.send_reply(id, reply);
        if is_hand {
            self.send_reply(id, &Reply::new(Code::WhichWay, hand::WHICH_WAY));
        }
        self.want_line(now, id, Mode::Frame);
    }

    fn judged(
        &mut self,
        now: Now,
        id: ConnectionId,
        attempt: LoginTry,
        result: Result<Verdict, Unavailable>,
    ) {
        match (result, attempt.username.clone()) {
            (Err(Unavailable), _) => {
                let reply = self.store_failed("judge a login");
                self.back_to_choice(now, id, &reply);
            }
            (Ok(Verdict::Accepted), Some(username)) => self.welcome(now, id, username, attempt),
            (Ok(Verdict::Banned), _) => {
                let why = "The operator has banned this account.";
                self.refuse_login(now, id, Code::Banned, why);
            }
            (Ok(Verdict::Accepted | Verdict::Refused), _) if attempt.by == "key" => {
                let why = "This account and key are not known here; log in with the password.";
                self.refuse_login(now, id, Code::KeyRefused, why);
            }
            (Ok(Verdict::Accepted | Verdict::Refused), _) => {
                self.refuse_login(now, id, Code::WrongPassword, WRONG);
            }
        }
    }

    /// Counts a wrong answer, on this connection and from this address.
    fn refuse_login(&mut self, now: Now, id: ConnectionId, code: Code, why: &str) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.await_answer(Entrance::Choosing, now.boot_ms);
        connection.wrong_answers += 1;
        let (peer, is_hand) = (connection.peer, connection.is_hand());
        let left = MAX_WRONG_ANSWERS.saturating_sub(connection.wrong_answers);
        let tries = match left {
            // The answer was right.
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
        if is_hand {
            self.send_reply(id, &Reply::new(Code::WhichWay, hand::WHICH_WAY));
        }
        self.want_line(now, id, Mode::Frame);
    }

    /// The right answer: makes a member, if there is a place and no other session in the way.
    fn welcome(&mut self, now: Now, id: ConnectionId, username: Username, attempt: LoginTry) {
        let live = self.directory.entry(&username).map(|entry| entry.connection);
        if let Some(live) = live {
            let same_key = attempt.key.is_some() && self.key_of(live) == attempt.key;
            if !same_key && !attempt.take {
                let reply = Reply::new(Code::LoggedInElsewhere, hand::elsewhere(&username));
                return self.back_to_choice(now, id, &reply);
            }
            self.close(now, live, Closing::Replaced);
        }
        if self.directory.len() >= self.settings.places {
            return self.turn_away(now, id);
        }
        self.make_member(now, id, username, attempt);
    }

    fn key_of(&self, id: ConnectionId) -> Option<letschat_protocol::identity::PublicKey> {
        self.connections.get(&id)?.member()?.key
    }

    fn make_member(&mut self, now: Now, id: ConnectionId, username: Username, attempt: LoginTry) {
        let session = SessionId(self.tokens.draw());
        let stream = Stream { next: self.log.head() + 1, ..Stream::default() };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let (peer, is_hand) = (connection.peer, connection.is_hand());
        connection.wrong_answers = 0;
        connection.phase = Phase::Member(Box::new(Member {
            username: username.clone(),
            key: attempt.key,
            port: attempt.port,
            session,
            since_ms: now.boot_ms,
            active_ms: now.boot_ms,
            heard_ms: now.boot_ms,
            watching: false,
            datagrams: Datagrams::default(),
            stream,
            question: None,
        }));
        self.antechamber.leave(id, peer.ip());
        self.effects.push(Effect::LetIn { connection: id });
        self.sessions.insert(session, id);
        let entry = directory::Entry { connection: id, address: peer.ip(), port: attempt.port };
        self.directory.add(&username, entry);
        self.presence.join(&username, now.boot_ms);
        let record =
            Record::LoggedIn { connection: id, username: username.clone(), by: attempt.by };
        self.effects.push(Effect::Record(record));
        if is_hand {
            return self.welcome_hand(now, id, &username);
        }
        self.effects.push(Effect::OpenDatagrams { session, connection: id });
        let welcome = Welcome {
            username,
            session,
            epoch: self.log.epoch(),
            head: self.log.head(),
            udp_port: self.birth.udp_port,
            address: peer.ip(),
        };
        self.answer(now, id, &welcome.to_reply());
    }

    /// A person has no log of their own: what is kept is sent by itself.
    fn welcome_hand(&mut self, now: Now, id: ConnectionId, username: &Username) {
        let others = self.directory.len() - 1;
        self.answer(now, id, &Reply::new(Code::LoggedIn, hand::logged_in(username, others)));
        let first = self.log.first();
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.stream.next = first;
        }
        self.stream(id);
    }

    /// Asks a person for something.
    pub(super) fn ask(&mut self, now: Now, id: ConnectionId, question: Question) {
        let reply = hand::question(&question);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.await_answer(Entrance::Asked(question), now.boot_ms);
        }
        self.answer_in(now, id, &reply, Mode::Verbatim);
    }

    /// Tells about an introduction.
    pub(super) fn introduce(
        &mut self,
        to: ConnectionId,
        who: letschat_protocol::dialogue::Introduction,
    ) {
        self.tell(to, &Notice::Introduction(who));
    }
}

enum Outcome {
    SignUp(Result<Created, Unavailable>),
    Login(Result<Verdict, Unavailable>),
}

/// A name for a new account, or why it can't be one.
pub(super) fn new_name(name: &str) -> Result<Username, String> {
    let username: Username = name.parse().map_err(|error: UsernameError| error.to_string())?;
    match reserved_names::check(&username) {
        Ok(()) => Ok(username),
        Err(reserved) => Err(reserved.to_string()),
    }
}

fn is_bare_hello(frame: &Frame) -> bool {
    let mut words = frame.words();
    let hello = words.next().is_some_and(|word| word.eq_ignore_ascii_case("HELLO"));
    hello && words.next().is_none() && frame.payload().is_none()
}
