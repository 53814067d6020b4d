//! README.md and other documents, checked against the programs: commands, events, exit statuses, flags,
//! make targets, sessions, links, and the tests that docs/SECURITY.md names.
//!
//! Each check is a function of the text, so that [`what_is_told_wrong_is_found_out`] can pass it a text
//! with an error. The checked blocks of README.md have these fences:
//!
//! | fence | content |
//! |---|---|
//! | `hand` | a session by hand: lines that start with a code or a `*` are the server's |
//! | `chat` | a session of `letschat`: typed lines start with `> ` |
//! | `json-session` | a session with `--json`: `> ` in, `< ` out |
//! | `sh` | commands for a shell |
#![allow(clippy::unwrap_used)]

mod client;
mod documents;
mod sessions;
mod text;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use clap::CommandFactory as _;
use letschat::config::Options;
use letschat_commands::render;
use letschat_core::event::Event;
use letschat_core::view::SessionState;
use letschat_protocol::username::Username;
use letschat_tests::programs::program;
use letschat_tests::project::root;

use sessions::{session_by_hand, sessions, shell_commands};
use text::{Checked, all_in, at_least, blocks, quoted, same, table};

/// The name of a check, its document and its function.
type Check = (&'static str, &'static str, fn(&str) -> Checked);

const README: &str = include_str!("../../../README.md");
const CLIENT: &str = include_str!("../../../docs/CLIENT.md");
const OPERATING: &str = include_str!("../../../docs/OPERATING.md");
const ARCHITECTURE: &str = include_str!("../../../docs/ARCHITECTURE.md");

/// The maximum number of lines of README.md.
const MAX_README_LINES: usize = 150;

/// All checks of a single document.
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
    ("flags of the server", OPERATING, flags),
    ("subcommands", OPERATING, subcommands),
    ("variables of the server", OPERATING, variables),
    ("targets of make", README, targets_of_make),
    ("libraries", ARCHITECTURE, libraries),
    ("the tree", ARCHITECTURE, tree),
    ("the pictures", README, pictures),
    ("the session by hand", CLIENT, session_by_hand),
    ("the sessions of letschat", README, sessions),
    ("commands for a shell", README, shell_commands),
];

#[test]
fn documents_match_the_programs() {
    for (what, text, check) in CHECKS {
        assert_eq!(check(text), Ok(()), "{what}");
    }
}

#[test]
fn readme_is_short() {
    let lines = README.lines().count();
    assert!(lines <= MAX_README_LINES, "{lines} lines");
}

#[test]
fn what_is_told_wrong_is_found_out() {
    for (what, from, to) in [
        ("commands", "| `list` | `users` |", "| `list` | `people` |"),
        ("commands", "`connect WHO [force]`", "`connect WHO`"),
        ("commands", "Show who is here.", "Show who was here."),
        ("commands", "| `trust WHO` | | `who` | Accept somebody's new key. |\n", ""),
        ("events", "| `joined` | `usernames`, `count` |", "| `joined` | `usernames` |"),
        ("events", "| `chat_resumed` |", "| `chat_reopened` |"),
        ("exit statuses", "`no_server`, `busy`", "`no_server`"),
        ("exit statuses", "`banned`, ", "`banned`, `denied`, "),
        ("exit statuses", "| 2 | the flags", "| 5 | the flags"),
        (
            "replies",
            "| `say`, `send` | `to`, `number`, `message_id`, `state`, `via`, `code` |",
            "| `say`, `send` | `to`, `id` |",
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
        ("flags of the server", "unless `--yes`", "unless `--sure`"),
        ("subcommands", "| `account ban NAME` |", "| `account lock NAME` |"),
        ("subcommands", "| `fingerprint` |", "| `print` |"),
        ("subcommands", "Ban an account.", "Bar an account."),
        ("variables of the server", "LETSCHAT_SERVER_PORT", "LETSCHAT_SERVER_PORTS"),
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
    let told = flags_in(readme).into_iter().filter(|flag| !FOREIGN_FLAGS.contains(&flag.as_str()));
    all_in(&told.collect::<Vec<_>>(), &client.union(&server).cloned().collect())?;
    Ok(())
}

/// The flags of other programs: docker, systemctl, ncat, cargo.
const FOREIGN_FLAGS: &[&str] = &[
    "--detach",
    "--env",
    "--interactive",
    "--name",
    "--network",
    "--no-deps",
    "--now",
    "--open",
    "--publish",
    "--restart",
    "--rm",
    "--ssl",
    "--tag",
    "--target",
    "--tty",
    "--volume",
];

/// Checks that the subcommands are complete and described as in their own help.
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

/// Returns the help of one of the server's subcommands, or of the server itself.
fn help_of(subcommand: &str) -> String {
    let program = program("letschat-server");
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

/// Checks that the pictures are up to date and small, and have a description for people who can't see them.
fn pictures(readme: &str) -> Checked {
    let name = |name: &str| name.parse::<Username>().unwrap();
    let no_chats = SessionState::default();
    let session = vec![
        render::event(&Event::LoggedIn { username: name("alice"), by: "password" }, &no_chats)
            .unwrap(),
        render::event(&Event::LoggedIn { username: name("bob"), by: "key" }, &no_chats).unwrap(),
        "bob at 127.0.0.1 asks for a chat.".into(),
    ];
    let steps = demo_steps();
    let demo = vec![format!("all {steps} steps went as told"), "stops the server".into()];
    let shown: Vec<&str> = readme.split("![").skip(1).collect();
    same(vec![shown.len()], vec![4])?;
    let full = ["alt+y approves, alt+n denies: dave asks for a chat", "f1 keys", "4 here"];
    let full = full.map(str::to_owned).to_vec();
    // A window is no text, which a test could read.
    let subjects =
        [("session", session), ("full-screen", full), ("window", Vec::new()), ("demo", demo)];
    for (image, (subject, sentences)) in shown.iter().zip(subjects) {
        let (told, path) = image
            .split_once(')')
            .and_then(|(image, _)| image.split_once("]("))
            .ok_or("a picture without a file")?;
        at_least(20, told.split_whitespace().count(), "words about the picture")?;
        let drawn = fs::read(root().join(path)).map_err(|error| error.to_string())?;
        let is_picture = drawn.starts_with(b"<svg ") || drawn.starts_with(b"\x89PNG");
        if !is_picture || drawn.len() > 100 * 1024 {
            return Err(format!("{path} is no small picture"));
        }
        let drawn = String::from_utf8_lossy(&drawn);
        if let Some(sentence) = sentences.iter().find(|sentence| !drawn.contains(*sentence)) {
            let way = format!("`scripts/picture.sh {subject}` draws it");
            return Err(format!("{path} lacks {sentence:?}: {way}"));
        }
    }
    Ok(())
}

/// Counts the steps in the three scripts and those of the stage: its server starts twice and stops twice,
/// and three users are let in.
fn demo_steps() -> usize {
    let of = |name: &str| {
        let part = fs::read_to_string(root().join("lua/demo").join(name)).unwrap();
        part.lines().filter(|line| line.starts_with("    { \"")).count()
    };
    ["alice.lua", "bob.lua", "carol.lua"].map(of).iter().sum::<usize>() + 7
}
