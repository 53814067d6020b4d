//! Which line is which command.

use letschat_protocol::printable::{Printable, is_blank};

/// What the console knows, as `help` shows it.
pub(crate) const COMMANDS: &[(&str, &str)] = &[
    ("list", "Show who is logged in."),
    ("say TEXT", "Say a text to everybody; a line that is no command is said as well."),
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

impl Command {
    /// A line is a command if it is exactly that, in any case of letters; anything else is said to
    /// everybody. An empty line is nothing.
    pub(super) fn understand(line: &str) -> Option<Command> {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Some(match (word.to_ascii_lowercase().as_str(), rest.trim_start()) {
            _ if is_blank(line) => return None,
            ("list", "") => Command::List,
            ("stats", "") => Command::Stats,
            ("help", "") => Command::Help,
            ("exit", "") => Command::Exit,
            ("kick", name) if is_one_word(name) => Command::Kick(name.to_owned()),
            // What nobody would see.
            ("say", text) if !text.is_empty() && is_blank(text) => return None,
            ("say", text) if !text.is_empty() => Command::Say(Printable(text).to_string()),
            _ => Command::Say(Printable(line).to_string()),
        })
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
            Command::Say(text) => Some(text),
            command => panic!("{line:?} is {command:?}"),
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
            assert_eq!(Command::understand(line), Some(command), "{line:?}");
        }
    }

    #[test]
    fn anything_else_is_said_whole() {
        let lines =
            ["lst", "quit", "exit now", "list everybody", "kick", "kick a b", "say", "sayyes"];
        for line in lines {
            assert_eq!(said(line).as_deref(), Some(line));
        }
        assert_eq!(said("say  list").as_deref(), Some("list"));
        assert_eq!(said(" lunch  at one ").as_deref(), Some("lunch  at one"));
    }

    #[test]
    fn an_empty_line_says_nothing() {
        for line in ["", "  ", "\t\r", "\u{200b}\u{2800}", "say \u{200b}"] {
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
            assert_ne!(command, Command::Say(typed), "{usage} would be said");
        }
    }
}
