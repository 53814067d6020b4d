//! The tables of docs/CLIENT.md, checked against the client: commands, replies, events, codes, exit
//! statuses.

use std::collections::{BTreeMap, BTreeSet};

use letschat_commands::commands::TABLE;
use letschat_commands::exit_status;
use letschat_commands::text::{ReplyWithMessage, WithMessage};
use letschat_core::codes::{ChatEnd, FailureCode, LinkEnd, NoticeCode, RequestEnd};
use letschat_core::conversation::{ConversationId, LinkPath, MessageState, Via};
use letschat_core::event::{
    self, DeviceChange, Event, FileShown, GroupChange, KeyState, RequestKind, Trouble,
};
use letschat_core::failure::Failure;
use letschat_core::history::HistoryStatus;
use letschat_core::notice::Notice;
use letschat_core::session::{
    Group, GroupMember, OwnDevice, Reply, SentFile, Status, WaitingDevice,
};
use letschat_protocol::devices::DeviceName;
use letschat_protocol::files::name::FileName;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;
use serde_json::{Map, Value};

use crate::text::{Checked, all_in, quoted, same, table};

pub(crate) fn commands(document: &str) -> Checked {
    let row = |cells: [String; 4]| cells.join(" | ");
    let told = table(document, "| command |").into_iter().map(|cells| cells.join(" | "));
    let code = |word: &&str| format!("`{word}`");
    let list = |words: Vec<&str>| words.iter().map(code).collect::<Vec<_>>().join(", ");
    let real = TABLE.iter().map(|command| {
        let arguments = command.parameters.iter().map(|parameter| parameter.name).collect();
        let usage = format!("`{}`", command.usage());
        row([usage, list(command.aliases.to_vec()), list(arguments), command.summary.to_owned()])
    });
    same(told.collect(), real.collect())
}

pub(crate) fn events(document: &str) -> Checked {
    let told = table(document, "| event |").into_iter().map(|cells| {
        let mut fields: Vec<&str> = quoted(&cells[1]).collect();
        fields.sort_unstable();
        format!("{}: {}", cells[0].trim_matches('`'), fields.join(", "))
    });
    let told: Vec<String> = told.collect();
    same(told, every_event().iter().map(shape).collect())?;
    let name = |event: &Event| shape(event).split(':').next().unwrap_or_default().to_owned();
    let listed = event::NAMES.iter().map(|name| (*name).to_owned());
    same(listed.collect(), every_event().iter().map(name).collect())
}

/// Returns the event's name and its fields, in alphabetical order.
pub(crate) fn shape(event: &Event) -> String {
    shape_of(serde_json::to_value(WithMessage::from(event)).unwrap().as_object().unwrap())
}

pub(crate) fn shape_of(object: &Map<String, Value>) -> String {
    let fields: BTreeSet<&str> = object.keys().map(String::as_str).collect();
    let fields: Vec<&str> = fields.into_iter().filter(|field| *field != "event").collect();
    format!("{}: {}", object["event"].as_str().unwrap(), fields.join(", "))
}

pub(crate) fn every_event() -> Vec<Event> {
    let text = String::new;
    let (key, number, count) = (KeyState::New, 1, 1);
    let id = MessageId::of_broadcast(1, 1);
    let bob = || "bob".parse::<Username>().unwrap();
    let trouble = Trouble::NotSaved { folder: text(), why: text() };
    let file = |to| {
        Box::new(FileShown {
            id,
            conversation: ConversationId::Person(bob()),
            from: bob(),
            own: false,
            to,
            name: FileName::reduced("photo.jpg"),
            size: 1,
        })
    };
    let events = vec![
        Event::Connected { server: text(), fingerprint: text(), returned: true },
        Event::Disconnected { reason: LinkEnd::Lost, why: Failure::Ended },
        Event::Retrying { reason: LinkEnd::Lost, attempt: 1, in_ms: 1, why: None },
        Event::LoggedIn { username: bob(), by: "" },
        Event::LeftServer { chats: 0 },
        Event::Request {
            from: bob(),
            kind: RequestKind::Chat,
            group: Some("team".parse().unwrap()),
            address: Some(text()),
            fingerprint: text(),
            key,
            time_ms: 0,
        },
        Event::RequestEnded { from: bob(), reason: RequestEnd::Withdrawn },
        Event::ChatOpened { with: bob(), fingerprint: text(), key, link: LinkPath::Direct },
        Event::ChatInterrupted { with: bob() },
        Event::ChatResumed { with: bob(), link: LinkPath::Relay },
        Event::ChatClosed { with: bob(), reason: ChatEnd::Ended, undelivered: vec![] },
        Event::Message {
            from: bob(),
            number: Some(number),
            text: text(),
            time_ms: 0,
            sent_ms: 0,
            conversation: ConversationId::Person(bob()),
            id,
            own: false,
            device: Some(DeviceName::like("laptop")),
            via: Via::Direct,
        },
        Event::MessageState {
            conversation: ConversationId::Person(bob()),
            id,
            to: Some(bob()),
            state: MessageState::Delivered,
            via: Via::Direct,
            code: Some(FailureCode::UnknownUser),
            is_news: false,
        },
        Event::FileOffered {
            file: file(None),
            time_ms: 0,
            sent_ms: 0,
            device: Some(DeviceName::like("laptop")),
            via: Via::Server,
        },
        Event::FileProgress { file: file(Some(bob())), bytes: 1, link: LinkPath::Direct },
        Event::FileDone { file: file(Some(bob())), path: Some("/photo.jpg".into()) },
        Event::FileFailed {
            file: file(None),
            code: FailureCode::FileChanged,
            why: Failure::FileChanged(bob()),
        },
        Event::Broadcast {
            from: bob(),
            number,
            text: text(),
            time_ms: 0,
            own: true,
            over: "",
            conversation: ConversationId::Everyone,
            id,
            via: Via::Server,
        },
        Event::Initiated { username: bob() },
        Event::Joined { usernames: vec![], count },
        Event::Left { usernames: vec![], count },
        Event::GroupChanged {
            group: "team".parse().unwrap(),
            change: GroupChange::Joined,
            who: bob(),
            by: bob(),
            members: vec![],
        },
        Event::DeviceWaiting {
            key: text(),
            address: text(),
            name: Some(DeviceName::like("phone")),
        },
        Event::DeviceChanged {
            key: text(),
            name: DeviceName::like("phone"),
            change: DeviceChange::Added,
            by: text(),
            by_name: DeviceName::like("laptop"),
        },
        Event::notice(Notice::Ringing(bob())),
        Event::Error { code: FailureCode::NotSaved, trouble },
    ];
    // A new event fails to compile here until it is added above and to CLIENT.md.
    for event in &events {
        match event {
            Event::Connected { .. } | Event::Disconnected { .. } | Event::Retrying { .. } => {}
            Event::LoggedIn { .. } | Event::LeftServer { .. } | Event::Request { .. } => {}
            Event::RequestEnded { .. } | Event::ChatOpened { .. } => {}
            Event::ChatInterrupted { .. } | Event::ChatResumed { .. } => {}
            Event::ChatClosed { .. } | Event::Message { .. } | Event::Broadcast { .. } => {}
            Event::Joined { .. } | Event::Left { .. } | Event::MessageState { .. } => {}
            Event::Initiated { .. } | Event::DeviceWaiting { .. } => {}
            Event::DeviceChanged { .. } | Event::GroupChanged { .. } => {}
            Event::FileOffered { .. } | Event::FileProgress { .. } => {}
            Event::FileDone { .. } | Event::FileFailed { .. } => {}
            Event::Notice { .. } | Event::Error { .. } => {}
            // Programs do not receive these.
            Event::State(_) | Event::People(_) => {}
            Event::Contacts(_) | Event::History(_) => {}
        }
    }
    events
}

/// Checks that the fields of each kind of reply equal those of a row.
pub(crate) fn replies(document: &str) -> Checked {
    let fields_of = |cell: &str| {
        let outer = cell.split(": each").next().unwrap_or_default();
        quoted(outer).map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let rows = table(document, "| reply to |");
    let told: BTreeSet<BTreeSet<String>> = rows.iter().map(|cells| fields_of(&cells[1])).collect();
    let real: BTreeSet<BTreeSet<String>> = every_reply()
        .iter()
        .map(|reply| {
            let fields = serde_json::to_value(ReplyWithMessage::from(reply)).unwrap();
            fields.as_object().unwrap().keys().cloned().collect()
        })
        .collect();
    same(told.into_iter().collect(), real.into_iter().collect())?;
    let first = |usage: &str| usage.split(' ').next().unwrap_or_default().to_owned();
    let told: BTreeSet<String> =
        rows.iter().flat_map(|cells| quoted(&cells[0]).map(first).collect::<Vec<_>>()).collect();
    let real: BTreeSet<String> = TABLE.iter().map(|command| command.name.to_owned()).collect();
    same(told.into_iter().collect(), real.into_iter().collect())
}

fn every_reply() -> Vec<Reply> {
    let text = String::new;
    let key = KeyState::New;
    let status = Status {
        server: text(),
        server_fingerprint: None,
        state: "",
        username: None,
        fingerprint: None,
        device: None,
        listed: true,
        address: None,
        port: 0,
        udp: false,
        chats: vec![],
        requests: vec![],
    };
    let replies = vec![
        Reply::Done {},
        Reply::Said { message: text() },
        Reply::SignedUp { username: text() },
        Reply::LoggedIn { username: text() },
        Reply::Users { users: vec![] },
        Reply::Chat { with: text(), fingerprint: text(), key },
        Reply::Sent {
            to: text(),
            number: Some(1),
            message_id: MessageId::of_broadcast(1, 1),
            state: MessageState::Sent,
            via: Via::Direct,
            code: Some(FailureCode::UnknownUser),
            file: None,
        },
        Reply::Sent {
            to: text(),
            number: None,
            message_id: MessageId::of_broadcast(1, 1),
            state: MessageState::Sent,
            via: Via::Server,
            code: Some(FailureCode::UnknownUser),
            file: Some(SentFile { name: text(), size: 1 }),
        },
        Reply::FileWanted {
            message_id: MessageId::of_broadcast(1, 1),
            name: text(),
            size: 1,
            state: "",
        },
        Reply::FileCancelled { message_id: MessageId::of_broadcast(1, 1), name: text(), state: "" },
        Reply::Files { files: vec![] },
        Reply::Broadcast {
            number: 1,
            time: text(),
            message_id: MessageId::of_broadcast(1, 1),
            state: MessageState::Sent,
            via: Via::Server,
        },
        Reply::Safety { with: text(), safety_number: text(), fingerprint: text(), verified: false },
        Reply::Trusted { with: text(), fingerprint: text() },
        Reply::BlockSet { who: text(), on: true, changed: true },
        Reply::Blocked { blocked: vec![] },
        Reply::Status(Box::new(status)),
        Reply::Devices {
            devices: vec![OwnDevice { name: text(), key: text(), used: Some(text()), this: true }],
            waiting: vec![WaitingDevice { name: text(), key: text(), address: text() }],
            code: Some(text()),
        },
        Reply::DeviceAdded { name: text(), key: text() },
        Reply::DeviceRemoved { name: text(), key: text() },
        Reply::DevicesRecovered {},
        Reply::Group(Box::new(Group {
            group: text(),
            owner: text(),
            joined: true,
            members: vec![GroupMember { name: text(), state: "" }],
        })),
        Reply::Groups { groups: vec![] },
        Reply::History(HistoryStatus {
            messages: 1,
            since: Some(text()),
            days: Some(1),
            passphrase: true,
            locked: true,
        }),
        Reply::Found { messages: vec![], unreadable: 1 },
        Reply::Forgotten { with: Some(ConversationId::Everyone), messages: 1 },
        Reply::PassphraseSet { passphrase: true },
    ];
    // A new reply fails to compile here until it is added above and to docs/CLIENT.md.
    for reply in &replies {
        match reply {
            Reply::Done {} | Reply::Said { .. } | Reply::LoggedIn { .. } | Reply::Users { .. } => {}
            Reply::Chat { .. } | Reply::Sent { .. } | Reply::Broadcast { .. } => {}
            Reply::Safety { .. } | Reply::Trusted { .. } | Reply::Blocked { .. } => {}
            Reply::SignedUp { .. } | Reply::BlockSet { .. } | Reply::Status(_) => {}
            Reply::Devices { .. } | Reply::DeviceAdded { .. } | Reply::DeviceRemoved { .. } => {}
            Reply::DevicesRecovered {} | Reply::Group(_) | Reply::GroupChanged(_) => {}
            Reply::Groups { .. } | Reply::FileWanted { .. } | Reply::Files { .. } => {}
            Reply::FileCancelled { .. } | Reply::History(_) | Reply::Found { .. } => {}
            Reply::Forgotten { .. } | Reply::PassphraseSet { .. } => {}
        }
    }
    replies
}

/// Checks that each kind of event has exactly its own reasons.
pub(crate) fn reasons(document: &str) -> Checked {
    let rows = table(document, "| reason in |");
    let told = |events: &[&str]| -> BTreeSet<String> {
        let about = |cells: &&Vec<String>| quoted(&cells[0]).any(|event| events.contains(&event));
        rows.iter().filter(about).map(|cells| cells[1].trim_matches('`').to_owned()).collect()
    };
    let link_ends = LinkEnd::all().map(|end| end.name().to_owned()).collect();
    for (events, real) in [
        (&["disconnected", "retrying"][..], link_ends),
        (&["chat_closed"], words(ChatEnd::ALL, ChatEnd::name)),
        (&["request_ended"], words(RequestEnd::ALL, RequestEnd::name)),
    ] {
        same(told(events).into_iter().collect(), real.into_iter().collect())?;
    }
    let events = rows.iter().flat_map(|cells| quoted(&cells[0])).collect::<Vec<_>>();
    all_in(
        &events,
        &["disconnected", "retrying", "chat_closed", "request_ended"].map(str::to_owned).into(),
    )
}

pub(crate) fn failure_codes(document: &str) -> Checked {
    let real = FailureCode::ALL.iter().map(|code| code.name().to_owned()).collect();
    same(first_words(document, "| failure code |"), real)
}

pub(crate) fn notice_codes(document: &str) -> Checked {
    let real = NoticeCode::ALL.iter().map(|code| code.name().to_owned()).collect();
    same(first_words(document, "| notice code |"), real)
}

fn first_words(document: &str, header: &str) -> Vec<String> {
    let rows = table(document, header);
    rows.iter().map(|cells| cells[0].trim_matches('`').to_owned()).collect()
}

pub(crate) fn exit_statuses(document: &str) -> Checked {
    let rows = table(document, "| status |");
    let statuses = rows.iter().map(|cells| cells[0].clone()).collect();
    let constants = [
        exit_status::SUCCESS,
        exit_status::FAILED,
        exit_status::USAGE,
        exit_status::NO_SERVER,
        exit_status::REFUSED,
    ];
    same(statuses, constants.map(|status| status.to_string()).to_vec())?;

    let mut told = BTreeMap::new();
    for cells in &rows {
        told.extend(quoted(&cells[2]).map(|code| (code.to_owned(), cells[0].clone())));
    }
    all_in(&told.keys().collect::<Vec<_>>(), &words(FailureCode::ALL, FailureCode::name))?;
    for code in FailureCode::ALL {
        let real = exit_status::of_failure(*code).to_string();
        let told = told.get(code.name()).cloned().unwrap_or(exit_status::FAILED.to_string());
        if told != real {
            return Err(format!("{code} is {real} and told as {told}"));
        }
    }
    Ok(())
}

fn words<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> BTreeSet<String> {
    all.iter().map(|word| name(*word).to_owned()).collect()
}
