//! Parsing of typed lines into commands.

use clap::CommandFactory as _;
use letschat_protocol::printable::{Printable, is_blank};

use letschat_server::store::cluster::ServerName;

use super::Rules;
use crate::config::Flags;

/// The console's commands with their help texts.
pub(crate) const COMMANDS: &[(&str, &str)] = &[
    ("list", "Show who is logged in."),
    ("say TEXT", "Say a text to everybody; a line that looks like no command is said as well."),
    ("kick NAME", "Close somebody's connection, and tell them so."),
    ("stats", "Show how the server is doing."),
    ("list --server NAME", "Do it for one server of a cluster; so do say, kick and stats."),
    ("help", "Show this."),
    ("exit", "Tell everybody, and stop the server."),
];

/// Commands of the client that the console does not have.
const OF_THE_CLIENT: &[&str] = &[
    "accept",
    "all",
    "approve",
    "block",
    "broadcast",
    "bye",
    "call",
    "cancel",
    "connect",
    "deny",
    "detach",
    "device",
    "devices",
    "file",
    "files",
    "group",
    "groups",
    "disconnect",
    "exit",
    "hangup",
    "help",
    "history",
    "leave",
    "list",
    "login",
    "msg",
    "passwd",
    "password",
    "plugin",
    "quit",
    "recover",
    "refuse",
    "register",
    "say",
    "send",
    "signup",
    "status",
    "switch",
    "tell",
    "trust",
    "users",
    "verify",
    "watch",
    "whoami",
];

/// Commands that operators type elsewhere.
const OF_OPERATORS: &[&str] =
    &["ban", "kill", "reboot", "reload", "restart", "shutdown", "stop", "unban", "who"];

/// The commands among them that take a name.
const WITH_A_NAME: &[&str] = &["ban", "disconnect", "kill", "unban"];

/// A command of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    List,
    /// The text, made printable: a session typed by hand shows its bytes raw.
    Say(String),
    /// A single word, which need not be a username.
    Kick(String),
    Stats,
    /// One of the others, for one server of a cluster.
    At(ServerName, Box<Command>),
    Help,
    Exit,
}

/// A line that is neither a command nor a text for everybody. Some variants hold the usage of the
/// intended command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// The first word is a command, but its arguments are wrong.
    Misused(&'static str),
    /// The first word is one edit away from a command, or a command with punctuation.
    Mistyped(&'static str),
    /// The line is a command of another program, or looks like one.
    Foreign,
    /// The line has control characters, such as those of keys that the terminal does not edit.
    Unprintable,
}

impl Command {
    /// Parses a line: a command in any case of letters, or a text for everybody. Returns `None` for
    /// an empty line. A line that resembles a command but is none is a mistake, so that clients
    /// never see a mistyped command.
    pub(super) fn understand(rules: Rules, line: &str) -> Option<Result<Command, Mistake>> {
        match rules {
            Rules::Standard => Command::standard(line.trim()),
            Rules::Classroom { .. } => Command::in_classroom(line.trim()),
        }
    }

    /// Parses a line in a classroom, where only `exit` needs no slash. A text is not compared with
    /// the commands, but keys that the terminal does not edit are refused too.
    fn in_classroom(line: &str) -> Option<Result<Command, Mistake>> {
        if line.eq_ignore_ascii_case("exit") {
            return Some(Ok(Command::Exit));
        }
        let Some(command) = line.strip_prefix('/') else {
            return match line {
                _ if is_blank(line) => None,
                _ if is_unprintable(line) => Some(Err(Mistake::Unprintable)),
                text => Some(Ok(Command::Say(Printable(text).to_string()))),
            };
        };
        let explicit = command.split(char::is_whitespace).next().unwrap_or_default();
        match Command::standard(command) {
            // Without `say`, it is a command that the console does not have.
            Some(Ok(Command::Say(_))) if !explicit.eq_ignore_ascii_case("say") => {
                Some(Err(Mistake::Foreign))
            }
            None => Some(Err(Mistake::Foreign)),
            understood => understood,
        }
    }

    fn standard(line: &str) -> Option<Result<Command, Mistake>> {
        match at_server(line) {
            Some((server, command)) => {
                let command = Command::of_all_servers(&command)?;
                Some(command.map(|command| Command::At(server, Box::new(command))))
            }
            None => Command::of_all_servers(line),
        }
    }

    fn of_all_servers(line: &str) -> Option<Result<Command, Mistake>> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let word = word.to_lowercase();
        Some(Ok(match (word.as_str(), rest.trim_start()) {
            _ if is_blank(line) => return None,
            ("list", "") => Command::List,
            ("stats", "") => Command::Stats,
            ("help", "") => Command::Help,
            ("exit", "") => Command::Exit,
            ("kick", name) if is_one_word(name) => Command::Kick(name.to_owned()),
            ("say", text) if !is_blank(text) => Command::Say(Printable(text).to_string()),
            (_, rest) => match mistake(line, &word, rest) {
                Some(mistake) => return Some(Err(mistake)),
                None => Command::Say(Printable(line).to_string()),
            },
        }))
    }
}

/// Splits a command for one server of a cluster, as in `list --server a`, into the server's name and the rest.
fn at_server(line: &str) -> Option<(ServerName, String)> {
    let (word, rest) = line.split_once(char::is_whitespace)?;
    let takes_one = ["list", "say", "kick", "stats"];
    let rest = rest.trim_start().strip_prefix("--server")?;
    let rest = rest.strip_prefix(|c: char| c == '=' || c.is_whitespace())?.trim_start();
    let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let is_one = takes_one.contains(&word.to_lowercase().as_str());
    let server = name.parse().ok().filter(|_| is_one)?;
    Some((server, format!("{word} {rest}").trim_end().to_owned()))
}

/// Returns the mistake in a line, or `None` if it is a text.
fn mistake(line: &str, word: &str, rest: &str) -> Option<Mistake> {
    if is_unprintable(line) {
        return Some(Mistake::Unprintable);
    }
    // `//list` and `kick,bob` begin with a command as well.
    let letters = word.trim_start_matches(|c: char| c.is_ascii_punctuation());
    let letters = letters.split(|c: char| c.is_ascii_punctuation()).next().unwrap_or_default();
    let edits = COMMANDS.iter().map(|(usage, _)| {
        let name = usage.split(' ').next().unwrap_or(usage);
        (strsim::osa_distance(letters, name), *usage)
    });
    match edits.min()? {
        (0, usage) if letters == word => Some(Mistake::Misused(usage)),
        (0 | 1, usage) => Some(Mistake::Mistyped(usage)),
        _ => is_foreign(word, letters, rest).then_some(Mistake::Foreign),
    }
}

/// Returns true for a command of another program: the client, the server in a shell, an editor.
fn is_foreign(word: &str, letters: &str, rest: &str) -> bool {
    let is_bare = rest.is_empty() || rest == "now" || rest.starts_with('-');
    word.starts_with(['/', ':', '!', '\\'])
        || (letters.is_empty() && rest.is_empty())
        || (is_bare && [OF_THE_CLIENT, OF_OPERATORS].concat().contains(&letters))
        || (is_one_word(rest) && WITH_A_NAME.contains(&letters))
        || Flags::command().get_name() == word
        || Flags::command().find_subcommand(word).is_some()
}

fn is_unprintable(line: &str) -> bool {
    line.contains(|c: char| c.is_control() && c != '\t')
}

fn is_one_word(text: &str) -> bool {
    text.split_whitespace().count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSROOM: Rules = Rules::Classroom { is_typed: false };

    fn said(line: &str) -> Option<String> {
        match Command::understand(Rules::Standard, line)? {
            Ok(Command::Say(text)) => Some(text),
            other => panic!("{line:?} is {other:?}"),
        }
    }

    fn at(server: &str, command: Command) -> Command {
        Command::At(server.parse().unwrap(), Box::new(command))
    }

    fn mistaken(line: &str) -> Mistake {
        match Command::understand(Rules::Standard, line) {
            Some(Err(mistake)) => mistake,
            other => panic!("{line:?} is {other:?}"),
        }
    }

    #[test]
    fn a_command_is_known_alone_on_its_line_and_in_any_case() {
        for (line, command) in [
            ("list", Command::List),
            ("  Stats\r", Command::Stats),
            ("HELP", Command::Help),
            ("ExIt", Command::Exit),
            ("kick bob", Command::Kick("bob".into())),
            ("Kick   Bob ", Command::Kick("Bob".into())),
            ("list --server a", at("a", Command::List)),
            ("Stats  --server=b.org:1 ", at("b.org:1", Command::Stats)),
            ("kick --server a bob", at("a", Command::Kick("bob".into()))),
            ("say --server a good  night", at("a", Command::Say("good  night".into()))),
        ] {
            assert_eq!(Command::understand(Rules::Standard, line), Some(Ok(command)), "{line:?}");
        }
    }

    #[test]
    fn a_command_with_wrong_arguments_is_not_said() {
        for (line, usage) in [
            ("kick", "kick NAME"),
            ("KICK a b", "kick NAME"),
            ("help me", "help"),
            ("exit now", "exit"),
            ("list everybody", "list"),
            ("stats please", "stats"),
            ("say", "say TEXT"),
            ("say \u{200b}", "say TEXT"),
            ("list --server", "list"),
            ("list --server a b", "list"),
            ("list --server a --server b", "list"),
            ("kick --server a", "kick NAME"),
        ] {
            assert_eq!(mistaken(line), Mistake::Misused(usage), "{line:?}");
        }
    }

    #[test]
    fn a_word_one_edit_from_a_command_is_not_said() {
        for (line, usage) in [
            ("lst", "list"),
            ("lits", "list"),
            ("lisst", "list"),
            ("LOST", "list"),
            ("/list", "list"),
            ("eixt", "exit"),
            ("exit!", "exit"),
            ("stat", "stats"),
            ("hepl", "help"),
            ("kik bob", "kick NAME"),
            ("sya hello", "say TEXT"),
        ] {
            assert_eq!(mistaken(line), Mistake::Mistyped(usage), "{line:?}");
        }
    }

    #[test]
    fn anything_else_is_said_whole() {
        for line in [
            "hello",
            "sayhello",
            "lunch is ready",
            "I list everybody",
            "l\u{ed}\u{ed}ste",
            "the server restarts at noon",
            "restart at noon, please save",
            "who is in?",
            "stop shouting",
            "quit it, you two",
            "watch out",
            "ban on smoking starts today",
            "*** maintenance at 5 ***",
            "\"lunch\", he said",
            "(lunch!)",
            "...and lunch",
            "5 minutes left",
            "caf\u{e9} for all",
            "\u{1f389}",
        ] {
            assert_eq!(said(line).as_deref(), Some(line));
        }
        assert_eq!(said(" lunch  at one ").as_deref(), Some("lunch  at one"));
    }

    #[test]
    fn a_command_with_punctuation_is_not_said() {
        for (line, usage) in [
            ("help!!", "help"),
            ("//list", "list"),
            ("`list`", "list"),
            ("kick-bob", "kick NAME"),
            ("kick,bob", "kick NAME"),
            ("kick: bob", "kick NAME"),
        ] {
            assert_eq!(mistaken(line), Mistake::Mistyped(usage), "{line:?}");
        }
    }

    #[test]
    fn a_command_of_another_program_is_not_said() {
        for line in [
            "account ban bob",
            "account",
            "fingerprint",
            "health",
            "open-room 5000",
            "letschat-server account list",
            "ban bob",
            "kill bob",
            "disconnect bob",
            "Who",
            "stop",
            "stop!",
            "shutdown now",
            "shutdown -h now",
            "restart",
            "reload",
            "?",
            "//",
            ":q",
            "/msg bob hello",
            "!ls",
            "...",
        ] {
            assert_eq!(mistaken(line), Mistake::Foreign, "{line:?}");
        }
    }

    #[test]
    fn no_command_of_the_client_is_said() {
        for command in letschat_commands::commands::TABLE {
            for name in [&command.name].into_iter().chain(command.aliases) {
                for line in [(*name).to_owned(), format!("/{name} bob")] {
                    let understood = Command::understand(Rules::Standard, &line).unwrap();
                    assert!(!matches!(understood, Ok(Command::Say(_))), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn what_keys_type_unasked_is_not_said() {
        for line in
            ["\u{1b}[A", "\u{1b}[Akick bob", "hello\u{1b}[D", "hel\u{8}lo", "kick\u{1b}[C bob"]
        {
            assert_eq!(mistaken(line), Mistake::Unprintable, "{line:?}");
        }
    }

    #[test]
    fn say_forces_any_text() {
        for (line, text) in [
            ("say  list", "list"),
            ("say lst", "lst"),
            ("SAY kick", "kick"),
            ("say account ban bob", "account ban bob"),
            ("say //", "//"),
        ] {
            assert_eq!(said(line).as_deref(), Some(text));
        }
    }

    #[test]
    fn an_empty_line_says_nothing() {
        for line in ["", "  ", "\t\r", "\u{200b}\u{2800}"] {
            assert_eq!(Command::understand(Rules::Standard, line), None, "{line:?}");
        }
    }

    #[test]
    fn what_is_said_steers_no_terminal() {
        let said = said("say  hello\u{1b}[2J");
        assert_eq!(said.as_deref(), Some("hello\\u{1b}[2J"));
    }

    #[test]
    fn whatever_help_shows_is_a_command() {
        for rules in [Rules::Standard, CLASSROOM] {
            for (usage, _) in COMMANDS {
                let typed = usage.replace("NAME", "bob").replace("TEXT", "list");
                let typed = format!("{}{typed}", rules.mark());
                let command = Command::understand(rules, &typed).unwrap();
                assert!(command.is_ok(), "{usage} is a mistake");
                assert_ne!(command, Ok(Command::Say(typed)), "{usage} would be said");
            }
        }
    }

    #[test]
    fn any_text_is_said_in_a_classroom() {
        for line in ["list", "stop", "exit now", ":q", "account list", "sya hello", "...", "a\tb"] {
            let said = Command::Say(Printable(line).to_string());
            assert_eq!(Command::understand(CLASSROOM, line), Some(Ok(said)), "{line:?}");
        }
        for line in ["", "  ", "\u{200b}"] {
            assert_eq!(Command::understand(CLASSROOM, line), None, "{line:?}");
        }
    }

    #[test]
    fn slash_without_a_command_is_not_said() {
        for line in
            ["/", "//", "/ list", "/hello", "/help me", "/sayhello", "/usr/bin", "/exit now"]
        {
            let understood = Command::understand(CLASSROOM, line);
            assert!(matches!(understood, Some(Err(_))), "{line:?} is {understood:?}");
        }
    }
}
