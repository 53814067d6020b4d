//! The operator's console: commands that are typed while the server runs, and their answers.
//!
//! A line is a command, a mistake or a text for everybody. Each gets an answer, so that the
//! operator sees how it was taken. The log goes to standard error instead.
//!
//! * `lines` – bounded lines from a terminal or a pipe
//! * `command` – parsing of lines into commands
//! * `answer` – answers as lines of text
//! * `screen` – what happens in a classroom, on the same standard output

mod answer;
mod command;
mod lines;
mod screen;
pub(crate) use command::COMMANDS;
pub(crate) use screen::Screen;

use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::thread;

use letschat_flags::output::{OutputError, Stream};
use letschat_protocol::limits::MAX_BROADCAST_BYTES;
use letschat_protocol::rows::wrap;
use letschat_server::Controls;
use letschat_server::hub::{Operator, OperatorAnswer, SessionPage, SessionSummary};

use command::Command;
use lines::{Line, Source, next_line};

/// The rules by which a line is a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// A line that looks like a command is never said.
    Standard,
    /// Only `Exit` and a line that begins with a slash are commands: everything else is said.
    /// `is_typed` is true if a terminal shows what is typed, so that the text needs no answer.
    Classroom { is_typed: bool },
}

impl Rules {
    /// Returns the rules of a classroom.
    pub(crate) fn of_classroom() -> Rules {
        let is_typed = io::stdin().is_terminal() && Stream::Output.columns() > 0;
        Rules::Classroom { is_typed }
    }

    /// Returns the sign before a command.
    fn mark(self) -> &'static str {
        match self {
            Rules::Standard => "",
            Rules::Classroom { .. } => "/",
        }
    }
}

/// Starts the console if standard input is a terminal or a pipe. The server outlives the end of the
/// input.
pub(crate) fn listen(controls: Controls, rules: Rules) -> io::Result<()> {
    let Some(source) = Source::standard_input()? else {
        return Ok(());
    };
    let obey = move || {
        let operate = |operator| smol::block_on(controls.operate(operator));
        let print = |lines: &[String]| print(lines, Stream::Output.columns());
        converse(rules, BufReader::new(source), operate, print);
    };
    // Never joined: a read of a terminal can't be cancelled, so this thread lasts until the process
    // exits. A blocked standard output stops only this thread.
    thread::Builder::new().name("console".into()).spawn(obey)?;
    Ok(())
}

/// Answers line by line, until the input or the server has ended.
fn converse(
    rules: Rules,
    mut input: impl BufRead,
    operate: impl Fn(Operator) -> Option<OperatorAnswer>,
    mut print: impl FnMut(&[String]) -> Result<(), OutputError>,
) {
    let mut is_answering = true;
    loop {
        let line = match next_line(&mut input) {
            Ok(Some(line)) => line,
            Ok(None) => return,
            Err(error) => return tracing::warn!("the console can't be read any more: {error}"),
        };
        let Some(answer) = respond(rules, line, &operate) else {
            return;
        };
        // A command is carried out even if its answer can't be printed.
        let printed = print(&answer);
        if let Err(error) = &printed
            && is_answering
            && !error.is_not_read()
        {
            tracing::warn!("the console is obeyed and not answered: {error}");
        }
        is_answering = printed.is_ok();
    }
}

/// Prints each line in one write, so that lines of the log never split it.
fn print(lines: &[String], columns: usize) -> Result<(), OutputError> {
    lines.iter().try_for_each(|line| Stream::Output.write_line(&wrap(line, columns)))
}

/// Carries out the command of a line. Returns `None` once the server has been stopped.
fn respond(
    rules: Rules,
    line: Line,
    operate: impl Fn(Operator) -> Option<OperatorAnswer>,
) -> Option<Vec<String>> {
    let line = match line {
        Line::Text(line) => line,
        Line::TooLong { bytes } => return Some(answer::too_long(bytes)),
        Line::NotUtf8 => return Some(answer::not_utf8()),
    };
    let command = match Command::understand(rules, &line) {
        None => return Some(Vec::new()),
        Some(Err(mistake)) => return Some(answer::mistake(rules, mistake)),
        Some(Ok(command)) => command,
    };
    let (command, server) = match command {
        Command::At(server, command) => (*command, Some(server)),
        all => (all, None),
    };
    let operate = |operator| match &server {
        Some(server) => {
            operate(Operator::At { server: server.clone(), command: Box::new(operator) })
        }
        None => operate(operator),
    };
    let answer = match command {
        Command::Help => return Some(answer::help(rules)),
        Command::Say(text) if text.len() > MAX_BROADCAST_BYTES => {
            return Some(answer::too_long(text.len() as u64));
        }
        Command::Say(text) => operate(Operator::Say(text)),
        Command::Kick(name) => match name.parse() {
            Ok(username) => operate(Operator::Kick(username)),
            Err(error) => return Some(answer::no_username(error)),
        },
        Command::List => whole_list(operate),
        Command::Stats => operate(Operator::Stats),
        // `at_server` takes one name alone.
        Command::Exit | Command::At(..) => operate(Operator::Stop),
    };
    answer.map(|answer| answer::lines(rules, &answer))
}

/// Fetches all pages of the list before printing, so that its columns can be aligned.
fn whole_list(operate: impl Fn(Operator) -> Option<OperatorAnswer>) -> Option<OperatorAnswer> {
    let mut sessions: Vec<SessionSummary> = Vec::new();
    loop {
        let after = sessions.last().map(|session| session.username.clone());
        let answer = operate(Operator::List { after })?;
        let OperatorAnswer::Sessions(page) = answer else {
            return Some(answer);
        };
        let SessionPage { sessions: next, more, occupancy } = page;
        sessions.extend(next);
        if !more {
            return Some(OperatorAnswer::Sessions(SessionPage { sessions, more, occupancy }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_server::hub::Occupancy;
    use std::cell::RefCell;

    const CLASSROOM: Rules = Rules::Classroom { is_typed: false };

    /// The effects and the output of typed lines.
    struct Obeyed {
        wanted: Vec<Operator>,
        shown: String,
    }

    /// Types lines to an empty server, which ends when it is stopped.
    fn typed(input: &[u8]) -> Obeyed {
        typed_by(Rules::Standard, input)
    }

    fn typed_by(rules: Rules, input: &[u8]) -> Obeyed {
        let wanted = RefCell::new(Vec::new());
        let operate = |operator: Operator| {
            wanted.borrow_mut().push(operator.clone());
            match operator {
                Operator::Say(text) => {
                    Some(OperatorAnswer::Said { text, recipients: 0, later: Vec::new() })
                }
                Operator::Kick(username) => {
                    Some(OperatorAnswer::NotHere { username, server: None })
                }
                _ => None,
            }
        };
        let shown = shown(rules, input, operate);
        Obeyed { wanted: wanted.into_inner(), shown }
    }

    /// Returns the printed answers with their line ends.
    fn shown(
        rules: Rules,
        input: &[u8],
        operate: impl Fn(Operator) -> Option<OperatorAnswer>,
    ) -> String {
        let mut shown = String::new();
        converse(rules, input, operate, |lines| {
            shown.extend(lines.iter().flat_map(|line| [line, "\n"]));
            Ok(())
        });
        shown
    }

    #[test]
    fn exit_in_any_case_stops_and_the_end_of_input_does_not() {
        assert_eq!(typed(b"ExIt\nstats\n").wanted, [Operator::Stop]);
        assert_eq!(typed(b"\n \n").wanted, []);
    }

    #[test]
    fn in_a_classroom_only_exit_and_a_slash_are_commands() {
        let typed = typed_by(CLASSROOM, b"list\nkick bob\nexit now\n/kick bob\n/say list\nEXIT\n");
        let said = |text: &str| Operator::Say(text.into());
        let bob = Operator::Kick("bob".parse().unwrap());
        let wanted = [said("list"), said("kick bob"), said("exit now"), bob, said("list")];
        assert_eq!(typed.wanted[..5], wanted);
        assert_eq!(typed.wanted[5..], [Operator::Stop]);
    }

    #[test]
    fn text_that_a_terminal_shows_is_not_repeated() {
        let operate = |_| {
            Some(OperatorAnswer::Said { text: "good day".into(), recipients: 2, later: Vec::new() })
        };
        for (is_typed, expected) in [(true, ""), (false, "Server: good day\n")] {
            let rules = Rules::Classroom { is_typed };
            assert_eq!(shown(rules, b"good day\n", operate), expected);
        }
    }

    #[test]
    fn in_a_classroom_a_mistake_is_not_said() {
        let typed = typed_by(CLASSROOM, b"/lst\n/kick\n/nonsense\n/\nhe\x1b[Dllo\n");
        assert_eq!(typed.wanted, []);
        let shown: Vec<&str> = typed.shown.lines().collect();
        let say = "`/say` before a text says it to everybody.";
        assert_eq!(shown[0], format!("Nothing was done: did you mean `/list`? {say}"));
        assert_eq!(shown[1], format!("Nothing was done: the command is `/kick NAME`. {say}"));
        assert_eq!(shown.len(), 5);
        assert!(shown.iter().all(|line| line.ends_with(say)), "{shown:?}");
    }

    #[test]
    fn a_mistake_is_told_to_the_operator_alone() {
        let obeyed = typed(b"kick\nlst\nsay lst\n");
        assert_eq!(obeyed.wanted, [Operator::Say("lst".into())]);
        assert_eq!(
            obeyed.shown,
            "Nothing was done: the command is `kick NAME`. `say` before a text says it to everybody.\n\
             Nothing was done: did you mean `list`? `say` before a text says it to everybody.\n\
             said to nobody: lst\n"
        );
    }

    #[test]
    fn a_text_may_have_as_many_bytes_as_a_broadcast_and_no_more() {
        let longest = "ä".repeat(MAX_BROADCAST_BYTES / 2);
        let obeyed = typed(format!("say {longest}\nsay {longest}!\n{longest}!\n").as_bytes());
        assert_eq!(obeyed.wanted, [Operator::Say(longest.clone())]);
        let refusal = "Nothing was said: a text has at most 900 bytes, and that has 901.\n";
        assert_eq!(obeyed.shown, format!("said to nobody: {longest}\n{refusal}{refusal}"));
    }

    #[test]
    fn a_text_is_measured_as_it_is_sent() {
        let escapes = "\u{1b}".repeat(MAX_BROADCAST_BYTES / 6 + 1);
        let obeyed = typed(format!("say {escapes}!\n").as_bytes());
        assert_eq!(obeyed.wanted, []);
        assert!(obeyed.shown.contains("and that has 907."), "{}", obeyed.shown);
    }

    #[test]
    fn line_that_is_no_text_is_refused_and_the_next_is_obeyed() {
        let endless = [&[b'x'; 102_400], &b"\ncaf\xe9\nhello\n"[..]].concat();
        let obeyed = typed(&endless);
        assert_eq!(obeyed.wanted, [Operator::Say("hello".into())]);
        assert_eq!(
            obeyed.shown,
            "Nothing was said: a text has at most 900 bytes, and that has 102400.\n\
             Nothing was said: that line is not UTF-8.\n\
             said to nobody: hello\n"
        );
    }

    #[test]
    fn who_is_not_here_or_can_not_be_is_told_in_a_sentence() {
        let obeyed = typed(b"kick Bob\nkick b\x1bb\n");
        assert_eq!(obeyed.wanted, [Operator::Kick("bob".parse().unwrap())]);
        let shown: Vec<&str> = obeyed.shown.lines().collect();
        assert_eq!(shown[0], "Nobody was kicked: bob is not here; `list` shows who is.");
        assert!(shown[1].starts_with("Nobody was kicked: a username is made of"), "{shown:?}");
        assert_eq!(shown.len(), 2);
    }

    #[test]
    fn the_list_is_asked_for_to_its_end() {
        let session = |number: usize| SessionSummary {
            username: format!("user{number}").parse().unwrap(),
            address: "10.0.0.1".parse().unwrap(),
            port: None,
            by_hand: true,
            since_wall_ms: 0,
            logged_in_ms: 0,
            at: letschat_server::hub::SessionPlace::Here { idle_ms: 0, datagrams: false },
        };
        let operate = |operator| {
            let Operator::List { after } = operator else { panic!("{operator:?}") };
            let next = after.map_or(0, |name| name.as_str()[4..].parse::<usize>().unwrap() + 1);
            Some(OperatorAnswer::Sessions(SessionPage {
                sessions: vec![session(next)],
                more: next < 2,
                occupancy: Occupancy { taken: 3, places: 3, before_login: 0 },
            }))
        };
        let shown = shown(Rules::Standard, b"list\n", operate);
        let names: Vec<&str> =
            shown.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["username", "user0", "user1", "user2", "3"]);
    }
}
