//! docs/ASSIGNMENTS.md, checked against the programs: commands, the CSV file, the relayed chat, pictures.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Parser as _;
use letschat::config::Options;
use letschat_commands::command::parse_line;
use letschat_tests::person::Person;
use letschat_tests::programs::program;
use letschat_tests::project::root;
use letschat_tests::server::TestServer;

const DOCUMENT: &str = include_str!("../../docs/ASSIGNMENTS.md");

/// Returns the lines of all blocks with this fence.
fn lines(fence: &str) -> Vec<&str> {
    let opening = format!("```{fence}\n");
    let blocks = DOCUMENT.split(&opening).skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.flat_map(|(block, _)| block.lines()).collect()
}

#[test]
fn commands_for_a_shell_are_understood() {
    let commands = lines("sh");
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[0] {
            "letschat" => drop(Options::try_parse_from(&words).unwrap()),
            "letschat-server" => {
                // The final --help makes the program check the arguments before it and exit.
                let output = Command::new(program("letschat-server"))
                    .args(&words[1..])
                    .arg("--help")
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{command}: {output:?}");
            }
            other => panic!("nobody knows {other}"),
        }
    }
}

#[test]
fn commands_in_the_table_are_understood() {
    for command in ["list", "connect bob", "broadcast Lunch at noon"] {
        assert!(DOCUMENT.contains(&format!("| `{command}` |")), "{command}");
        assert!(parse_line(command, false).is_ok(), "{command}");
    }
}

#[test]
fn csv_file_of_the_document_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("accounts.csv"), folder.path().join("copy.csv"));
    fs::write(&file, lines("csv").join("\n")).unwrap();
    let account = |task: &str, file: &Path| {
        let mut command = Command::new(program("letschat-server"));
        command.env("XDG_CONFIG_HOME", folder.path()).arg("--data").arg(folder.path());
        let output = command.args(["account", task]).arg(file).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = account("import", &file);
    assert!(DOCUMENT.contains(&format!("(`{}`)", said.trim_end())), "{said}");
    account("export", &copy);
    assert!(fs::read_to_string(copy).unwrap().starts_with("username,password_hash\r\nalice,"));
}

/// Plays the table of the relayed chat. A row is `| NAME: typed | shown at NAME and NAME |`, both texts in backquotes.
#[test]
fn relayed_chat_goes_as_the_document_tells() {
    const PEOPLE: [&str; 3] = ["Alice", "Bob", "Carol"];
    let server = TestServer::start(&[]);
    let people = PEOPLE.map(|name| Person::join(&server, &name.to_lowercase()));
    let named = |text: &str| -> Vec<&Person> {
        let all = PEOPLE.iter().zip(&people);
        all.filter(|(name, _)| text.contains(**name)).map(|(_, person)| person).collect()
    };
    let section = DOCUMENT.split("## The relayed online chat").nth(1).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| who types |")).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 14, "{rows:?}");
    for row in rows {
        let parts: Vec<&str> = row.split('`').collect();
        let [who, typed, _, shown, viewers] = parts[..] else { panic!("{row}") };
        let (typists, viewers) = (named(who), named(viewers));
        assert!(typists.len() == 1 && !viewers.is_empty(), "{row}");
        typists[0].types(typed);
        for viewer in viewers {
            viewer.sees(shown);
        }
    }
    // The server's terminal, with envelopes of any size.
    let line = "alice -> bob, 1 envelope, ";
    assert!(section.contains(&format!("`{line}")));
    server.wait_log(line);
    server.wait_log(" bytes, pushed");
}

#[test]
fn pictures_show_what_the_document_tells() {
    let told: Vec<&str> = DOCUMENT.split("![").skip(1).collect();
    assert_eq!(told.len(), 4);
    for (image, (subject, sentences)) in told.iter().zip([
        ("session", &["asks for a chat."][..]),
        ("accounts", &["account import accounts.csv", "2 imported", "Lunch at noon"]),
        ("open-room", &["Server Initialized...", "&lt;From 127.0.0.1:"]),
        (
            "classroom",
            &["Client 5: initiated", "Server: terminated.", "Server: initiated", "5: reconnected"],
        ),
    ]) {
        let (_, rest) = image.split_once("](").unwrap();
        assert!(rest.starts_with(&format!("{subject}.svg)")), "{rest}");
        let drawn = fs::read_to_string(root().join(format!("docs/{subject}.svg"))).unwrap();
        for sentence in sentences {
            let way = format!("`scripts/picture.sh {subject}` draws it");
            assert!(drawn.contains(sentence), "{subject}.svg lacks {sentence:?}: {way}");
        }
    }
}
