//! README.md, docs/CLIENT.md and the other documents against the programs: commands, events, codes, exit
//! statuses, flags, targets of make, sessions, links, and the tests that docs/SECURITY.md names.
//!
//! Each check is a function of the text, so that [`what_is_told_wrong_is_found_out`] can hand it
//! a text with a fault. Blocks of README.md that are checked are fenced as
//!
//! | fence | what it is |
//! |---|---|
//! | `hand` | a session by hand: lines that begin with a code or a `*` are the server's |
//! | `chat` | a session of `letschat`: what is typed begins with `> ` |
//! | `json-session` | the same with `--json`: `> ` in, `< ` out |
//! | `sh` | commands for a shell |
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use clap::{CommandFactory as _, Parser as _};
use letschat::config::Options;
use letschat_commands::command::{parse_line, parse_object};
use letschat_commands::render;
use letschat_core::event::Event;
use letschat_protocol::dialogue::Secret;
use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::username::Username;
use letschat_server::clock::Now;
use letschat_server::hub::{ConnectionId, Effect, Hub, Input, ServerInstance, Settings};
use letschat_server::store::{Created, StoreAnswer, StoreRequest, StoredLog, Verdict};
use serde_json::{Map, Value};

#[path = "readme/client.rs"]
mod client;
#[path = "readme/text.rs"]
mod text;

use self::client::{every_event, shape, shape_of};
use self::text::{Checked, all_in, at_least, blocks, quoted, same, table};

/// What is checked, in which text, and how.
type Check = (&'static str, &'static str, fn(&str) -> Checked);

const README: &str = include_str!("../../README.md");
const CLIENT: &str = include_str!("../../docs/CLIENT.md");

/// Every check of README.md and docs/CLIENT.md; the others are about all documents.
const CHECKS: &[Check] = &[
    ("commands", CLIENT, client::commands),
    ("replies", CLIENT, client::replies),
    ("events", CLIENT, client::events),
    ("reasons", CLIENT, client::reasons),
    ("failure codes", CLIENT, client::failure_codes),
    ("notice codes", CLIENT, client::notice_codes),
    ("exit statuses", CLIENT, client::exit_statuses),
    ("flags of the client", CLIENT, flags),
    ("variables of the client", CLIENT, variables),
    ("sessions in JSON", CLIENT, sessions),
    ("shell commands of the client", CLIENT, shell_commands),
    ("flags", README, flags),
    ("subcommands", README, subcommands),
    ("variables", README, variables),
    ("targets of make", README, targets_of_make),
    ("libraries", README, libraries),
    ("the tree", README, tree),
    ("the pictures", README, pictures),
    ("the session by hand", README, session_by_hand),
    ("the sessions of letschat", README, sessions),
    ("commands for a shell", README, shell_commands),
];

#[test]
fn readme_and_client_reference_match_the_programs() {
    for (what, text, check) in CHECKS {
        assert_eq!(check(text), Ok(()), "{what}");
    }
}

#[test]
fn what_is_told_wrong_is_found_out() {
    for (what, from, to) in [
        ("commands", "| `list` | `users` |", "| `list` | `people` |"),
        ("commands", "`connect WHO [force]`", "`connect WHO`"),
        ("commands", "Show who is here.", "Show who was here."),
        ("commands", "| `trust WHO` | | `who` | Accept that somebody has a new key. |\n", ""),
        ("events", "| `joined` | `usernames`, `count` |", "| `joined` | `usernames` |"),
        ("events", "| `chat_resumed` |", "| `chat_reopened` |"),
        ("exit statuses", "`no_server`, `busy`", "`no_server`"),
        ("exit statuses", "`banned`, ", "`banned`, `denied`, "),
        ("exit statuses", "| 2 | the flags", "| 5 | the flags"),
        (
            "replies",
            "| `say` | `to`, `number`, `message_id`, `state`, `via` |",
            "| `say` | `to`, `id` |",
        ),
        ("replies", "| `login` | `username` |", "| `log_in` | `username` |"),
        ("reasons", "| `chat_closed` | `lost` |", "| `chat_closed` | `gone` |"),
        ("reasons", "| `request_ended` | `withdrawn` |", "| `request` | `withdrawn` |"),
        ("failure codes", "| `no_key` | ", "| `no_keys` | "),
        ("failure codes", "| `which_one` | ", "| `which_one` | x |\n| `several` | "),
        ("notice codes", "| `ringing` | ", "| `calling` | "),
        ("flags of the client", "| `--as` |", "| `--places` |"),
        ("flags of the client", "from `--password-file`", "from `--password`"),
        ("variables of the client", "`LETSCHAT_DATA`", "`LETSCHAT_FOLDER`"),
        ("flags", "unless `--yes`", "unless `--sure`"),
        ("subcommands", "| `account ban NAME` |", "| `account lock NAME` |"),
        ("subcommands", "| `fingerprint` |", "| `print` |"),
        ("subcommands", "Let an account log in no more.", "Let an account log in."),
        ("variables", "`LETSCHAT_CONFIG`", "`LETSCHAT_SETTINGS`"),
        ("targets of make", "make chat ", "make talk "),
        ("libraries", "| `argon2` |", "| `bcrypt` |"),
        ("the tree", "scripts/ ", "tools/ "),
        ("the pictures", "](docs/session.svg)", "](docs/PROTOCOL.md)"),
        ("the pictures", "![Two terminals.", "[Two terminals."),
        ("the pictures", "](docs/demo.svg)", "](docs/session.svg)"),
        ("the session by hand", "221 Goodbye.", "221 Farewell."),
        ("the session by hand", "correct horse battery\n201", "correct horse\n201"),
        ("the sessions of letschat", "> connect bob", "> call for bob"),
        ("the sessions of letschat", "> /broadcast lunch?", "> /shout lunch?"),
        ("sessions in JSON", "{\"id\": 3, \"command\": \"list\"}", "{\"command\": \"lst\"}"),
        ("sessions in JSON", "\"reason\":\"ended\",", ""),
        ("commands for a shell", "--server chat.example.org", "--sever chat.example.org"),
        ("shell commands of the client", "--plain --as robot", "--plane --as robot"),
    ] {
        let (_, text, check) = CHECKS.iter().find(|(name, ..)| *name == what).unwrap();
        assert!(text.contains(from), "{from:?} is not there to be spoilt");
        assert!(check(&text.replace(from, to)).is_err(), "{what}: {from:?} as {to:?}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        assert_eq!(links(&document, &text), Ok(()), "{}", document.display());
    }
    let document = root().join("docs/SECURITY.md");
    for wrong in ["[a](NOWHERE.md)", "[a](#no-such-heading)", "[a](PROTOCOL.md#no-such-heading)"] {
        assert!(links(&document, wrong).is_err(), "{wrong}");
    }
}

#[test]
fn every_file_and_test_that_is_named_exists() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        assert_eq!(names(&text), Ok(()), "{}", document.display());
    }
    let security = fs::read_to_string(root().join("docs/SECURITY.md")).unwrap();
    assert!(quoted(&security).filter(|word| is_test_name(word)).count() >= 40);
    for wrong in ["`server/src/nowhere.rs`", "`a_test_that_is_not_there`"] {
        assert!(names(wrong).is_err(), "{wrong}");
    }
}

fn flags(readme: &str) -> Checked {
    let (client, server) = (flags_in(client_help()), flags_in(server_help()));
    let mut tables = 0;
    for (header, known) in
        [("| flag of `letschat` |", &client), ("| flag of `letschat-server` |", &server)]
    {
        let rows = table(readme, header);
        let told: Vec<&str> = rows.iter().flat_map(|cells| quoted(&cells[0])).collect();
        tables += usize::from(!told.is_empty());
        all_in(&told, known)?;
    }
    at_least(1, tables, "tables of flags")?;
    for line in readme.lines() {
        let others: &[&str] = match line {
            line if line.contains("ncat --ssl") => &["--ssl"],
            line if line.contains("run --rm") => &["--rm"],
            line if line.contains("cargo doc") => &["--no-deps", "--open"],
            _ => &[],
        };
        let told: Vec<String> =
            flags_in(line).into_iter().filter(|flag| !others.contains(&flag.as_str())).collect();
        all_in(&told, &client.union(&server).cloned().collect())?;
    }
    Ok(())
}

/// Each does what its own help says, and none is missing.
fn subcommands(readme: &str) -> Checked {
    let rows = table(readme, "| subcommand of `letschat-server` |");
    let told: Vec<String> = rows
        .iter()
        .map(|cells| {
            cells[0]
                .trim_matches('`')
                .trim_end_matches(|c: char| c == ' ' || c.is_ascii_uppercase())
                .to_owned()
        })
        .collect();
    same(told.iter().map(String::as_str).collect(), SUBCOMMANDS.to_vec())?;
    for (name, cells) in SUBCOMMANDS.iter().zip(&rows) {
        let help = help_of(name);
        let summary = help.lines().next().unwrap_or_default().split(':').next().unwrap_or_default();
        if !cells[1].starts_with(summary) {
            return Err(format!("{name} does not {:?}: {summary}", cells[1]));
        }
    }
    let every = help_of("") + &help_of("account");
    let lines = every.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    let names = names.filter(|name| !name.starts_with('-') && !["help", "account"].contains(name));
    at_least(names.count(), SUBCOMMANDS.len(), "subcommands")
}

const SUBCOMMANDS: &[&str] = &[
    "account list",
    "account add",
    "account ban",
    "account unban",
    "account delete",
    "account reset-password",
    "account import",
    "account export",
    "fingerprint",
    "health",
    "open-room",
];

fn variables(readme: &str) -> Checked {
    let names = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        words.filter(|word| word.starts_with("LETSCHAT_")).map(str::to_owned).collect()
    };
    let known = names(&format!("{}\n{}", client_help(), server_help()));
    all_in(&names(readme).into_iter().collect::<Vec<_>>(), &known)
}

fn client_help() -> &'static str {
    static HELP: OnceLock<String> = OnceLock::new();
    HELP.get_or_init(|| Options::command().render_long_help().to_string())
}

fn server_help() -> &'static str {
    static HELP: OnceLock<String> = OnceLock::new();
    HELP.get_or_init(|| help_of("") + &SUBCOMMANDS.iter().copied().map(help_of).collect::<String>())
}

/// What the server says of one of its subcommands, or of itself.
fn help_of(subcommand: &str) -> String {
    let program = env!("CARGO_BIN_EXE_letschat-server");
    let arguments = subcommand.split_whitespace().chain(["--help"]);
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn flags_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '-'));
    let is_flag = |word: &&str| word.strip_prefix("--").is_some_and(|name| !name.is_empty());
    words.filter(is_flag).filter(|word| !word.starts_with("---")).map(str::to_owned).collect()
}

fn targets_of_make(readme: &str) -> Checked {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let known: BTreeSet<String> =
        makefile.lines().filter_map(|line| Some(line.split_once(": ")?.0.to_owned())).collect();
    let inline = quoted(readme);
    let told: Vec<&str> = inline
        .chain(blocks(readme, "sh").into_iter().flat_map(str::lines))
        .filter_map(|command| command.strip_prefix("make ")?.split_whitespace().next())
        .collect();
    all_in(&told, &known)?;
    at_least(3, told.len(), "targets of make")
}

fn libraries(readme: &str) -> Checked {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let known: BTreeSet<String> =
        manifest.lines().filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect();
    let rows = table(readme, "| library |");
    all_in(&rows.iter().flat_map(|cells| quoted(&cells[0])).collect::<Vec<_>>(), &known)?;
    at_least(10, rows.len(), "libraries")
}

fn tree(readme: &str) -> Checked {
    let block = blocks(readme, "text").concat();
    let places: Vec<&str> =
        block.lines().filter_map(|line| line.split_whitespace().next()).collect();
    match places.iter().find(|place| !root().join(place).exists()) {
        Some(place) => Err(format!("there is no {place}")),
        None => at_least(5, places.len(), "places"),
    }
}

/// They are drawn from what the programs do now, small, and told in words to who can't see them.
fn pictures(readme: &str) -> Checked {
    let name = |name: &str| name.parse::<Username>().unwrap();
    let session = vec![
        render::event(&Event::LoggedIn { username: name("alice"), by: "password" }).unwrap(),
        render::event(&Event::LoggedIn { username: name("bob"), by: "key" }).unwrap(),
        "bob at 127.0.0.1 asks for a chat.".into(),
    ];
    let steps = demo_steps();
    let demo = vec![format!("all {steps} steps went as told"), "stops the server".into()];
    let shown: Vec<&str> = readme.split("![").skip(1).collect();
    same(vec![shown.len()], vec![2])?;
    for (image, (subject, sentences)) in shown.iter().zip([("session", session), ("demo", demo)]) {
        let (told, path) = image
            .split_once(')')
            .and_then(|(image, _)| image.split_once("]("))
            .ok_or("a picture without a file")?;
        at_least(20, told.split_whitespace().count(), "words about the picture")?;
        let drawn = fs::read_to_string(root().join(path)).map_err(|error| error.to_string())?;
        if !drawn.starts_with("<svg ") || drawn.len() > 60 * 1024 {
            return Err(format!("{path} is no small picture"));
        }
        if let Some(sentence) = sentences.iter().find(|sentence| !drawn.contains(*sentence)) {
            let way = format!("`scripts/picture.sh {subject}` draws it");
            return Err(format!("{path} lacks {sentence:?}: {way}"));
        }
    }
    Ok(())
}

/// Those of the three, as their scripts have them, and those of the stage: its server starts, stops,
/// starts again and stops, and three are let in.
fn demo_steps() -> usize {
    let of = |name: &str| {
        let part = fs::read_to_string(root().join("lua/demo").join(name)).unwrap();
        part.lines().filter(|line| line.starts_with("    { \"")).count()
    };
    ["alice.lua", "bob.lua", "carol.lua"].map(of).iter().sum::<usize>() + 7
}

/// What is typed is put to a hub; what comes of it has to be the block.
fn session_by_hand(readme: &str) -> Checked {
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

/// Somebody who types, alone at a new server.
struct Person {
    hub: Hub,
    decoder: Decoder,
    /// How the next line is taken, if one is wanted.
    asked: Option<Mode>,
    heard: Vec<u8>,
    accounts: BTreeMap<Username, Secret>,
}

const CONNECTION: ConnectionId = ConnectionId(1);
/// When the session in README.md took place.
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
            StoreRequest::CheckKey { .. }
            | StoreRequest::ChangePassword(_)
            | StoreRequest::Forget { .. } => return None,
        })
    }
}

fn sessions(readme: &str) -> Checked {
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
                    all_in(&[shape_of(&object)], &shapes)?;
                } else if !object.contains_key("reply") {
                    return Err(format!("{line} is neither event nor reply"));
                }
            }
        }
    }
    Ok(())
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

fn shell_commands(readme: &str) -> Checked {
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

/// Links to other files and to headings; those to elsewhere are not followed.
fn links(document: &Path, text: &str) -> Checked {
    let targets = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    for target in targets.filter(|target| !target.contains("://")) {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = match path {
            "" => document.to_owned(),
            path => document.parent().unwrap().join(path),
        };
        if !path.exists() {
            return Err(format!("{target}: there is no such file"));
        }
        if !heading.is_empty() && !headings(&path).contains(heading) {
            return Err(format!("{target}: there is no such heading"));
        }
    }
    Ok(())
}

/// As they stand in links: in lower case, without punctuation, with hyphens for spaces.
fn headings(document: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(document).unwrap();
    let slug = |heading: &str| -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| slug(line.trim_start_matches('#')))
        .collect()
}

/// Files of the tree and tests, by name.
fn names(text: &str) -> Checked {
    for word in quoted(text) {
        let of_the_tree =
            ["protocol/", "server/", "client/", "fuzz/", "docs/", "lua/", "scripts/", ".ci/"];
        if of_the_tree.iter().any(|folder| word.starts_with(folder)) && !root().join(word).exists()
        {
            return Err(format!("there is no {word}"));
        }
        // A test stands as a function or in the list of what all stores do.
        let as_function = format!("fn {word}(");
        let as_item = format!(" {word},\n");
        if is_test_name(word) && !sources().contains(&as_function) && !sources().contains(&as_item)
        {
            return Err(format!("there is no test {word}"));
        }
    }
    Ok(())
}

/// Nothing else has so many words in it.
fn is_test_name(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && word.matches('_').count() >= 3
}

/// All sources in one text.
fn sources() -> &'static str {
    static SOURCES: OnceLock<String> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let mut text = String::new();
        let mut folders: Vec<PathBuf> =
            ["protocol", "flags", "server", "client", "bench", "fuzz/bodies"]
                .map(|name| root().join(name))
                .to_vec();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    text.push_str(&fs::read_to_string(path).unwrap());
                }
            }
        }
        text
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    docs.chain(["README.md", "CHANGELOG.md"].map(|name| root().join(name))).collect()
}
