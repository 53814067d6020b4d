//! The sentences for the client's replies, failures and events.
//!
//! They are not safe for a terminal: names, addresses and the server's text are unescaped.

use letschat_core::codes::{FailureCode, LinkEnd};
use letschat_core::conversation::MessageState;
use letschat_core::event::{Event, Trouble, fingerprint};
use letschat_core::failure::{Among, Cancel, Failure, Text, Withdrawal};
use letschat_core::notice::Notice;
use letschat_core::session::Reply;
use letschat_protocol::dialogue::Closing;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;
use serde::Serialize;

pub(crate) mod devices;
pub mod files;
pub(crate) mod groups;
pub(crate) mod history;
mod states;

pub use states::mark;
pub(crate) use states::message_state;

/// An event for programs, with its sentence if it has one.
#[derive(Debug, Serialize)]
pub struct WithMessage<'a> {
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl<'a> From<&'a Event> for WithMessage<'a> {
    fn from(event: &'a Event) -> WithMessage<'a> {
        WithMessage { event, message: message(event) }
    }
}

/// A reply for programs, with its sentence if it has one.
#[derive(Debug, Serialize)]
pub struct ReplyWithMessage<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(flatten)]
    reply: &'a Reply,
}

impl<'a> From<&'a Reply> for ReplyWithMessage<'a> {
    fn from(reply: &'a Reply) -> ReplyWithMessage<'a> {
        ReplyWithMessage { message: self::reply(reply), reply }
    }
}

/// Returns the `message` of a reply, if it has one that is not a field.
pub fn reply(reply: &Reply) -> Option<String> {
    Some(match reply {
        Reply::SignedUp { username } => {
            format!("The account is made; `/login {username}` comes next.")
        }
        Reply::Trusted { with, fingerprint } => {
            format!(
                "{with} is trusted with the new key {fingerprint}; `/verify {with}` compares it."
            )
        }
        Reply::BlockSet { who, on, changed } => match (on, changed) {
            (true, true) => format!("{who} is blocked; `/block {who} off` takes it back."),
            (true, false) => format!("{who} was blocked already."),
            (false, true) => format!("{who} is no longer blocked."),
            (false, false) => format!("{who} was not blocked."),
        },
        // The message itself is shown.
        Reply::Sent { state: MessageState::Sent, .. } => return None,
        Reply::Sent { to, state, code, file: Some(file), .. } => {
            states::state_of(&format!("offer of {}", file.name), to, *state, *code)
        }
        Reply::Sent { to, state, code, .. } => message_state(to, *state, *code),
        Reply::FileWanted { name, .. } => {
            format!(
                "{name} is fetched as soon as the other side is reached; `/files` shows how far it is."
            )
        }
        Reply::FileCancelled { name, state, .. } => match *state {
            "stopped" => format!("{name} is not fetched any more; it is still offered."),
            "forgotten" => format!("The offer of {name} is forgotten."),
            _ => format!("{name} is not offered any more."),
        },
        reply => return devices::replied(reply).or_else(|| history::replied(reply)),
    })
}

/// Returns the `message` of an event, if it has one.
pub fn message(event: &Event) -> Option<String> {
    match event {
        Event::Disconnected { why, .. } => Some(failure(why)),
        Event::Retrying { why, in_ms, .. } => {
            let why = why.as_ref().map(|why| failure(why) + " ").unwrap_or_default();
            let seconds = in_ms.div_ceil(1_000);
            Some(format!("{why}Trying again in {seconds} s; `/cancel` stops that."))
        }
        Event::Notice { notice, .. } => Some(noticed(notice)),
        Event::Error { trouble, .. } => Some(in_trouble(trouble)),
        Event::MessageState { conversation, state, code, is_news: true, .. } => {
            Some(message_state(&conversation.to_string(), *state, *code))
        }
        event => {
            devices::event(event).or_else(|| groups::event(event)).or_else(|| files::event(event))
        }
    }
}

fn noticed(notice: &Notice) -> String {
    match notice {
        Notice::ServerKeyPinned { server, fingerprint } => format!(
            "The server {server} is new here. From now on only this key is accepted there: {} \
             (`/status` shows all of it). Its operator can tell you whether it is the right one.",
            short_key(&fingerprint.to_string())
        ),
        Notice::ServerKnown { server, known_as } => {
            format!("The server {server} is the one that you know as {known_as}.")
        }
        Notice::ServerSays(text) => format!("Server: {text}"),
        Notice::AlreadyLoggedIn(own) => format!("You are logged in as {own} already."),
        Notice::GroupChangeLost(group, who) => format!(
            "{group}: another of your devices was first, and what you decided about {who} can't be done any more."
        ),
        Notice::Ringing(who) => format!("{who} is being asked; `/cancel` withdraws it."),
        Notice::ChatOpen(who) => format!("The chat with {who} is open already."),
        Notice::CurrentChat(who) => format!("What you type goes to {who} now."),
        Notice::EventsDropped { count } => format!(
            "{count} events were dropped, since nobody read them. `/status` and `/list` show how \
             things stand."
        ),
        Notice::PositionLost(why) => why.clone(),
        Notice::MessagesMissing { from, count } => format!(
            "Messages of {from} before the next one have not arrived, or were given up: {count}. {from} can send them again."
        ),
        Notice::MailRefused { from, why } => {
            format!("A message of {from} can't be shown and was dropped: {why}.")
        }
        Notice::NewerVersion(from) => {
            format!("{from} has sent something that needs a newer version of this client.")
        }
        Notice::ClientKeyChanged(who) => {
            format!("Client {who} has another key than before; `/trust {who}` if you know why.")
        }
        Notice::PrekeyRefused => {
            "Nobody new can write to you: the clock of this machine differs from the server's \
                                  by days. Set it right, then log in again."
                .into()
        }
        notice => devices::noticed(notice).or_else(|| history::noticed(notice)).unwrap_or_default(),
    }
}

fn in_trouble(trouble: &Trouble) -> String {
    match trouble {
        // These sentences name the next command themselves.
        Trouble::LoginEnded {
            why:
                why @ (Failure::KeyRefused(_)
                | Failure::ServerKeyChanged { .. }
                | Failure::ServerKeyUnknown { .. }),
            ..
        } => failure(why),
        Trouble::LoginEnded { why, told, username } => {
            let why = if *told { String::new() } else { failure(why) + " " };
            let name = username.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            format!("{why}`/login{name}` tries again.")
        }
        Trouble::NotSaved { folder, why } => format!(
            "What should be remembered could not be written below {folder}: {why}. \
             Make room there; until then it is lost when the client ends."
        ),
    }
}

/// Returns a sentence that says what happened and what to do. The longer sentences follow this table.
pub fn failure(failure: &Failure) -> String {
    let constant = match failure {
        Failure::Refused { code: FailureCode::UnknownUser, .. } => {
            "Nobody has that name here; nothing was sent."
        }
        Failure::Refused { said, choices, .. } => return refused(said, choices),
        Failure::LinkEnded(end) => link_ended(*end),
        Failure::Unreached { server, detail, .. } => {
            return format!("Can't reach {server}: {detail}.");
        }
        Failure::Unanswered(why) => return self::failure(why) + " The answer did not come.",
        Failure::NotUnderstood => {
            "The server's answer was not understood; it may be of another version."
        }
        Failure::EndlessList => {
            "The server's list is invalid: it is not in order, or does not end."
        }
        Failure::OtherAccount => {
            "The server's answer names another account than the one asked for; do not trust this server."
        }
        Failure::OtherPerson => "The server introduced another person than the one you asked for.",
        Failure::ServerKeyChanged { server, known, found } => {
            let [known, new] = [known, found].map(|key| short_key(&key.to_string()));
            return format!(
                "The server's key is not the expected one: expected {known}, found {new}. Somebody may sit \
                 in between. If its operator confirms the new one: `quit`, then `letschat {server}#{found}`"
            );
        }
        Failure::ServerKeyUnknown { server, found } => {
            return format!(
                "This server's key has not been seen before: {found}. If its operator confirms \
                 it: `letschat {server}#{found}`, or use --accept-new-server."
            );
        }
        Failure::Folder(why) => return sentence(why),

        Failure::NotLoggedIn => "You are not logged in; `/login NAME` first.",
        Failure::AlreadyLoggedIn => "You are logged in already; `/leave` first.",
        Failure::AlreadyLoggedInAs(own) => {
            return format!("You are {own} here; `/leave` that, and end its chats, first.");
        }
        Failure::AlreadyLoggingIn => "Another login is under way; `/cancel` stops it.",
        Failure::TooManyWaiting => "Too many requests wait for the login already.",
        Failure::NoAccount => "There is no account on this machine yet; say which: `/login NAME`.",
        Failure::WhichAccount(names) => {
            return format!("Which account? `/login NAME`, one of: {}.", joined(names));
        }
        Failure::AccountInUse(name) => {
            return format!("Another client on this machine uses the account {name}.");
        }
        Failure::NoKey(name) => {
            return format!(
                "This machine has no key of {name}'s for this server; `/login {name}` asks for the password."
            );
        }
        Failure::KeyRefused(name) => return key_refused(name.as_ref()),
        Failure::LoggedInElsewhere(name) => {
            let name = name.as_ref().map_or("NAME", Username::as_str);
            return format!(
                "{name} is logged in elsewhere; `/login {name} take` replaces that session."
            );
        }
        Failure::NameInvalid(why) => return sentence(&why.to_string()),
        Failure::PasswordWithLineEnd => "A password has no line ends.",

        Failure::Cancelled(how) => cancelled(*how),
        Failure::Quitting => "The client is about to end.",
        Failure::Ended => "The client has ended.",

        Failure::Nobody { among, named } => return nobody(*among, *named),
        Failure::WhichOne(names) => return format!("Which one? {}", names.join(", ")),
        Failure::NothingToCancel => "There is nothing to cancel.",
        Failure::WhomToCall => "Say whom: a username, an address, or an address with a port.",
        Failure::WhomToBlock => "Say whom by username; an address can be somebody else's tomorrow.",
        Failure::CallsOneself | Failure::BlocksOneself | Failure::WritesToOneself => "That is you.",
        Failure::WhomToWrite => "Say to whom: a username, or `everyone`.",
        Failure::KeysInvalid(who) => {
            return format!(
                "The server's keys of {who} are not signed by {who}; do not trust this server."
            );
        }
        Failure::IdTaken(id) => {
            return format!(
                "The server does not take the ID {id}: it belongs to another client, or this is no classroom."
            );
        }
        Failure::WithoutServer => {
            "No server is reached. Messages go straight to people with whom you have chatted; others wait on \
             this machine."
        }
        Failure::NobodyToWrite => "No class is joined yet; wait, or join by `/login ID`.",
        Failure::OutboxFull => "Too many messages wait on this machine already; it was not added.",
        Failure::TooManyBlocked { limit } => {
            return format!("You block {limit} already; `/block NAME off` makes room.");
        }
        Failure::Blocked(who) => {
            return format!("You have blocked {who}; `/block {who} off` takes it back.");
        }
        Failure::NotListed(who) => {
            return format!(
                "{who} is not in the list. If {who} isn't here, the server will disconnect you. \
                 To try anyway: `/connect {who} force`"
            );
        }
        Failure::KeyChanged { who, known, new, trusting } => {
            return key_changed(who, known.as_ref(), new, *trusting);
        }
        Failure::UnknownPeer(who) => {
            return format!("No key of {who} is known yet; `/connect {who}` opens a chat first.");
        }
        Failure::NothingToTrust(who) => {
            return format!("No changed key of {who} is waiting to be trusted.");
        }

        Failure::Denied(who) => return format!("{who} said no."),
        Failure::NoAnswer(who) => return format!("{who} did not answer."),
        Failure::PeerBusy(who) => {
            return format!("{who} takes no request now; try again in a while.");
        }
        Failure::NotIntroduced(who) => {
            return format!("{who} does not know of you; try again.");
        }
        Failure::Unreachable(who) => {
            return format!(
                "{who} can't be reached, neither directly nor through the server. `/send {who} TEXT` writes to them all the same."
            );
        }
        Failure::WrongKey(who) => {
            return format!(
                "Somebody else answers at {who}'s address, and the server could not bring you together; nothing was sent."
            );
        }
        Failure::HungUp(who) | Failure::Withdrawn(Withdrawal::HungUp(who)) => {
            return format!("{who} hung up.");
        }
        Failure::OtherLanguage(who) => {
            return format!("{who}'s client uses another version of the protocol.");
        }
        Failure::OutOfTurn => "The other side spoke out of turn.",
        Failure::Withdrawn(Withdrawal::CalledAnew) => "They sent a new request; approve that one.",
        Failure::Withdrawn(Withdrawal::Over) => "The request is over.",

        Failure::ChatOpen(names) => {
            return format!(
                "Nothing was done, since chats are open: {}. `/disconnect NAME` ends one; `/detach` leaves \
                 the server and keeps them.",
                joined(names)
            );
        }
        Failure::NoChatWith(who) => {
            return format!(
                "You have no chat with {who}; `/connect {who}` asks for one, `/send {who} TEXT` writes."
            );
        }
        Failure::NoChat => {
            "No chat is open; `/connect NAME` asks for one, `/send NAME TEXT` writes."
        }
        Failure::NoConversation => "Say to whom: `/switch NAME` lets your text go there.",
        Failure::ChatEnding => "That chat is about to end.",
        Failure::TooManyUnconfirmed => {
            "Too many messages wait to be confirmed; say it again in a moment."
        }
        Failure::TextTooLong { text: Text::Message, limit, bytes } => {
            return format!("A message has at most {limit} bytes; this has {bytes}.");
        }
        Failure::TextTooLong { text: Text::Broadcast, limit, bytes } => {
            return format!("A broadcast has at most {limit} bytes; this has {bytes}.");
        }
        Failure::Blank(Text::Message) => "There is nothing to read in that message.",
        Failure::Blank(Text::Broadcast) => "There is nothing to read in that broadcast.",
        Failure::ControlCharacters => {
            "A broadcast is one line of text, without control characters."
        }
        failure => {
            return devices::failed(failure)
                .or_else(|| groups::failed(failure))
                .or_else(|| files::failed(failure))
                .or_else(|| history::failed(failure))
                .unwrap_or_default();
        }
    };
    constant.to_owned()
}

fn link_ended(end: LinkEnd) -> &'static str {
    match end {
        LinkEnd::Lost => "The connection to the server was lost.",
        LinkEnd::NoServer => "No server answers there.",
        LinkEnd::Closed(Closing::Idle) => {
            "You were idle for too long. Your next request to the server logs in again."
        }
        LinkEnd::Closed(closing) => closing.sentence(),
    }
}

fn cancelled(how: Cancel) -> &'static str {
    match how {
        Cancel::LeftServer => "You left the server.",
        Cancel::Withdrawn => "You withdrew the request.",
        Cancel::StoppedTrying => "You stopped the attempts.",
        Cancel::Blocked => "You have blocked them.",
        Cancel::Quitting => "The client is about to end.",
    }
}

fn refused(said: &str, choices: &[String]) -> String {
    let said = sentence(said);
    match choices {
        [] => said,
        choices => format!("{said} There are: {}.", choices.join("; ")),
    }
}

fn key_refused(name: Option<&Username>) -> String {
    let name = name.map_or("NAME", Username::as_str);
    format!(
        "The server does not take this machine's key for {name} (any more); `/login {name}` asks for \
         the password."
    )
}

fn nobody(among: Among, named: bool) -> String {
    let does = match among {
        Among::Asking => "asks you for anything",
        Among::Called => "is being asked for a chat",
        Among::Chatting => "has a chat open with you",
    };
    let which = if named { " by that name" } else { "" };
    format!("Nobody {does}{which}.")
}

fn key_changed(
    who: &Username,
    known: Option<&PublicKey>,
    new: &PublicKey,
    trusting: bool,
) -> String {
    if known == Some(new) {
        return format!(
            "{who} has given up all other devices, and begun anew with one that you know: {}. Ask them by \
             another way; `/trust {who}` accepts that.",
            fingerprint(new)
        );
    }
    let known = known.map_or_else(|| "none".into(), fingerprint);
    let keys = format!("Known key: {known}. New key: {}.", fingerprint(new));
    match trusting {
        true => format!(
            "Nothing is trusted yet: the key offered for {who} may not be the one that you \
             expect. {keys} Ask them by another way; `/trust {who}` again accepts the new key."
        ),
        false => format!(
            "{who}'s key is not the one you know: it may be a new machine of theirs, or somebody \
             else. {keys} Ask them by another way; `/trust {who}` accepts the new key."
        ),
    }
}

fn joined(names: &[Username]) -> String {
    let names: Vec<&str> = names.iter().map(Username::as_str).collect();
    names.join(", ")
}

/// Returns the first 16 digits of a key in groups of four. `status` and `verify` show all of it.
pub fn short_key(fingerprint: &str) -> String {
    let digits: Vec<char> = Printable(fingerprint).to_string().chars().take(16).collect();
    let fours: Vec<String> = digits.chunks(4).map(String::from_iter).collect();
    fours.join(" ")
}

/// Makes a sentence: adds an initial capital and a final full stop.
pub(crate) fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(|first| first.to_uppercase().collect::<String>());
    let mut sentence = first.unwrap_or_default() + chars.as_str();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests;
