//! What a logged-in user asks of the server, and the answers.

use std::net::{IpAddr, SocketAddr};

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Introduction, Listed, Reply as ServerReply, Request as ServerRequest, Secret,
};
use letschat_protocol::limits::MAX_BROADCAST_BYTES;
use letschat_protocol::printable::{has_control, is_blank};
use letschat_protocol::username::Username;

use super::server::{Expected, ListFor, sentence};
use super::{Now, Reply, RequestId, Session, User};
use crate::event::format_rfc3339;

/// A list longer than this is no list: places are far fewer.
const MAX_LISTED: usize = 100_000;

const NOT_UNDERSTOOD: &str =
    "The server's answer was not understood; it may be of another version.";

impl Session {
    pub(super) fn list(&mut self, now: Now, id: RequestId) {
        if !self.server.is_logged_in() {
            return self.fail_not_logged_in(id);
        }
        self.ask_list(now, ListFor::User(id));
    }

    pub(super) fn ask_list(&mut self, now: Now, what_for: ListFor) {
        let expected = Expected::List(what_for, Vec::new());
        self.ask_server(now, ServerRequest::List { after: None }, expected);
    }

    pub(super) fn watch(&mut self, now: Now, id: RequestId, on: bool) {
        if !self.server.is_logged_in() {
            return self.fail_not_logged_in(id);
        }
        self.remember_watching(on);
        self.ask_server(now, ServerRequest::Watch(on), Expected::Watch(Some(id)));
    }

    /// The server judges the new password, as it does at a sign-up.
    pub(super) fn change_password(
        &mut self,
        now: Now,
        id: RequestId,
        password: Secret,
        new: Secret,
        repeated: Secret,
    ) {
        if !self.server.is_logged_in() {
            return self.fail_not_logged_in(id);
        }
        if [&password, &new, &repeated].iter().any(|secret| secret.0.contains('\n')) {
            return self.fail(id, Code::PasswordWeak.name(), "A password has no line ends.");
        }
        let request = ServerRequest::ChangePassword { password, new, repeated };
        self.ask_server(now, request, Expected::ChangePassword(id));
    }

    pub(super) fn broadcast(&mut self, now: Now, id: RequestId, text: String) {
        if !self.server.is_logged_in() {
            return self.fail_not_logged_in(id);
        }
        if text.len() > MAX_BROADCAST_BYTES {
            let why = format!(
                "A broadcast has at most {MAX_BROADCAST_BYTES} bytes; this has {}.",
                text.len()
            );
            return self.fail(id, Code::TextTooLong.name(), why);
        }
        if is_blank(&text) || has_control(&text) {
            let why = "A broadcast is one line of text, without control characters.";
            return self.fail(id, Code::TextInvalid.name(), why);
        }
        self.ask_server(now, ServerRequest::Broadcast { text }, Expected::Broadcast(id));
    }

    /// The reply to something that only a logged-in user asks.
    pub(super) fn asked_and_answered(&mut self, now: Now, what: Expected, reply: ServerReply) {
        if reply.code.is_success() {
            return self.granted(now, what, &reply);
        }
        let mut message = sentence(reply.last_line());
        if reply.code == Code::Ambiguous {
            let several = &reply.lines[..reply.lines.len().saturating_sub(1)];
            message = format!("{message} There are: {}.", several.join("; "));
        }
        self.fail_expected(what, reply.code.name(), &message);
    }

    fn granted(&mut self, now: Now, what: Expected, reply: &ServerReply) {
        match what {
            Expected::List(what_for, listed) => self.listed(now, what_for, listed, reply),
            Expected::Watch(Some(id)) => {
                let message = reply.last_line().to_owned();
                self.answer(id, Reply::Said { message });
            }
            Expected::ChangePassword(id) => {
                let message = reply.last_line().to_owned();
                self.answer(id, Reply::Said { message });
            }
            Expected::Broadcast(id) => match (reply.field(0), reply.field(1)) {
                (Some(number), Some(time_ms)) => {
                    self.answer(id, Reply::Broadcast { number, time: format_rfc3339(time_ms) });
                }
                _ => self.fail_malformed(id),
            },
            Expected::Connect(who) => match Introduction::parse(reply.last_line()) {
                Some(introduction) => self.granted_connect(now, &who, introduction),
                None => self.refuse_connect(&who, Code::Malformed.name(), NOT_UNDERSTOOD),
            },
            Expected::ConnectAddress(id, _) => match Introduction::parse(reply.last_line()) {
                Some(introduction) => self.granted_address(now, id, introduction),
                None => self.fail_malformed(id),
            },
            _ => {}
        }
    }

    /// A request to the server came to nothing.
    pub(super) fn fail_expected(&mut self, what: Expected, code: &'static str, message: &str) {
        let id = match what {
            Expected::SignUp(id)
            | Expected::ChangePassword(id)
            | Expected::Broadcast(id)
            | Expected::ConnectAddress(id, _) => Some(id),
            Expected::List(ListFor::User(id) | ListFor::Connect(id, _), _) => Some(id),
            Expected::Watch(id) => id,
            Expected::Connect(who) => return self.refuse_connect(&who, code, message),
            Expected::Greeting
            | Expected::Hello
            | Expected::Login
            | Expected::Replay
            | Expected::Ping
            | Expected::Active
            | Expected::Forgotten => None,
        };
        if let Some(id) = id {
            self.fail(id, code, message);
        }
    }

    fn fail_malformed(&mut self, id: RequestId) {
        self.fail(id, Code::Malformed.name(), NOT_UNDERSTOOD);
    }

    /// A page of the list came; the next is asked for if there is one.
    fn listed(
        &mut self,
        now: Now,
        what_for: ListFor,
        mut listed: Vec<Listed>,
        reply: &ServerReply,
    ) {
        let (last, page) = match reply.lines.split_last() {
            Some((last, page)) => (last.as_str(), page),
            None => ("", &[][..]),
        };
        listed.extend(page.iter().filter_map(|line| Listed::parse(line)));
        let after = last.split(' ').skip_while(|word| *word != "after").nth(1);
        let after = after.and_then(|name| name.parse::<Username>().ok());
        if let Some(after) = after.filter(|_| listed.len() < MAX_LISTED) {
            let request = ServerRequest::List { after: Some(after) };
            return self.ask_server(now, request, Expected::List(what_for, listed));
        }
        self.server.last_list = listed;
        match what_for {
            ListFor::User(id) => {
                let users = self.server.last_list.iter().map(User::from).collect();
                self.answer(id, Reply::Users { users });
            }
            ListFor::Connect(id, who) => match self.listed_as(&who) {
                Some(_) => self.ask_connect(now, id, &who),
                None => {
                    let why = format!(
                        "{who} is not in the server's list. An invalid request costs the connection; \
                         `/connect {who} force` asks all the same."
                    );
                    self.fail(id, "not_listed", why);
                }
            },
        }
    }

    /// Whether the last list has somebody else whom these words name.
    pub(super) fn listed_as(&self, who: &str) -> Option<&Listed> {
        let own = self.own_name();
        let mut others =
            self.server.last_list.iter().filter(|listed| Some(&listed.username) != own);
        if let Ok(receiver) = who.parse::<SocketAddr>() {
            let there = |listed: &&Listed| {
                listed.address == receiver.ip() && listed.port == Some(receiver.port())
            };
            return others.find(there);
        }
        if let Ok(address) = who.parse::<IpAddr>() {
            return others.find(|listed| listed.address == address);
        }
        let name: Username = who.parse().ok()?;
        others.find(|listed| listed.username == name)
    }

    /// Whether these words name oneself, by what is known.
    pub(super) fn names_oneself(&self, who: &str) -> bool {
        let by_name = who.parse().is_ok_and(|name: Username| Some(&name) == self.own_name());
        let by_receiver = who.parse().is_ok_and(|receiver: SocketAddr| {
            Some(receiver.ip()) == self.server.own_address() && receiver.port() == self.birth.port
        });
        by_name || by_receiver
    }
}
