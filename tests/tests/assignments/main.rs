//! docs/ASSIGNMENTS.md, followed to the letter: its commands are typed at terminals on a machine of their own.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod classroom;
mod csv;
mod direct_chat;
mod open_room;
mod pictures;
mod relayed;
mod table;

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Parser as _;
use letschat::config::Options;
use letschat_commands::command::parse_line;
use letschat_commands::commands::TABLE;
use letschat_tests::machine::Machine;
use letschat_tests::person::Person;
use letschat_tests::programs::program;
use letschat_tests::project::root;

const DOCUMENT: &str = include_str!("../../../docs/ASSIGNMENTS.md");

/// Returns the text of an assignment.
fn section(title: &str) -> &'static str {
    let (_, rest) = DOCUMENT.split_once(&format!("\n## {title}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// Returns the lines of all blocks with this fence.
fn lines<'a>(text: &'a str, fence: &str) -> Vec<&'a str> {
    let opening = format!("```{fence}\n");
    let blocks = text.split(&opening).skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.flat_map(|(block, _)| block.lines()).collect()
}

/// Returns the commands of an assignment.
fn commands(title: &str) -> Vec<&'static str> {
    lines(section(title), "sh")
}

/// Runs the client for the first time, and makes an account.
fn join(machine: &Machine, command: &str, name: &str, home: &Path) -> Person {
    let person = machine.types(&command.replace("HOST", "127.0.0.1"), home);
    person.is_prompted("Do you have an account here (y/n)? ");
    person.types("n");
    person.is_prompted("The name you want (a-z, 0-9, _ - .): ");
    person.types(name);
    person.chooses_password();
    person.sees("What next?");
    person.is_prompted("letschat> ");
    person
}

fn is_chat_command(name: &str) -> bool {
    TABLE.iter().any(|command| command.name == name.trim_start_matches('/'))
}

/// Commands in running text are understood; those in blocks and tables are typed by the other tests.
#[test]
fn commands_in_the_text_are_understood() {
    let prose: String = DOCUMENT.split("```").step_by(2).collect();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let mut understood = 0;
    for command in prose.split('`').skip(1).step_by(2) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["letschat", "ID", ..] => {}
            ["letschat", ..] => drop(Options::try_parse_from(&words).unwrap()),
            ["letschat-server", ref arguments @ ..] => {
                // The final --help makes the program check the arguments before it and exit.
                let mut server = Command::new(program("letschat-server"));
                let output = server.args(arguments).arg("--help").output().unwrap();
                assert!(output.status.success(), "{command}: {output:?}");
            }
            ["letschat-gtk"] => assert!(program("letschat-gtk").is_file()),
            ["make", target] => assert!(makefile.contains(&format!("\n{target}:")), "{command}"),
            // The names alone are explained beside their task, and so need no arguments.
            [name, _, ..] if is_chat_command(name) => {
                let parsed = parse_line(command.trim_start_matches('/'), false);
                assert!(parsed.is_ok(), "{command}");
            }
            _ => continue,
        }
        understood += 1;
    }
    assert!(understood >= 10, "{understood} commands");
}
