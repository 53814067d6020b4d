//! Requests of a logged-in user to the server, and the answers.

use std::net::{IpAddr, SocketAddr};

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Closing, Introduction, Listed, Reply as ServerReply, Request as ServerRequest, Secret,
};
use letschat_protocol::limits::MAX_BROADCAST_BYTES;
use letschat_protocol::printable::{has_control, is_blank};
use letschat_protocol::username::Username;

use super::{Expected, ListFor, ServerSide};
use crate::codes::LinkEnd;
use crate::conversation::{MessageState, Via};
use crate::event::{Event, format_rfc3339};
use crate::failure::{Failure, Text};
use crate::session::context::Context;
use crate::session::{Effect, NoMeeting, Reply, Request, RequestId, Session, User};

/// The limits of a list: its names, its pages and its time. A server whose list exceeds them is not
/// followed any further.
const MAX_LISTED: usize = 100_000;
const MAX_PAGES: usize = 1_000;
const LIST_MS: u64 = 120_000;

/// The pages of a list that have arrived.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) struct Pages {
    begun_ms: u64,
    count: usize,
    listed: Vec<Listed>,
    /// The name after which the last page was requested. Names are sorted, so it only grows.
    after: Option<Username>,
}

impl Pages {
    /// Returns true if another page may be requested.
    fn may_go_on(&self, now_ms: u64) -> bool {
        self.count < MAX_PAGES
            && self.listed.len() < MAX_LISTED
            && now_ms.saturating_sub(self.begun_ms) < LIST_MS
    }
}

impl Request {
    /// Returns true for a request that is the user's activity, but that the server does not see.
    pub(in crate::session) fn is_local_activity(&self) -> bool {
        match self {
            Request::Approve(_)
            | Request::Deny(_)
            | Request::Cancel(_)
            | Request::Say { .. }
            | Request::Switch(_)
            | Request::Disconnect(_)
            | Request::Verify { .. }
            | Request::Trust(_)
            | Request::Block { .. }
            | Request::Blocked
            | Request::SendFile { .. }
            | Request::GetFile { .. }
            | Request::CancelFile(_)
            | Request::Files
            | Request::History(_)
            | Request::Status
            | Request::Devices
            | Request::Group { .. }
            | Request::Groups => true,
            Request::Reach
            | Request::SignUp { .. }
            | Request::Login { .. }
            | Request::ChangePassword { .. }
            | Request::Leave
            | Request::Detach
            | Request::List
            | Request::Watch(_)
            | Request::Connect { .. }
            | Request::Broadcast(_)
            | Request::Send { .. }
            | Request::ApproveDevice(_)
            | Request::RemoveDevice(_)
            | Request::RecoverDevices(_)
            | Request::Quit => false,
        }
    }

    /// Returns true for a request to the server alone.
    pub(in crate::session) fn is_for_server(&self) -> bool {
        matches!(
            self,
            Request::List
                | Request::Watch(_)
                | Request::ChangePassword { .. }
                | Request::Broadcast(_)
                | Request::ApproveDevice(_)
                | Request::RemoveDevice(_)
                | Request::RecoverDevices(_)
        )
    }
}

impl ServerSide {
    pub(in crate::session) fn ask_list(&mut self, cx: &mut Context, what_for: ListFor) {
        let pages = Pages { begun_ms: cx.now_ms(), count: 0, listed: Vec::new(), after: None };
        self.ask(cx, ServerRequest::List { after: None }, Expected::List(what_for, pages));
    }

    pub(in crate::session) fn watch(&mut self, cx: &mut Context, id: RequestId, on: bool) {
        self.watching = on;
        self.ask(cx, ServerRequest::Watch(on), Expected::Watch(Some(id)));
    }

    /// Subscribes to arrivals and departures again, after a reconnection.
    pub(super) fn watch_again(&mut self, cx: &mut Context) {
        if self.watching {
            self.ask(cx, ServerRequest::Watch(true), Expected::Watch(None));
        }
    }

    /// Asks the server to change the password. The server judges the new one, as at a sign-up.
    pub(in crate::session) fn change_password(
        &mut self,
        cx: &mut Context,
        id: RequestId,
        password: Secret,
        (new, repeated): (Secret, Secret),
    ) {
        if [&password, &new, &repeated].iter().any(|secret| secret.0.contains('\n')) {
            return cx.fail(id, Failure::PasswordWithLineEnd);
        }
        let request = ServerRequest::ChangePassword { password, new, repeated };
        self.ask(cx, request, Expected::ChangePassword(id));
    }

    pub(in crate::session) fn broadcast(&mut self, cx: &mut Context, id: RequestId, text: String) {
        if let Err(why) = check_broadcast(&text) {
            return cx.fail(id, why);
        }
        self.ask(
            cx,
            ServerRequest::Broadcast { text: text.clone() },
            Expected::Broadcast(id, text),
        );
    }

    /// Takes a page of the list, and requests the next if there is one. Returns the purpose of a
    /// complete list.
    fn take_page(
        &mut self,
        cx: &mut Context,
        what_for: ListFor,
        mut pages: Pages,
        reply: &ServerReply,
    ) -> Option<ListFor> {
        let (last, page) = match reply.lines.split_last() {
            Some((last, page)) => (last.as_str(), page),
            None => ("", &[][..]),
        };
        let before = pages.listed.len();
        pages.listed.extend(page.iter().filter_map(|line| Listed::parse(line)));
        let after = last.split(' ').skip_while(|word| *word != "after").nth(1);
        let Some(after) = after.and_then(|name| name.parse::<Username>().ok()) else {
            self.last_list = pages.listed;
            let people = self.last_list.iter().map(|listed| listed.username.clone());
            cx.tell(Event::People(people.collect()));
            return Some(what_for);
        };
        let advances = pages.listed.len() > before && pages.after.as_ref() < Some(&after);
        pages.count += 1;
        if !advances || !pages.may_go_on(cx.now_ms()) {
            let (ListFor::User(id) | ListFor::Connect(id, ..)) = what_for;
            cx.fail(id, Failure::EndlessList);
            return None;
        }
        pages.after = Some(after.clone());
        let request = ServerRequest::List { after: Some(after) };
        self.ask(cx, request, Expected::List(what_for, pages));
        None
    }

    /// Returns true if these words name a user in the last list other than the client's own.
    pub(in crate::session) fn has_listed(&self, own: Option<&Username>, who: &str) -> bool {
        let receiver: Option<SocketAddr> = who.parse().ok();
        let address: Option<IpAddr> = who.parse().ok();
        let name: Option<Username> = who.parse().ok();
        let is_meant = |listed: &Listed| match (receiver, address) {
            (Some(receiver), _) => {
                listed.address == receiver.ip() && listed.port == Some(receiver.port())
            }
            (None, Some(address)) => listed.address == address,
            (None, None) => Some(&listed.username) == name.as_ref(),
        };
        self.last_list.iter().any(|listed| Some(&listed.username) != own && is_meant(listed))
    }

    /// Returns true if these words name the user, as far as is known.
    pub(in crate::session) fn names_oneself(
        &self,
        cx: &Context,
        own: Option<&Username>,
        who: &str,
    ) -> bool {
        let by_name = who.parse().is_ok_and(|name: Username| Some(&name) == own);
        let by_receiver = who.parse().is_ok_and(|receiver: SocketAddr| {
            Some(receiver.ip()) == self.own_address && receiver.port() == cx.config().port
        });
        by_name || by_receiver
    }
}

impl Session {
    /// Handles the server's reply to a request of a logged-in user.
    pub(super) fn asked_and_answered(&mut self, what: Expected, reply: &ServerReply) {
        if reply.code.is_success() {
            return self.granted(what, reply);
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

    fn granted(&mut self, what: Expected, reply: &ServerReply) {
        let introduction = || Introduction::parse(reply.last_line());
        match what {
            Expected::List(what_for, pages) => {
                if let Some(what_for) = self.server.take_page(&mut self.cx, what_for, pages, reply)
                {
                    self.listed(what_for);
                }
            }
            Expected::Watch(Some(id)) | Expected::ChangePassword(id) => {
                let message = reply.last_line().to_owned();
                self.cx.answer(id, Reply::Said { message });
            }
            Expected::Broadcast(id, _) => {
                let result = match (reply.field(0), reply.field(1)) {
                    (Some(number), Some(time_ms)) => Ok(Reply::Broadcast {
                        number,
                        time: format_rfc3339(time_ms),
                        message_id: self.broadcasts.message_id(number),
                        state: MessageState::Sent,
                        via: Via::Server,
                    }),
                    _ => Err(Failure::NotUnderstood),
                };
                self.cx.reply(id, result);
            }
            Expected::Connect(who) => match introduction() {
                Some(introduction) => self.granted_connect(&who, introduction),
                None => self.refuse_connect(&who, &Failure::NotUnderstood),
            },
            Expected::Locate(id) => self.device_located(&id, introduction()),
            Expected::Meet(dial) => {
                let answer = reply.field(0).ok_or(NoMeeting::Never);
                self.cx.push(Effect::Meet { dial, answer });
            }
            Expected::ConnectAddress(id, who, switch) => match introduction() {
                Some(introduction) => self.granted_address(id, &who, introduction, switch),
                None => self.cx.fail(id, Failure::NotUnderstood),
            },
            _ => {}
        }
    }

    /// Handles a complete list.
    fn listed(&mut self, what_for: ListFor) {
        match what_for {
            ListFor::User(id) => {
                let users = self.server.last_list.iter().map(User::from).collect();
                self.cx.answer(id, Reply::Users { users });
            }
            ListFor::Connect(id, who, switch) => {
                match self.server.has_listed(self.account.name(), &who) {
                    true => self.ask_connect(id, &who, switch),
                    false => self.cx.fail(id, Failure::NotListed(who)),
                }
            }
        }
    }

    /// Fails a request to the server.
    pub(super) fn fail_expected(&mut self, what: Expected, why: Failure) {
        match what {
            // The server has taken nothing that it did not answer before it said goodbye.
            Expected::Broadcast(id, text) if self.cx.config().classroom && is_farewell(&why) => {
                self.enqueue_for_everyone(id, &text);
            }
            Expected::SignUp(id, _)
            | Expected::ChangePassword(id)
            | Expected::Broadcast(id, _)
            | Expected::ConnectAddress(id, ..)
            | Expected::List(ListFor::User(id) | ListFor::Connect(id, ..), _)
            | Expected::OwnDevices(id)
            | Expected::Watch(Some(id)) => self.cx.fail(id, why),
            Expected::Connect(who) => self.refuse_connect(&who, &why),
            Expected::Locate(id) => self.device_located(&id, None),
            Expected::Meet(dial) => self.meeting_refused(dial, &why),
            Expected::Greeting
            | Expected::Hello
            | Expected::Login
            | Expected::Watch(None)
            | Expected::Replay
            | Expected::Ping
            | Expected::Active
            | Expected::Prekey
            | Expected::Keys
            | Expected::Devices(_)
            | Expected::Enrol
            | Expected::ListChange
            | Expected::Post
            | Expected::Acknowledged
            | Expected::Forgotten => {}
        }
    }
}

/// Fails if a text can't be a broadcast.
pub(in crate::session) fn check_broadcast(text: &str) -> Result<(), Failure> {
    if text.len() > MAX_BROADCAST_BYTES {
        let (limit, bytes) = (MAX_BROADCAST_BYTES, text.len());
        return Err(Failure::TextTooLong { text: Text::Broadcast, limit, bytes });
    }
    if is_blank(text) {
        return Err(Failure::Blank(Text::Broadcast));
    }
    if has_control(text) {
        return Err(Failure::ControlCharacters);
    }
    Ok(())
}

/// Returns true if a request is unanswered since the server is stopping.
fn is_farewell(why: &Failure) -> bool {
    let terminated = Failure::LinkEnded(LinkEnd::Closed(Closing::Terminated));
    matches!(why, Failure::Unanswered(why) if **why == terminated)
}

/// Returns true if this receiver is at the address that the user gave, with or without a port.
pub(in crate::session) fn is_at(who: &str, receiver: SocketAddr) -> bool {
    let ip = receiver.ip().to_canonical();
    if let Ok(asked) = who.parse::<SocketAddr>() {
        return (asked.ip().to_canonical(), asked.port()) == (ip, receiver.port());
    }
    let bare = who.strip_prefix('[').and_then(|who| who.strip_suffix(']')).unwrap_or(who);
    bare.parse::<IpAddr>().is_ok_and(|asked| asked.to_canonical() == ip)
}
