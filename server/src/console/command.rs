//! Which line is which command.

use letschat_protocol::printable::{Printable, is_blank};

/// What the console knows, as `help` shows it.
pub(crate) const COMMANDS: &[(&str, &str)] = &[
    ("list", "Show who is logged in."),
    ("say TEXT", "Say a text to everybody; a line that looks like no command is said as well."),
    ("kick NAME", "Close somebody's connection, and tell them so."),
    ("stats", "Show how the server is doing."),
    ("help", "Show this."),
    ("exit", "Tell everybody, and stop the server."),
];

/// What the operator typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    List,
    /// Made printable: a session typed by hand shows its bytes raw.
    Say(String),
    /// One word, which need not be a username.
    Kick(String),
    Stats,
    Help,
    Exit,
}

/// Why a line is neither a command nor said to everybody. Both hold the usage of the command that was
/// meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// The first word is a command, and the rest does not fit it.
    Misused(&'static str),
    /// The first word is one edit away from a command.
    Mistyped(&'static str),
}

impl Command {
    /// Reads a line: a command in any case of letters, or a text for everybody. An empty line is
    /// nothing. A line that begins with a command, or nearly so, is a mistake, unless it is right: people
    /// are not to be told what the operator mistyped.
    pub(super) fn understand(line: &str) -> Option<Result<Command, Mistake>> {
        let line = line.trim();
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
            _ => match mistake(&word) {
                Some(mistake) => return Some(Err(mistake)),
                None => Command::Say(Printable(line).to_string()),
            },
        }))
    }
}

/// The mistake that it is to begin with this word.
fn mistake(word: &str) -> Option<Mistake> {
    let edits = COMMANDS.iter().map(|(usage, _)| {
        let name = usage.split(' ').next().unwrap_or(usage);
        (strsim::osa_distance(word, name), *usage)
    });
    match edits.min()? {
        (0, usage) => Some(Mistake::Misused(usage)),
        (1, usage) => Some(Mistake::Mistyped(usage)),
        _ => None,
    }
}

fn is_one_word(text: &str) -> bool {
    text.split_whitespace().count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Option<String> {
        match Command::understand(line)? {
            Ok(Command::Say(text)) => Some(text),
            other => panic!("{line:?} is {other:?}"),
        }
    }

    fn mistaken(line: &str) -> Mistake {
        match Command::understand(line) {
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
        ] {
            assert_eq!(Command::understand(line), Some(Ok(command)), "{line:?}");
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
        for line in
            ["hello", "sayhello", "quit", "lunch is ready", "I list everybody", "l\u{ed}ste"]
        {
            assert_eq!(said(line).as_deref(), Some(line));
        }
        assert_eq!(said(" lunch  at one ").as_deref(), Some("lunch  at one"));
    }

    #[test]
    fn say_forces_any_text() {
        for (line, text) in [("say  list", "list"), ("say lst", "lst"), ("SAY kick", "kick")] {
            assert_eq!(said(line).as_deref(), Some(text));
        }
    }

    #[test]
    fn an_empty_line_says_nothing() {
        for line in ["", "  ", "\t\r", "\u{200b}\u{2800}"] {
            assert_eq!(Command::understand(line), None, "{line:?}");
        }
    }

    #[test]
    fn what_is_said_steers_no_terminal() {
        for line in ["say  hello\u{1b}[2J", "hello\u{1b}[2J"] {
            assert_eq!(said(line).as_deref(), Some("hello\\u{1b}[2J"));
        }
    }

    #[test]
    fn whatever_help_shows_is_a_command() {
        for (usage, _) in COMMANDS {
            let typed = usage.replace("NAME", "bob").replace("TEXT", "list");
            let command = Command::understand(&typed).unwrap();
            assert!(command.is_ok(), "{usage} is a mistake");
            assert_ne!(command, Ok(Command::Say(typed)), "{usage} would be said");
        }
    }
}
