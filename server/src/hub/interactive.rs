//! The dialogue with a person who types, through `openssl s_client` or `ncat --ssl`.
//!
//! Every question says what to type next and takes the next line verbatim; an empty line goes back.
//! The terminal shows bytes raw and its width is unknown. Untrusted text is therefore passed
//! through `Printable` and sent in short lines, each with a mark.

use chrono::{DateTime, Utc};
use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Broadcast, Notice, Reply, Secret};
use letschat_protocol::frame::{Frame, Mode};
use letschat_protocol::password;
use letschat_protocol::printable::Printable;
use letschat_protocol::rows::wrap;
use letschat_protocol::username::Username;

use super::classroom;
use super::connection::{LoginAttempt, LoginStep, MemberQuestion, Question};
use super::sign_up::new_name;
use super::{ConnectionId, Hub};
use letschat_protocol::clock::Now;

pub(super) const SAY_HELLO: &str = "expected HELLO, or of a program HELLO letschat/1";
pub(super) const WELCOME: &str =
    "Hello. Do you want to log in or to sign up? Type LOGIN, SIGNUP, HELP or QUIT.";
pub(super) const WHICH_WAY: &str = "Log in or sign up? Type LOGIN, SIGNUP, HELP or QUIT.";
const WHAT_NOW: &str = "expected LIST, BROADCAST, CONNECT, WATCH, HELP or QUIT";

/// The width at which notices with untrusted text are broken. Each row begins with the mark of a
/// notice, since the rest of a longer line could pass for an answer of the server.
const NOTICE_COLUMNS: usize = 60;
const NOTICE_MARK: &str = "* ";

pub(super) fn logged_in(username: &Username, others: usize) -> String {
    let company = match others {
        0 => String::from("Nobody else is here yet."),
        1 => String::from("One other is here."),
        others => format!("{others} others are here."),
    };
    format!("Welcome, {username}. {company} Type LIST, BROADCAST, CONNECT, WATCH, HELP or QUIT.")
}

pub(super) fn elsewhere(username: &Username) -> String {
    format!("{username} is logged in elsewhere. LOGIN TAKE replaces that session.")
}

pub(super) fn question(question: &Question) -> Reply {
    match question {
        Question::LoginName { .. } => {
            Reply::new(Code::AskUsername, "Your username? (An empty line goes back.)")
        }
        Question::LoginPassword { .. } => {
            Reply::new(Code::AskPassword, "Your password? (It may show on your screen.)")
        }
        Question::SignUpName => Reply::new(
            Code::AskUsername,
            "Which username do you want? Letters a-z, digits, _ - and . (An empty line goes back.)",
        ),
        Question::SignUpPassword { .. } => Reply::new(
            Code::AskPassword,
            "Which password? At least 8 characters. (It may show on your screen.)",
        ),
        Question::SignUpAgain { .. } => {
            Reply::new(Code::AskPasswordAgain, "The same password again, please.")
        }
    }
}

/// Renders a notice for a person.
pub(super) fn render(notice: &Notice) -> Vec<u8> {
    let names =
        |names: &[Username]| names.iter().map(Username::as_str).collect::<Vec<_>>().join(", ");
    let line = match notice {
        Notice::Broadcast { entry, own } => broadcast(entry, *own),
        // A person has no key, so no envelope is for them, and they have no device.
        Notice::Replayed { .. }
        | Notice::Mail(_)
        | Notice::Meeting(_)
        | Notice::Devices { .. }
        | Notice::Enrolling(_)
        | Notice::Unlisted { .. } => return Vec::new(),
        Notice::Client { who, is_new: true } => classroom::initiated(&who.username),
        Notice::Client { is_new: false, .. } => return Vec::new(),
        Notice::Introduction(who) => format!("{} asks for you.", who.username),
        Notice::Joined(joined) => format!("Joined: {}.", names(joined)),
        Notice::Left(left) => format!("Left: {}.", names(left)),
        Notice::Crowd { joined, left } => format!("{joined} joined, {left} left."),
        Notice::Say(text) => format!("Server: {}", on_one_line(text)),
        // This text is the server's own.
        Notice::Closing(why) => {
            return Frame::line(format!("{NOTICE_MARK}{}", why.sentence())).to_bytes();
        }
    };
    let rows = wrap(&line, NOTICE_COLUMNS - NOTICE_MARK.len());
    rows.lines().flat_map(|row| Frame::line(format!("{NOTICE_MARK}{row}")).to_bytes()).collect()
}

/// Collapses runs of blanks: a long run could push the next word to the start of a row.
fn on_one_line(text: &str) -> String {
    let shown = Printable(text).to_string();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn broadcast(entry: &Broadcast, own: bool) -> String {
    let time = i64::try_from(entry.time_ms).ok().and_then(DateTime::<Utc>::from_timestamp_millis);
    let time = time.unwrap_or_default().format("%Y-%m-%d %H:%M:%S UTC");
    let you = if own { " (you)" } else { "" };
    format!("{time} {}{you}: {}", entry.sender, on_one_line(&entry.text))
}

impl Hub {
    /// Handles a line of a person who types.
    pub(super) fn interactive_line(&mut self, now: Now, id: ConnectionId, frame: &Frame) {
        if self.member_of(id).is_some() {
            self.interactive_member(now, id, frame);
        } else {
            self.interactive_before_login(now, id, frame);
        }
    }

    fn interactive_before_login(&mut self, now: Now, id: ConnectionId, frame: &Frame) {
        match self.connections[&id].login_step().cloned() {
            Some(LoginStep::Asked(question)) => {
                self.answered(now, id, question, frame.as_line());
            }
            _ => self.choice(now, id, frame),
        }
    }

    fn choice(&mut self, now: Now, id: ConnectionId, frame: &Frame) {
        let words: Vec<String> = frame.words().map(str::to_ascii_uppercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let named = || frame.words().nth(1).map(str::to_owned);
        match words.as_slice() {
            [] => self.answer(now, id, &Reply::new(Code::WhichWay, WHICH_WAY)),
            ["LOGIN" | "LOG", "TAKE"] => {
                self.ask(now, id, Question::LoginName { take: true });
            }
            ["LOGIN"] | ["LOG", "IN"] => self.ask(now, id, Question::LoginName { take: false }),
            ["LOGIN", _] => {
                let username = named().unwrap_or_default();
                self.ask(now, id, Question::LoginPassword { username, take: false });
            }
            ["SIGNUP"] | ["SIGN", "UP"] => self.ask(now, id, Question::SignUpName),
            ["SIGNUP", _] => self.wanted_name(now, id, &named().unwrap_or_default()),
            ["HELP", ..] => self.answer(now, id, &entrance_help()),
            ["HELLO", ..] => self.answer(now, id, &Reply::new(Code::WhichWay, WHICH_WAY)),
            ["QUIT" | "EXIT" | "BYE"] => self.goodbye(now, id),
            ["LOGIN" | "SIGNUP", ..] => {
                let expected = "expected at most a username there; the password is asked for next";
                self.answer_invalid(now, id, &Reply::new(Code::BadArguments, expected));
            }
            _ => {
                let reply =
                    Reply::new(Code::UnknownCommand, "expected LOGIN, SIGNUP, HELP or QUIT");
                self.answer_invalid(now, id, &reply);
            }
        }
    }

    /// Handles an answer of a person before the login.
    fn answered(&mut self, now: Now, id: ConnectionId, question: Question, line: &str) {
        if line.trim().is_empty() {
            return self.back_to_choice(now, id, &Reply::new(Code::Ok, "All right."));
        }
        match question {
            Question::LoginName { take } => {
                let username = line.trim().to_owned();
                self.ask(now, id, Question::LoginPassword { username, take });
            }
            Question::LoginPassword { username, take } => {
                let username = username.parse().ok();
                let attempt = LoginAttempt { username, key: None, port: None, take, by: "hand" };
                self.check_password(now, id, attempt, Secret(line.to_owned()));
            }
            Question::SignUpName => self.wanted_name(now, id, line.trim()),
            Question::SignUpPassword { username } => match password::check(line, &username) {
                Ok(()) => {
                    let password = Secret(line.to_owned());
                    self.ask(now, id, Question::SignUpAgain { username, password });
                }
                Err(weak) => {
                    self.send_reply(id, &Reply::new(Code::PasswordWeak, format!("Sorry: {weak}.")));
                    self.ask(now, id, Question::SignUpPassword { username });
                }
            },
            Question::SignUpAgain { username, password }
                if password::are_same(&password.0, line) =>
            {
                self.ask_for_account(now, id, username, password);
            }
            Question::SignUpAgain { username, .. } => {
                let differ = "The two passwords are not the same.";
                self.send_reply(id, &Reply::new(Code::PasswordsDiffer, differ));
                self.ask(now, id, Question::SignUpPassword { username });
            }
        }
    }

    fn wanted_name(&mut self, now: Now, id: ConnectionId, name: &str) {
        match new_name(name) {
            Ok(username) => self.ask(now, id, Question::SignUpPassword { username }),
            Err(why) => {
                self.send_reply(id, &Reply::new(Code::NameInvalid, format!("Sorry: {why}.")));
                self.ask(now, id, Question::SignUpName);
            }
        }
    }

    /// Handles a line of a person who is logged in.
    fn interactive_member(&mut self, now: Now, id: ConnectionId, frame: &Frame) {
        let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) else {
            return;
        };
        member.active_ms = now.boot_ms;
        if let Some(question) = member.question.take() {
            let line = frame.as_line().trim();
            return match (question, line) {
                (_, "") => self.answer(now, id, &Reply::new(Code::Ok, "All right.")),
                (MemberQuestion::Message, text) => self.broadcast(now, id, text.to_owned()),
                (MemberQuestion::Who, who) => self.connect(now, id, who),
            };
        }
        self.interactive_command(now, id, frame);
    }

    fn interactive_command(&mut self, now: Now, id: ConnectionId, frame: &Frame) {
        let words: Vec<String> = frame.words().map(str::to_ascii_uppercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let rest =
            || frame.as_line().trim_start().split_once(' ').map_or("", |(_, rest)| rest.trim());
        match words.as_slice() {
            [] => self.answer(now, id, &Reply::new(Code::Ok, WHAT_NOW)),
            ["LIST"] => self.list(now, id, None),
            ["LIST", "AFTER", name] => match name.parse() {
                Ok(after) => self.list(now, id, Some(&after)),
                Err(_) => self.unknown_command(now, id),
            },
            ["BROADCAST"] if frame.payload().is_some() => match frame.text() {
                Some(text) => self.broadcast(now, id, text.to_owned()),
                None => self.unknown_command(now, id),
            },
            ["BROADCAST"] => {
                let question = "What do you want to say to everybody? (An empty line: nothing.)";
                self.ask_member(now, id, MemberQuestion::Message, Code::AskMessage, question);
            }
            ["BROADCAST", ..] if frame.payload().is_none() => {
                self.broadcast(now, id, rest().to_owned());
            }
            ["CONNECT"] => {
                let question = "To whom? For somebody who is not in LIST you are disconnected. (An empty line: nobody.)";
                self.ask_member(now, id, MemberQuestion::Who, Code::AskWho, question);
            }
            ["CONNECT", _] => self.connect(now, id, rest()),
            ["WATCH"] | ["WATCH", "ON"] => self.watch(now, id, true),
            ["WATCH", "OFF"] => self.watch(now, id, false),
            ["HELP", ..] => self.answer(now, id, &member_help()),
            ["QUIT" | "EXIT" | "BYE"] => self.goodbye(now, id),
            ["HELLO" | "LOGIN" | "SIGNUP", ..] => {
                let reply = Reply::new(Code::WrongPhase, "You are logged in. Type HELP or QUIT.");
                self.answer_invalid(now, id, &reply);
            }
            _ => self.unknown_command(now, id),
        }
    }

    fn unknown_command(&mut self, now: Now, id: ConnectionId) {
        self.answer_invalid(now, id, &Reply::new(Code::UnknownCommand, WHAT_NOW));
    }

    fn ask_member(
        &mut self,
        now: Now,
        id: ConnectionId,
        question: MemberQuestion,
        code: Code,
        text: &str,
    ) {
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.question = Some(question);
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.invalid_lines = 0;
        }
        self.answer_in(now, id, &Reply::new(code, text), Mode::Verbatim);
    }
}

fn entrance_help() -> Reply {
    let lines = [
        "LOGIN   asks for your username and password; LOGIN TAKE replaces another session of yours.",
        "SIGNUP  makes an account: it asks for a username, and for a password twice.",
        "QUIT    ends the connection.",
    ];
    Reply::long(Code::Help, lines.map(str::to_owned), WHICH_WAY.into())
}

fn member_help() -> Reply {
    let lines = [
        "LIST       shows who is here: username, address, port.",
        "BROADCAST  asks for a text and sends it to everybody.",
        "CONNECT    asks for a username or address; chatting then needs the letschat program.",
        "WATCH      tells you who comes and goes; WATCH OFF ends that.",
        "QUIT       ends the connection.",
    ];
    Reply::long(
        Code::Help,
        lines.map(str::to_owned),
        "Lines that begin with * come by themselves.".into(),
    )
}
