//! Replies, failures and events as text for people.
//!
//! All output passes through [`Printable`], whatever its origin. It contains no control characters except
//! the line ends that this module adds.

use std::fmt::Write as _;

use chrono::{DateTime, Local, TimeZone as _};
use letschat_protocol::printable::Printable;
use letschat_protocol::rows::moved_in;
use letschat_protocol::username::Username;

use crate::failure::Failure;
use crate::text;
use letschat_core::codes::{ChatEnd, LinkEnd, RequestEnd};
use letschat_core::conversation::{ConversationId, LinkPath};
use letschat_core::event::{Event, KeyState, RequestKind};
use letschat_core::session::Typing;
use letschat_core::session::{ChatStatus, FoundMessage, Reply, Status, User};
use letschat_core::view::SessionState;

/// The beginning of each further line of a message, so that none looks like a line of its own.
pub const NEXT_LINE: &str = "\n  | ";

/// Formats a reply; `None` if an event says the same.
pub fn reply(reply: &Reply) -> Option<String> {
    Some(match reply {
        Reply::Done {} => "Done.".into(),
        Reply::LoggedIn { .. }
        | Reply::Chat { .. }
        | Reply::Broadcast { .. }
        | Reply::GroupChanged(_) => return None,
        Reply::Said { message } => lines(message),
        Reply::SignedUp { .. }
        | Reply::Trusted { .. }
        | Reply::BlockSet { .. }
        | Reply::DeviceAdded { .. }
        | Reply::DeviceRemoved { .. }
        | Reply::DevicesRecovered {}
        | Reply::History(_)
        | Reply::Forgotten { .. }
        | Reply::PassphraseSet { .. }
        | Reply::Sent { .. } => lines(&text::reply(reply)?),
        Reply::Devices { devices, waiting, code } => {
            lines(&text::devices::table(devices, waiting, code.as_deref()))
        }
        Reply::Group(group) => lines(&text::groups::table(std::slice::from_ref(group))),
        Reply::Groups { groups } => lines(&text::groups::table(groups)),
        Reply::FileWanted { .. } | Reply::FileCancelled { .. } => lines(&text::reply(reply)?),
        Reply::Files { files } => lines(&text::files::table(files)),
        Reply::Found { messages, .. } => found(messages, text::reply(reply)),
        Reply::Users { users } => user_table(users),
        Reply::Safety { with, safety_number, fingerprint, verified } => {
            let with = Printable(with);
            let advice = match verified {
                true => format!("You have compared it: {with} is verified."),
                false => format!("If {with} reads the same to you: `/verify {with} matches`."),
            };
            format!(
                "Safety number with {with}: {}\n{advice} Key: {}",
                Printable(safety_number),
                Printable(fingerprint)
            )
        }
        Reply::Blocked { blocked } if blocked.is_empty() => "You block nobody.".into(),
        Reply::Blocked { blocked } => {
            format!("You block: {}.", Printable(&blocked.join(", ")))
        }
        Reply::Status(status) => status_lines(status),
    })
}

/// Returns the lines of messages from the history, and a sentence about them.
fn found(messages: &[FoundMessage], sentence: Option<String>) -> String {
    let line = |message: &FoundMessage| {
        let FoundMessage { conversation, from, own, text, file, time_ms, .. } = message;
        let from = if *own { "you" } else { from };
        let file = if *file { "the file " } else { "" };
        let (time, text) = (date_and_time(*time_ms), indented(text));
        format!("[{time}] {conversation}, {}: {file}{text}", Printable(from))
    };
    messages.iter().map(line).chain(sentence).collect::<Vec<_>>().join("\n")
}

/// Formats a failure. A script's error has several lines.
pub fn failure(failure: &Failure) -> String {
    moved_in(&lines(&failure.message))
}

/// Formats an event and its effect on the open chats. `None` means that people need no line, as for an own
/// message and for its state when it is lost.
pub fn event(event: &Event, session: &SessionState) -> Option<String> {
    if session.classroom
        && let Some(shown) = in_classroom(event)
    {
        return shown;
    }
    match event {
        Event::Message { own: true, device: Some(_), .. } => own_message(event, session),
        Event::Message { own: true, .. }
        | Event::MessageState { is_news: false, .. }
        | Event::FileProgress { .. }
        | Event::State(_)
        | Event::People(_)
        | Event::Contacts(_)
        | Event::History(_) => None,
        Event::Disconnected { .. } if !session.chats.is_empty() => {
            Some(format!("{} Your chats continue.", line(event)))
        }
        Event::ChatClosed { with, .. } => {
            Some(line(event) + &other_chat(with, session).unwrap_or_default())
        }
        _ => Some(line(event)),
    }
}

/// Formats an event as the clients of a classroom see it: talk and little else. Returns `None` for one that looks the
/// same everywhere.
fn in_classroom(event: &Event) -> Option<Option<String>> {
    Some(match event {
        Event::Message { own: true, .. } | Event::Broadcast { own: true, .. } => None,
        Event::Broadcast { from, text, .. }
        | Event::Message { from, text, conversation: ConversationId::Everyone, .. } => {
            Some(client_says(from, text))
        }
        Event::Connected { returned, .. } => returned.then(|| "Server: initiated".into()),
        // The client goes on without it, and says when it is back.
        Event::Retrying { reason: LinkEnd::Lost | LinkEnd::Closed(_), .. }
        | Event::LoggedIn { .. } => None,
        _ => return None,
    })
}

fn client_says(who: &Username, text: &str) -> String {
    format!("Client {who}: {}", indented(text))
}

/// Offers another chat after one has closed, unless text goes to another already.
fn other_chat(closed: &Username, session: &SessionState) -> Option<String> {
    if matches!(&session.typing, Typing::Chat(current) if current != closed) {
        return None;
    }
    let other = session.chats.keys().find(|other| *other != closed)?;
    Some(format!("\nYour chat with {other} is still open: `/switch {other}` goes there."))
}

/// Says how to go to a chat that has opened while what is typed goes elsewhere.
pub fn way_to(with: &str, typing: &Typing) -> Option<String> {
    let (name, with) = (with, Printable(with));
    match typing {
        Typing::Chat(current) if current.as_str() == name => None,
        Typing::Commands => None,
        typing => typing.conversation().map(|current| {
            format!("What you type still goes to {current}; `/switch {with}` goes to {with}.")
        }),
    }
}

/// Returns the line of an own message, for a front end that shows them: `you → bob: yes`.
pub fn own_message(event: &Event, session: &SessionState) -> Option<String> {
    match event {
        Event::Broadcast { own: true, from, text, .. }
        | Event::Message {
            own: true, from, text, conversation: ConversationId::Everyone, ..
        } if session.classroom => Some(client_says(from, text)),
        Event::Message { own: true, conversation, text, device, .. } => {
            let from = device.as_ref().map(|device| format!(" (from {device})"));
            let from = from.unwrap_or_default();
            Some(format!("you{from} → {conversation}: {}", indented(text)))
        }
        _ => None,
    }
}

fn line(event: &Event) -> String {
    match event {
        Event::Connected { server, fingerprint, .. } => {
            format!("Connected to {}, key {}.", Printable(server), text::short_key(fingerprint))
        }
        Event::Disconnected { .. }
        | Event::Retrying { .. }
        | Event::Notice { .. }
        | Event::DeviceWaiting { .. }
        | Event::DeviceChanged { .. }
        | Event::GroupChanged { .. }
        | Event::FileOffered { .. }
        | Event::FileDone { .. }
        | Event::FileFailed { .. }
        | Event::Error { .. } => Printable(&text::message(event).unwrap_or_default()).to_string(),
        Event::LoggedIn { username, by } => format!("Logged in as {username}, by {by}."),
        Event::Initiated { username } => format!("Client {username}: initiated"),
        Event::LeftServer { chats: 0 } => "Left the server.".into(),
        Event::LeftServer { chats } => format!("Left the server; open chats: {chats}."),
        Event::Joined { usernames, count } => crowd(usernames, *count, "came"),
        Event::Left { usernames, count } => crowd(usernames, *count, "left"),
        Event::Broadcast { from, text, time_ms, own, .. } => {
            let own = if *own { " (you)" } else { "" };
            format!("[{}] {from}{own} to all: {}", date_and_time(*time_ms), Printable(text))
        }
        _ => chat_event(event),
    }
}

fn chat_event(event: &Event) -> String {
    match event {
        Event::Request { from, kind: RequestKind::Message, fingerprint, key, .. } => format!(
            "{from} has written to you. Key {}, {}. `/approve {from}` shows it; or `/deny {from}`?",
            text::short_key(fingerprint),
            key_state(*key)
        ),
        Event::Request { from, group: Some(group), fingerprint, key, .. } => {
            let key = format!("{}, {}", text::short_key(fingerprint), key_state(*key));
            text::groups::invitation(from, &group.to_string(), &key)
        }
        Event::Request { from, address, fingerprint, key, .. } => format!(
            "{from} at {} asks for a chat. Key {}, {}. `/approve {from}` or `/deny {from}`?",
            Printable(address.as_deref().unwrap_or_default()),
            text::short_key(fingerprint),
            key_state(*key)
        ),
        Event::MessageState { conversation, state, code, .. } => {
            text::message_state(&conversation.to_string(), *state, *code)
        }
        Event::RequestEnded { from, reason: RequestEnd::Withdrawn } => {
            format!("{from} withdrew the request.")
        }
        Event::RequestEnded { from, reason: RequestEnd::NoAnswer } => {
            format!("The request of {from} has ended without an answer.")
        }
        Event::ChatOpened { with, fingerprint, key, link } => format!(
            "Chat with {with} is open{}. Key {}, {}.",
            by(*link),
            text::short_key(fingerprint),
            key_state(*key)
        ),
        Event::ChatInterrupted { with } => {
            format!("The link to {with} broke; it is being taken up again.")
        }
        Event::ChatResumed { with, link } => {
            format!("The link to {with} is whole again{}.", by(*link))
        }
        Event::ChatClosed { with, reason, undelivered } => closed(with, *reason, undelivered),
        Event::Message { from, text, conversation: group @ ConversationId::Group(_), .. } => {
            format!("{group} {from}: {}", indented(text))
        }
        Event::Message { from, text, .. } => format!("{from}: {}", indented(text)),
        // `event` formats the others.
        _ => String::new(),
    }
}

/// Indents all lines after the first, so that none looks like a line of the client.
fn indented(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| Printable(line).to_string()).collect();
    lines.join(NEXT_LINE)
}

fn closed(with: &Username, reason: ChatEnd, undelivered: &[String]) -> String {
    let mut text = match reason {
        ChatEnd::Ended => format!("Chat with {with} is over."),
        ChatEnd::PeerEnded => format!("{with} has ended the chat."),
        ChatEnd::Replaced => {
            format!("The old chat with {with} is over: a new one takes its place.")
        }
        ChatEnd::Lost => format!("Chat with {with} is over: the link could not be taken up again."),
        ChatEnd::Protocol => format!("Chat with {with} is over: what came was no chat."),
    };
    for message in undelivered {
        // Writing to a String can't fail.
        let _ = write!(text, "\nPerhaps not delivered: {}", Printable(message));
    }
    text
}

fn crowd(usernames: &[Username], count: u64, what: &str) -> String {
    if usernames.is_empty() {
        return format!("{count} {what}.");
    }
    let names: Vec<&str> = usernames.iter().map(Username::as_str).collect();
    format!("{} {what}.", names.join(", "))
}

/// Describes the state of a key.
pub fn key_state(key: KeyState) -> &'static str {
    match key {
        KeyState::New => "not seen before",
        KeyState::Known => "known",
        KeyState::Verified => "verified",
        KeyState::Changed => "CHANGED: this may be somebody else",
    }
}

fn user_table(users: &[User]) -> String {
    let shown: Vec<[String; 3]> = users
        .iter()
        .map(|user| {
            let port = user.port.map_or_else(|| "-".into(), |port| port.to_string());
            [Printable(&user.username).to_string(), Printable(&user.address).to_string(), port]
        })
        .collect();
    let width = |column: usize| shown.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (name_width, address_width) = (width(0), width(1));
    let rows: Vec<String> = shown
        .iter()
        .map(|[name, address, port]| {
            format!("{name:name_width$}  {address:address_width$}  {port}")
        })
        .collect();
    if rows.is_empty() { "Nobody is here.".into() } else { rows.join("\n") }
}

fn status_lines(status: &Status) -> String {
    let mut rows = vec![("Server", status.server.clone())];
    let mut add = |name, value: &Option<String>| {
        rows.extend(value.iter().map(|value| (name, value.clone())));
    };
    add("Its key", &status.server_fingerprint);
    add("State", &Some(status.state.replace('_', " ")));
    add("You are", &status.username);
    add("Your key", &status.fingerprint);
    let unlisted = if status.listed { "" } else { ", not in your list of devices" };
    add("This device", &status.device.as_ref().map(|name| format!("{name}{unlisted}")));
    add("Friends reach you at", &status.address);
    add("Port for peers", &Some(status.port.to_string()));
    add("Broadcasts over", &Some(if status.udp { "UDP" } else { "TCP" }.into()));
    for chat in &status.chats {
        add("Chat", &Some(chat_line(chat)));
    }
    for from in &status.requests {
        add("Asks", &Some(from.clone()));
    }
    let lines: Vec<String> =
        rows.iter().map(|(name, value)| format!("{name}: {}", Printable(value))).collect();
    lines.join("\n")
}

fn chat_line(chat: &ChatStatus) -> String {
    let ChatStatus { with, state, current, unconfirmed, key, link } = chat;
    let current = if *current { ", current" } else { "" };
    let by = link.map(by).unwrap_or_default();
    format!("{with}, {state}{by}{current}, key {}, {unconfirmed} unconfirmed", key_state(*key))
}

/// Names the way of a link if it is not the usual one.
fn by(link: LinkPath) -> &'static str {
    match link {
        LinkPath::Direct => "",
        LinkPath::Relay => ", relayed by the server",
    }
}

/// Makes each line safe for a terminal and keeps the line ends. Only for text of the client itself.
fn lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| Printable(line).to_string()).collect();
    lines.join("\n")
}

/// Returns the local time of day.
pub fn time_of_day(time_ms: u64) -> String {
    local_time(time_ms).format("%H:%M:%S").to_string()
}

/// Returns the local date, as in ISO 8601.
pub fn date(time_ms: u64) -> String {
    local_time(time_ms).format("%Y-%m-%d").to_string()
}

fn date_and_time(time_ms: u64) -> String {
    local_time(time_ms).format("%Y-%m-%d %H:%M:%S").to_string()
}

fn local_time(time_ms: u64) -> DateTime<Local> {
    let time = i64::try_from(time_ms).ok().and_then(|ms| Local.timestamp_millis_opt(ms).single());
    time.unwrap_or_default()
}

#[cfg(test)]
mod tests;
