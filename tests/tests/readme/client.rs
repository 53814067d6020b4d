//! What README.md tells of the client: commands, events and exit statuses.

use std::collections::{BTreeMap, BTreeSet};

use letschat_commands::commands::TABLE;
use letschat_commands::exit_status;
use letschat_core::event::{self, Event, KeyState};
use letschat_protocol::code::Code;
use letschat_protocol::username::Username;
use serde_json::{Map, Value};

use crate::text::{Checked, quoted, same, table};

pub(crate) fn commands(readme: &str) -> Checked {
    let row = |cells: [String; 4]| cells.join(" | ");
    let told = table(readme, "| command |").into_iter().map(|cells| cells.join(" | "));
    let code = |word: &&str| format!("`{word}`");
    let list = |words: Vec<&str>| words.iter().map(code).collect::<Vec<_>>().join(", ");
    let real = TABLE.iter().map(|command| {
        let arguments = command.parameters.iter().map(|parameter| parameter.name).collect();
        let usage = format!("`{}`", command.usage());
        row([usage, list(command.aliases.to_vec()), list(arguments), command.summary.to_owned()])
    });
    same(told.collect(), real.collect())
}

pub(crate) fn events(readme: &str) -> Checked {
    let told = table(readme, "| event |").into_iter().map(|cells| {
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

/// The event's name and its fields, in the order of the alphabet.
pub(crate) fn shape(event: &Event) -> String {
    shape_of(serde_json::to_value(event).unwrap().as_object().unwrap())
}

pub(crate) fn shape_of(object: &Map<String, Value>) -> String {
    let fields: BTreeSet<&str> = object.keys().map(String::as_str).collect();
    let fields: Vec<&str> = fields.into_iter().filter(|field| *field != "event").collect();
    format!("{}: {}", object["event"].as_str().unwrap(), fields.join(", "))
}

pub(crate) fn every_event() -> Vec<Event> {
    let text = String::new;
    let (key, number, count) = (KeyState::New, 1, 1);
    let bob = || "bob".parse::<Username>().unwrap();
    let events = vec![
        Event::Connected { server: text(), fingerprint: text() },
        Event::Disconnected { reason: "", message: text() },
        Event::Retrying { reason: "", attempt: 1, in_ms: 1, message: text() },
        Event::LoggedIn { username: bob(), by: "" },
        Event::LeftServer { chats: 0 },
        Event::Request { from: bob(), address: text(), fingerprint: text(), key, time_ms: 0 },
        Event::RequestEnded { from: bob(), reason: "" },
        Event::ChatOpened { with: bob(), fingerprint: text(), key },
        Event::ChatInterrupted { with: bob() },
        Event::ChatResumed { with: bob() },
        Event::ChatClosed { with: bob(), reason: "", undelivered: vec![] },
        Event::Message { from: bob(), number, text: text(), time_ms: 0 },
        Event::Broadcast { from: bob(), number, text: text(), time_ms: 0, own: true, over: "" },
        Event::Joined { usernames: vec![], count },
        Event::Left { usernames: vec![], count },
        Event::Notice { code: "", message: text() },
        Event::Error { code: "", message: text() },
    ];
    // An event that is new does not compile here before it is told of above and in README.md.
    for event in &events {
        match event {
            Event::Connected { .. } | Event::Disconnected { .. } | Event::Retrying { .. } => {}
            Event::LoggedIn { .. } | Event::LeftServer { .. } | Event::Request { .. } => {}
            Event::RequestEnded { .. } | Event::ChatOpened { .. } => {}
            Event::ChatInterrupted { .. } | Event::ChatResumed { .. } => {}
            Event::ChatClosed { .. } | Event::Message { .. } | Event::Broadcast { .. } => {}
            Event::Joined { .. } | Event::Left { .. } => {}
            Event::Notice { .. } | Event::Error { .. } => {}
        }
    }
    events
}

pub(crate) fn exit_statuses(readme: &str) -> Checked {
    let rows = table(readme, "| status |");
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
    let every = told.keys().map(String::as_str).chain(Code::ALL.iter().map(|code| code.name()));
    for code in every {
        let real = exit_status::of_failure(code).to_string();
        let told = told.get(code).cloned().unwrap_or(exit_status::FAILED.to_string());
        if told != real {
            return Err(format!("{code} is {real} and told as {told}"));
        }
    }
    Ok(())
}
