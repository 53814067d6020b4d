//! What of an input is nobody's business, so that a trace can be handed on without it.
//!
//! Only the hub can tell: what a person types is a password, a text or a name by what they were
//! asked. Names, addresses and known words stay as they are, since all depends on them; what makes
//! no sense becomes question marks and makes none still.

use letschat_protocol::dialogue::{Request, Secret, USAGE};
use letschat_protocol::frame::Frame;
use letschat_protocol::username::Username;

use super::connection::{Entrance, MemberQuestion, Question};
use super::directory::Who;
use super::{ConnectionId, Hub, Input, Operator};
use crate::trace::{StandIns, no_text};

/// What a person can type besides names and texts.
const WORDS: &[&str] = &[
    "HELLO",
    "LOGIN",
    "LOG",
    "IN",
    "SIGNUP",
    "SIGN",
    "UP",
    "TAKE",
    "HELP",
    "QUIT",
    "EXIT",
    "BYE",
    "LIST",
    "AFTER",
    "BROADCAST",
    "CONNECT",
    "WATCH",
    "ON",
    "OFF",
];

impl Hub {
    /// An input that leads to the same decisions, with stand-ins for passwords and texts. To be
    /// asked before the input is handled.
    pub(crate) fn without_secrets(&self, input: &Input, stand_ins: &StandIns) -> Input {
        match input {
            Input::Line { connection, line: Ok(frame) } => {
                let line = Ok(self.line_without_secrets(*connection, frame, stand_ins));
                Input::Line { connection: *connection, line }
            }
            Input::Operator(Operator::Say(text)) => {
                Input::Operator(Operator::Say(stand_ins.text(text)))
            }
            input => input.clone(),
        }
    }

    fn line_without_secrets(&self, id: ConnectionId, frame: &Frame, stand_ins: &StandIns) -> Frame {
        let Some(connection) = self.connections.get(&id) else {
            return nonsense(frame, stand_ins, |_| false);
        };
        let member = connection.member();
        if !connection.is_hand() {
            return program(frame, member.map(|member| &member.username), stand_ins);
        }
        let line = frame.as_line();
        if let Some(Entrance::Asked(question)) = connection.entrance() {
            return Frame::line(answer(question, line, stand_ins));
        }
        match member.and_then(|member| member.question) {
            Some(MemberQuestion::Message) => Frame::line(stand_ins.text(line)),
            Some(MemberQuestion::Who) => Frame::line(who(line.trim())),
            None => person(frame, stand_ins),
        }
    }
}

/// What a person answered to a question before the login.
fn answer(question: &Question, line: &str, stand_ins: &StandIns) -> String {
    match question {
        Question::LoginName { .. } | Question::SignUpName => stand_ins.name(line.trim()),
        Question::LoginPassword { username, .. } => {
            stand_ins.password(line, username.parse().ok().as_ref())
        }
        Question::SignUpPassword { username } | Question::SignUpAgain { username, .. } => {
            stand_ins.password(line, Some(username))
        }
    }
}

/// What a person typed without having been asked.
fn person(frame: &Frame, stand_ins: &StandIns) -> Frame {
    let words: Vec<&str> = frame.words().collect();
    let verb = words.first().map(|verb| verb.to_ascii_uppercase()).unwrap_or_default();
    match (verb.as_str(), words.as_slice()) {
        ("BROADCAST", [_, _, ..]) if frame.payload().is_none() => {
            let text = frame.as_line().trim_start().split_once(' ').map_or("", |(_, rest)| rest);
            Frame::line(format!("BROADCAST {}", stand_ins.text(text.trim())))
        }
        ("LOGIN" | "SIGNUP", [_, name]) => {
            with_payload_of(frame, format!("{verb} {}", stand_ins.name(name)), stand_ins)
        }
        ("CONNECT", [_, name]) => {
            with_payload_of(frame, format!("CONNECT {}", who(name)), stand_ins)
        }
        ("LIST", [_, after, name]) if after.eq_ignore_ascii_case("AFTER") => {
            with_payload_of(frame, format!("LIST AFTER {}", stand_ins.name(name)), stand_ins)
        }
        _ => nonsense(frame, stand_ins, |word| WORDS.contains(&word)),
    }
}

/// What a program said.
fn program(frame: &Frame, member: Option<&Username>, stand_ins: &StandIns) -> Frame {
    let Ok(request) = Request::from_frame(frame) else {
        return nonsense(frame, stand_ins, |word| USAGE.iter().any(|(verb, _)| *verb == word));
    };
    let secret = |password: &Secret, username: Option<&Username>| {
        Secret(stand_ins.password(&password.0, username))
    };
    let told = match request {
        Request::SignUp { username, password, repeated } => {
            let name = username.parse().ok();
            Request::SignUp {
                username: stand_ins.name(&username),
                password: secret(&password, name.as_ref()),
                repeated: secret(&repeated, name.as_ref()),
            }
        }
        Request::Login { username, credentials, password } => {
            let password = secret(&password, username.parse().ok().as_ref());
            Request::Login { username: stand_ins.name(&username), credentials, password }
        }
        Request::Key { username, credentials } => {
            Request::Key { username: stand_ins.name(&username), credentials }
        }
        Request::ChangePassword { password, new, repeated } => Request::ChangePassword {
            password: secret(&password, member),
            new: secret(&new, member),
            repeated: secret(&repeated, member),
        },
        Request::Connect { who: name } => Request::Connect { who: who(&name) },
        Request::Broadcast { text } => Request::Broadcast { text: stand_ins.text(&text) },
        request => request,
    };
    told.to_frame()
}

/// Question marks for all words but those that are known.
fn nonsense(frame: &Frame, stand_ins: &StandIns, is_known: impl Fn(&str) -> bool) -> Frame {
    let words = frame.words().map(|word| match is_known(&word.to_ascii_uppercase()) {
        true => word.to_owned(),
        false => question_marks(word),
    });
    let line = words.collect::<Vec<_>>().join(" ");
    with_payload_of(frame, line, stand_ins)
}

fn with_payload_of(frame: &Frame, line: String, stand_ins: &StandIns) -> Frame {
    match (frame.payload(), frame.text()) {
        (None, _) => Frame::line(line),
        (_, Some(text)) => Frame::with_payload(line, stand_ins.text(text)),
        (Some(payload), None) => Frame::with_payload(line, no_text(payload.len())),
    }
}

/// A name or an address that somebody asks for.
fn who(name: &str) -> String {
    match Who::parse(name) {
        Some(_) => name.to_owned(),
        None => question_marks(name),
    }
}

fn question_marks(word: &str) -> String {
    "?".repeat(word.chars().count())
}
