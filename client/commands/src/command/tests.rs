//! Tests of the command table and of typed lines.

use super::*;
use crate::arguments::Kind;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

fn call(line: &str, in_chat: bool) -> (&'static str, Arguments) {
    let call = parse_line(line, in_chat).unwrap();
    (call.name(), call.arguments)
}

fn code(line: &str) -> &'static str {
    parse_line(line, false).unwrap_err().failure.code.name()
}

#[test]
fn names_and_aliases_are_unique_and_can_be_typed() {
    let mut seen = HashSet::new();
    for command in TABLE {
        for name in [&command.name].into_iter().chain(command.aliases) {
            assert!(seen.insert(*name), "{name} is there twice");
            assert!(!name.is_empty() && !name.contains(char::is_whitespace), "{name:?}");
            assert!(!name.starts_with(['/', '{']), "{name:?}");
            assert_eq!(name.to_lowercase(), **name);
        }
    }
}

#[test]
fn each_role_has_one_command() {
    for role in [
        Role::SignUp,
        Role::LogIn,
        Role::Connect,
        Role::Say,
        Role::Switch,
        Role::EndChat,
        Role::Leave,
        Role::History,
        Role::Help,
        Role::Quit,
    ] {
        let of_role = TABLE.iter().filter(|command| command.role == Some(role));
        assert_eq!(of_role.count(), 1, "{role:?}");
    }
}

#[test]
fn no_other_file_names_a_command() {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let own = clients.join("commands/src/commands");
    let mut searched = 0;
    // The crates below must not depend on the commands.
    let above = ["commands", "lua", "terminal"].map(|name| clients.join(name).join("src"));
    let files = above.iter().flat_map(|folder| sources(folder));
    for path in files.filter(|path| !path.starts_with(&own)) {
        let source = std::fs::read_to_string(&path).unwrap();
        let shipped = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        for line in shipped.lines().filter(is_code) {
            for command in TABLE {
                let name = format!("\"{}\"", command.name);
                // A plugin's filter and a file are called like a command.
                let is_other = line.contains("FilterKind::") || line.contains(".join(");
                assert!(is_other || !line.contains(&name), "{}: {line}", path.display());
            }
        }
        searched += 1;
    }
    assert!(searched > 50, "{searched}");
}

/// Returns the source files below a folder, without tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_of_tests = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_of_tests {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") && !is_of_tests {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_command_is_documented() {
    for command in TABLE {
        let Command { name, summary, .. } = command;
        assert!(summary.len() > 10 && summary.ends_with('.'), "{name}: {summary}");
        assert!(summary.len() <= 72 && !summary.contains('\n'), "{name}: {summary}");
    }
}

#[test]
fn every_example_is_a_call_of_its_command() {
    for command in TABLE {
        let parsed = parse_line(command.example, false).unwrap();
        assert_eq!(parsed.name(), command.name);
        let slashed = parse_line(&format!("/{}", command.example), true).unwrap();
        assert_eq!(slashed.name(), command.name);
    }
}

#[test]
fn parameters_leave_no_doubt() {
    for command in TABLE {
        let typed: Vec<&Parameter> = command.parameters.iter().collect();
        let names: HashSet<&str> = typed.iter().map(|parameter| parameter.name).collect();
        assert_eq!(names.len(), typed.len(), "{}: a name is there twice", command.name);
        let text = typed.iter().position(|p| matches!(p.kind, Kind::Text | Kind::Path));
        let after = text.map_or(&[][..], |at| &typed[at + 1..]);
        let lost = after.iter().find(|p| !p.to_string().is_empty());
        assert!(lost.is_none(), "{}: nothing can follow a text", command.name);
        let required = typed.iter().rposition(|p| !p.optional);
        let optional = typed.iter().position(|p| p.optional);
        assert!(required < optional || optional.is_none(), "{}", command.name);
    }
}

#[test]
fn what_is_asked_for_is_a_parameter() {
    for Command { name, parameters, asks, .. } in TABLE {
        let asked: &[Parameter] = match asks {
            Asks::Nothing => &[],
            Asks::Password(account) => &[**account, PASSWORD],
            Asks::Recovery => &[PASSWORD],
            Asks::NewPassword(_) => &[PASSWORD, REPEATED],
            Asks::ChangedPassword => &[PASSWORD, NEW_PASSWORD, REPEATED],
            Asks::Passphrase { action, .. } => &[**action, PASSWORD, REPEATED],
            Asks::Text(text, _) => &[**text],
        };
        assert!(asked.iter().all(|asked| parameters.contains(asked)), "{name}");
    }
}

#[test]
fn a_word_is_a_command_when_no_chat_is_open() {
    assert_eq!(call("list", false).0, "list");
    assert_eq!(call("/LIST", false).0, "list");
    assert_eq!(call("  /  list  ", false).0, "list");
    assert_eq!(code("hello bob"), "unknown_command");
    assert_eq!(code("/"), "unknown_command");
    assert_eq!(code("connect"), "bad_arguments");
}

#[test]
fn in_a_chat_plain_text_is_said() {
    for (line, text) in [("list", "list"), ("two  words\r", "two  words"), ("//x", "/x")] {
        let (name, arguments) = call(line, true);
        assert_eq!((name, arguments), call(&format!("say {text}"), false), "{line}");
    }
    assert_eq!(call("/list", true).0, "list");
}

#[test]
fn a_line_is_marked_as_a_command_by_one_slash() {
    for line in ["/list", " /list", "/ list", "/"] {
        assert!(is_marked(line), "{line}");
    }
    for line in ["list", "//list", "", "a /list"] {
        assert!(!is_marked(line), "{line}");
    }
}

#[test]
fn a_text_that_is_asked_for_may_be_missing_in_a_typed_line() {
    for line in ["broadcast", "/all", "ALL  "] {
        let call = parse_line(line, false).unwrap();
        assert!(call.question().is_some(), "{line}");
        assert!(call.answered("hello".into()).question().is_none());
    }
    assert!(parse_line("broadcast hello", false).unwrap().question().is_none());
    let object = parse_object("broadcast", &serde_json::Map::new());
    assert_eq!(object.unwrap_err().failure.code, FailureCode::BadArguments);
}

#[test]
fn a_misuse_says_how_it_is_typed_without_repeating_it() {
    let rejection = parse_line("connect \x1b[2J b c d", false).unwrap_err();
    assert_eq!(rejection.command.map(|command| command.name), Some("connect"));
    let message = rejection.failure.message;
    assert!(message.contains("connect WHO [force]"), "{message}");
    assert!(!message.contains('\x1b'), "{message}");
}

#[test]
fn every_parameter_is_explained() {
    for command in TABLE {
        for parameter in command.parameters.iter().filter(|parameter| parameter.is_typed()) {
            assert!(!parameter.help.is_empty(), "{} {}", command.name, parameter.name);
            let needs_a_question = !parameter.optional;
            assert_eq!(parameter.question.ends_with('?'), needs_a_question, "{}", command.name);
        }
    }
}

#[test]
fn missing_argument_is_asked_for_in_plain_words() {
    let message = |line| parse_line(line, false).unwrap_err().failure.message;
    assert_eq!(message("switch"), "Switch to whom? Usage: switch WHO; for example: switch bob");
    let object = serde_json::json!({"txt": "hello"});
    let refused = parse_object("say", object.as_object().unwrap()).unwrap_err().failure;
    assert!(refused.message.starts_with("`say` takes no `txt`; it takes `text`, `to`."));
}
