//! What a logged-in user asks of the server, and the answers.

use std::net::{IpAddr, SocketAddr};

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Introduction, Listed, Reply as ServerReply, Request as ServerRequest, Secret,
};
use letschat_protocol::limits::MAX_BROADCAST_BYTES;
use letschat_protocol::printable::{has_control, is_blank};
use letschat_protocol::username::Username;

use super::server::{Expected, ListFor};
use super::{Now, Reply, Request, RequestId, Session, User};
use crate::event::{Event, format_rfc3339};
use crate::failure::{Failure, Text};

/// A list has at most so many names on so many pages, and is there after this time. A server whose
/// list does not end is not followed any further.
const MAX_LISTED: usize = 100_000;
const MAX_PAGES: usize = 1_000;
const LIST_MS: u64 = 120_000;

/// The pages of a list that have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pages {
    begun_ms: u64,
    count: usize,
    listed: Vec<Listed>,
    /// The name after which the last page was asked for. Names come in order, so it only grows.
    after: Option<Username>,
}

impl Pages {
    /// Whether another page may be asked for.
    fn may_go_on(&self, now: Now) -> bool {
        self.count < MAX_PAGES
            && self.listed.len() < MAX_LISTED
            && now.boot_ms.saturating_sub(self.begun_ms) < LIST_MS
    }
}

impl Request {
    /// Whether only the client itself knows that its user made it. The server sees the others.
    pub(super) fn is_local_activity(&self) -> bool {
        match self {
            Request::Approve(_)
            | Request::Deny(_)
            | Request::Cancel(_)
            | Request::Say { .. }
            | Request::Switch(_)
            | Request::AcceptEnd(_)
            | Request::Disconnect(_)
            | Request::Verify { .. }
            | Request::Trust(_)
            | Request::Block { .. }
            | Request::Blocked
            | Request::Status => true,
            Request::SignUp { .. }
            | Request::Login { .. }
            | Request::ChangePassword { .. }
            | Request::Leave
            | Request::Detach
            | Request::List
            | Request::Watch(_)
            | Request::Connect { .. }
            | Request::Broadcast(_)
            | Request::Quit => false,
        }
    }
}

impl Session {
    pub(super) fn list(&mut self, now: Now, id: RequestId) {
        if !self.server.is_logged_in() {
            return self.ask_when_back(now, id, Request::List);
        }
        self.ask_list(now, ListFor::User(id));
    }

    pub(super) fn ask_list(&mut self, now: Now, what_for: ListFor) {
        let pages = Pages { begun_ms: now.boot_ms, count: 0, listed: Vec::new(), after: None };
        let expected = Expected::List(what_for, pages);
        self.ask_server(now, ServerRequest::List { after: None }, expected);
    }

    pub(super) fn watch(&mut self, now: Now, id: RequestId, on: bool) {
        if !self.server.is_logged_in() {
            return self.ask_when_back(now, id, Request::Watch(on));
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
            return self.ask_when_back(
                now,
                id,
                Request::ChangePassword { password, new, repeated },
            );
        }
        if [&password, &new, &repeated].iter().any(|secret| secret.0.contains('\n')) {
            return self.fail(id, Failure::PasswordWithLineEnd);
        }
        let request = ServerRequest::ChangePassword { password, new, repeated };
        self.ask_server(now, request, Expected::ChangePassword(id));
    }

    pub(super) fn broadcast(&mut self, now: Now, id: RequestId, text: String) {
        if !self.server.is_logged_in() {
            return self.ask_when_back(now, id, Request::Broadcast(text));
        }
        if text.len() > MAX_BROADCAST_BYTES {
            let (limit, bytes) = (MAX_BROADCAST_BYTES, text.len());
            let why = Failure::TextTooLong { text: Text::Broadcast, limit, bytes };
            return self.fail(id, why);
        }
        if is_blank(&text) {
            return self.fail(id, Failure::Blank(Text::Broadcast));
        }
        if has_control(&text) {
            return self.fail(id, Failure::ControlCharacters);
        }
        self.ask_server(now, ServerRequest::Broadcast { text }, Expected::Broadcast(id));
    }

    /// The reply to something that only a logged-in user asks.
    pub(super) fn asked_and_answered(&mut self, now: Now, what: Expected, reply: ServerReply) {
        if reply.code.is_success() {
            return self.granted(now, what, &reply);
        }
        let several = match reply.code {
            Code::Ambiguous => &reply.lines[..reply.lines.len().saturating_sub(1)],
            _ => &[],
        };
        let why = Failure::Refused {
            code: reply.code.into(),
            said: reply.last_line().to_owned(),
            choices: several.to_vec(),
        };
        self.fail_expected(what, why);
    }

    fn granted(&mut self, now: Now, what: Expected, reply: &ServerReply) {
        match what {
            Expected::List(what_for, pages) => self.listed(now, what_for, pages, reply),
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
                None => self.refuse_connect(&who, Failure::NotUnderstood),
            },
            Expected::ConnectAddress(id, who, switch) => {
                match Introduction::parse(reply.last_line()) {
                    Some(introduction) => {
                        self.granted_address(now, id, &who, introduction, switch);
                    }
                    None => self.fail_malformed(id),
                }
            }
            _ => {}
        }
    }

    /// A request to the server came to nothing.
    pub(super) fn fail_expected(&mut self, what: Expected, why: Failure) {
        let id = match what {
            Expected::SignUp(id, _)
            | Expected::ChangePassword(id)
            | Expected::Broadcast(id)
            | Expected::ConnectAddress(id, ..) => Some(id),
            Expected::List(ListFor::User(id) | ListFor::Connect(id, ..), _) => Some(id),
            Expected::Watch(id) => id,
            Expected::Connect(who) => return self.refuse_connect(&who, why),
            Expected::Greeting
            | Expected::Hello
            | Expected::Login
            | Expected::Replay
            | Expected::Ping
            | Expected::Active
            | Expected::Forgotten => None,
        };
        if let Some(id) = id {
            self.fail(id, why);
        }
    }

    fn fail_malformed(&mut self, id: RequestId) {
        self.fail(id, Failure::NotUnderstood);
    }

    /// A page of the list came; the next is asked for if there is one.
    fn listed(&mut self, now: Now, what_for: ListFor, mut pages: Pages, reply: &ServerReply) {
        let (last, page) = match reply.lines.split_last() {
            Some((last, page)) => (last.as_str(), page),
            None => ("", &[][..]),
        };
        let before = pages.listed.len();
        pages.listed.extend(page.iter().filter_map(|line| Listed::parse(line)));
        let after = last.split(' ').skip_while(|word| *word != "after").nth(1);
        if let Some(after) = after.and_then(|name| name.parse::<Username>().ok()) {
            let advances = pages.listed.len() > before && pages.after.as_ref() < Some(&after);
            pages.count += 1;
            if !advances || !pages.may_go_on(now) {
                let what = Expected::List(what_for, pages);
                return self.fail_expected(what, Failure::EndlessList);
            }
            pages.after = Some(after.clone());
            let request = ServerRequest::List { after: Some(after) };
            return self.ask_server(now, request, Expected::List(what_for, pages));
        }
        self.server.last_list = pages.listed;
        let people = self.server.last_list.iter().map(|listed| listed.username.clone());
        self.tell(Event::People(people.collect()));
        match what_for {
            ListFor::User(id) => {
                let users = self.server.last_list.iter().map(User::from).collect();
                self.answer(id, Reply::Users { users });
            }
            ListFor::Connect(id, who, switch) => match self.listed_as(&who) {
                Some(_) => self.ask_connect(now, id, &who, switch),
                None => self.fail(id, Failure::NotListed(who)),
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
            Some(receiver.ip()) == self.server.own_address() && receiver.port() == self.config.port
        });
        by_name || by_receiver
    }
}

/// Whether somebody with this receiver is at an address that the user gave, with or without a port.
pub(super) fn is_at(who: &str, receiver: SocketAddr) -> bool {
    let ip = receiver.ip().to_canonical();
    if let Ok(asked) = who.parse::<SocketAddr>() {
        return (asked.ip().to_canonical(), asked.port()) == (ip, receiver.port());
    }
    let bare = who.strip_prefix('[').and_then(|who| who.strip_suffix(']')).unwrap_or(who);
    bare.parse::<IpAddr>().is_ok_and(|asked| asked.to_canonical() == ip)
}
