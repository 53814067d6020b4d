//! The sessions in README.md: typed lines are valid, and the answers are those of the programs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use clap::Parser as _;
use letschat::config::Options;
use letschat_commands::command::{parse_line, parse_object};
use letschat_protocol::clock::Now;
use letschat_protocol::dialogue::Secret;
use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::username::Username;
use letschat_server::hub::{ConnectionId, Effect, Hub, Input, ServerInstance, Settings};
use letschat_server::store::{Created, StoreAnswer, StoreRequest, StoredLog, Verdict};
use serde_json::{Map, Value};

use crate::client::{every_event, shape, shape_of};
use crate::text::{Checked, at_least, blocks, same};

/// Passes typed lines to a hub. Its answers must equal the block.
pub(crate) fn session_by_hand(readme: &str) -> Checked {
    for told in blocks(readme, "hand") {
        let is_said = |line: &str| {
            line.starts_with("* ") || line.get(..3).is_some_and(|code| code.parse::<u16>().is_ok())
        };
        let mut lines = told.lines();
        let mut person = Person::connect();
        let mut real = format!("{}\n{}", lines.next().unwrap(), person.hears());
        for typed in lines.filter(|line| !is_said(line)) {
            real.push_str(&format!("{typed}\n{}", person.types(typed)?));
        }
        same(told.lines().collect(), real.lines().collect())?;
    }
    at_least(1, blocks(readme, "hand").len(), "sessions by hand")
}

/// A user who types, alone on a new server.
struct Person {
    hub: Hub,
    decoder: Decoder,
    /// The mode of the next line, if the hub wants one.
    asked: Option<Mode>,
    heard: Vec<u8>,
    accounts: BTreeMap<Username, Secret>,
}

const CONNECTION: ConnectionId = ConnectionId(1);
/// The time of the session in README.md.
const NOW: Now = Now { boot_ms: 0, wall_ms: 1_795_254_442_617 };

impl Person {
    fn connect() -> Person {
        let fingerprint = Fingerprint::of_spki(b"the server's key");
        let instance = ServerInstance { fingerprint, udp_port: 4400, boot_id: 1, seed: [1; 32] };
        let log = StoredLog { epoch: 1, head: 0, entries: Vec::new() };
        let mut person = Person {
            hub: Hub::new(Settings::default(), instance, log, NOW),
            decoder: Decoder::new(),
            asked: None,
            heard: Vec::new(),
            accounts: BTreeMap::new(),
        };
        let (peer, local) = ("127.0.0.1:50000".parse().unwrap(), "127.0.0.1".parse().unwrap());
        person.put(Input::Accepted { connection: CONNECTION, peer, local });
        person.put(Input::Secured { connection: CONNECTION, binding: [1; 32] });
        person
    }

    fn types(&mut self, line: &str) -> Result<String, String> {
        let mode = self.asked.take().ok_or(format!("nobody waits for {line:?}"))?;
        self.decoder.extend(format!("{line}\n").as_bytes());
        let line = self.decoder.next(mode).transpose().ok_or(format!("{line:?} is not enough"))?;
        self.put(Input::Line { connection: CONNECTION, line });
        Ok(self.hears())
    }

    fn hears(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.heard)).unwrap()
    }

    fn put(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.hub.handle(NOW, input) {
                match effect {
                    Effect::Send { bytes, .. } => self.heard.extend(bytes),
                    Effect::Read { mode, .. } => self.asked = Some(mode),
                    Effect::TellWhenDrained { connection } => {
                        inputs.push_back(Input::Drained { connection });
                    }
                    Effect::Store(request) => {
                        inputs.extend(self.store(request).map(Input::Stored));
                    }
                    _ => {}
                }
            }
        }
    }

    fn store(&mut self, request: StoreRequest) -> Option<StoreAnswer> {
        Some(match request {
            StoreRequest::SignUp { connection, username, password } => {
                self.accounts.insert(username, password);
                StoreAnswer::SignedUp { connection, result: Ok(Created::New) }
            }
            StoreRequest::CheckPassword { connection, username, password, .. } => {
                let right = username.and_then(|name| self.accounts.get(&name)) == Some(&password);
                let verdict = if right { Verdict::Accepted } else { Verdict::Refused };
                StoreAnswer::Checked { connection, result: Ok(verdict) }
            }
            StoreRequest::Append { after, .. } => StoreAnswer::Appended { result: Ok(after + 1) },
            StoreRequest::Mail(request) => StoreAnswer::Mail(request.unavailable()),
            StoreRequest::Cluster(request) => StoreAnswer::Cluster(request.unavailable()),
            StoreRequest::CheckKey { .. }
            | StoreRequest::ChangePassword(_)
            | StoreRequest::Forget { .. } => return None,
        })
    }
}

pub(crate) fn sessions(readme: &str) -> Checked {
    let (chats, json) = (blocks(readme, "chat"), blocks(readme, "json-session"));
    at_least(2, chats.len() + json.len(), "sessions")?;
    let shapes: BTreeSet<String> = every_event().iter().map(shape).collect();
    for block in chats.into_iter().chain(json) {
        let mut in_chat = false;
        for line in block.lines() {
            in_chat |= line.contains(" is open. Key ") || line.contains("\"chat_opened\"");
            in_chat &= !line.ends_with(" is over.") && !line.contains("\"chat_closed\"");
            in_chat &= !line.ends_with(" has ended the chat.");
            if let Some(typed) = line.strip_prefix("> ") {
                understood(typed, in_chat)?;
            } else if let Some(object) = line.strip_prefix("< ") {
                let object: Map<String, Value> =
                    serde_json::from_str(object).map_err(|error| format!("{line}: {error}"))?;
                if object.contains_key("event") {
                    let told = shape_of(&object);
                    let whole = shapes.iter().find(|shape| is_of(&told, shape));
                    whole.ok_or(format!("there is no {told}"))?;
                } else if !object.contains_key("reply") {
                    return Err(format!("{line} is neither event nor reply"));
                }
            }
        }
    }
    Ok(())
}

/// The fields that an event may lack.
const OPTIONAL: &[&str] = &["number", "device", "group", "address", "code", "message", "to"];

/// Returns true if the told shape is this one, perhaps without optional fields.
fn is_of(told: &str, shape: &str) -> bool {
    let parts = |shape: &str| {
        let (name, fields) = shape.split_once(": ").unwrap_or((shape, ""));
        let fields: BTreeSet<String> = fields.split(", ").map(str::to_owned).collect();
        (name.to_owned(), fields)
    };
    let ((told, some), (name, all)) = (parts(told), parts(shape));
    let lacks: BTreeSet<&String> = all.difference(&some).collect();
    told == name
        && some.is_subset(&all)
        && lacks.iter().all(|field| OPTIONAL.contains(&field.as_str()))
}

fn understood(typed: &str, in_chat: bool) -> Checked {
    let call = match serde_json::from_str::<Map<String, Value>>(typed) {
        Ok(object) => {
            let name = object["command"].as_str().unwrap_or_default();
            let none = Map::new();
            let arguments = object.get("arguments").and_then(Value::as_object);
            parse_object(name, arguments.unwrap_or(&none))
        }
        Err(_) => parse_line(typed, in_chat),
    };
    call.map(drop).map_err(|rejection| format!("{typed}: {}", rejection.failure.message))
}

pub(crate) fn shell_commands(readme: &str) -> Checked {
    let lines: Vec<&str> = ["sh", "console", "chat"]
        .iter()
        .flat_map(|fence| blocks(readme, fence))
        .flat_map(str::lines)
        .filter_map(|line| line.rsplit("| ").next())
        .map(|line| line.trim_start_matches("$ "))
        .filter(|line| line.split_whitespace().next() == Some("letschat"))
        .collect();
    for line in &lines {
        let words = line.split_whitespace().map(|word| word.trim_matches('\''));
        Options::try_parse_from(words).map_err(|error| format!("{line}: {error}"))?;
    }
    at_least(1, lines.len(), "commands for a shell")
}
