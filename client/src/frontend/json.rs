//! `--json`: for programs. Every line out is an object, with `"event"` or `"reply"`.
//!
//! A line in is a command as a user types it, or an object:
//! `{"id": 7, "command": "connect", "arguments": {"who": "bob"}}`. The reply carries the id, a
//! number or a string of the program's own choice.

use letschat_flags::output::Stream;
use letschat_protocol::printable::printable_json;
use serde::Serialize;
use serde_json::{Map, Value};

use super::lines::Entries;
use super::{Dialect, Entry, Outcome, OutputClosed, Stage};
use crate::command::{Call, Rejection, parse_line};
use crate::event::Event;
use crate::session::{Failure, Reply};

/// Runs the front end; the result is the exit status.
pub fn run(stage: Stage) -> u8 {
    super::run(stage, Json)
}

struct Json;

/// A reply or a failure, as it is written.
#[derive(Serialize)]
struct ReplyLine<'a> {
    reply: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    #[serde(flatten)]
    reply_fields: Option<&'a Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Failure>,
}

impl Dialect for Json {
    type Input = Entries;

    fn input(&self) -> Entries {
        Entries::start(read)
    }

    async fn event(&self, event: &Event) -> Result<(), OutputClosed> {
        write(event)
    }

    async fn result(&self, outcome: &Outcome) -> Result<(), OutputClosed> {
        write(&reply_line(outcome))
    }
}

fn read(line: &str) -> Option<Entry> {
    match line.trim() {
        "" => None,
        object if object.starts_with('{') => Some(read_object(object)),
        _ => Some(Entry::Typed(line.to_owned())),
    }
}

/// What a line asks for where no plugin adds commands: the id of its reply, and the call or why there
/// is none. `None`: an empty line.
pub fn read_call(line: &str, in_chat: bool) -> Option<(Option<Value>, Result<Call, Rejection>)> {
    read(line).map(|entry| entry.into_call(|line| parse_line(line, in_chat)))
}

fn reply_line(outcome: &Outcome) -> ReplyLine<'_> {
    ReplyLine {
        reply: outcome.command,
        id: outcome.id.as_ref(),
        reply_fields: outcome.result.as_ref().ok(),
        error: outcome.result.as_ref().err(),
    }
}

fn read_object(text: &str) -> Entry {
    let malformed = |id, expected: &str| Entry::Malformed {
        id,
        failure: Failure::new("malformed", format!("Expected {expected}.")),
    };
    let Ok(Value::Object(mut object)) = serde_json::from_str(text) else {
        return malformed(None, "a JSON object, or a command as it is typed");
    };
    let id = match object.remove("id") {
        None | Some(Value::Null) => None,
        Some(id @ (Value::Number(_) | Value::String(_))) => Some(id),
        Some(_) => return malformed(None, "a number or a string as \"id\""),
    };
    let Some(Value::String(command)) = object.remove("command") else {
        return malformed(id, "the name of a command as \"command\"");
    };
    let arguments = match object.remove("arguments") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return malformed(id, "an object as \"arguments\""),
    };
    if !object.is_empty() {
        return malformed(id, "nothing but \"id\", \"command\" and \"arguments\"");
    }
    Entry::Object { id, command, arguments }
}

fn write(value: &impl Serialize) -> Result<(), OutputClosed> {
    // What is written here has no keys that could fail.
    let line = serde_json::to_string(value).map_err(|_| OutputClosed::NotRead)?;
    Ok(Stream::Output.write_line(&printable_json(line))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_protocol::printable::is_printable;
    use serde_json::json;

    fn shown(command: &'static str, id: Option<Value>, result: Result<Reply, Failure>) -> Value {
        let outcome = Outcome { command: Some(command), id, result };
        serde_json::to_value(reply_line(&outcome)).unwrap()
    }

    #[test]
    fn a_reply_has_the_commands_name_the_id_and_the_fields() {
        let sent = Reply::Sent { to: "bob".into(), number: 3 };
        let expected = json!({"reply": "say", "id": 7, "to": "bob", "number": 3});
        assert_eq!(shown("say", Some(json!(7)), Ok(sent)), expected);
        let expected = json!({"reply": "watch"});
        assert_eq!(shown("watch", None, Ok(Reply::Done {})), expected);
        let failure = Failure::new("nobody", "Nobody.");
        let error = json!({"code": "nobody", "message": "Nobody."});
        let expected = json!({"reply": "connect", "id": "a", "error": error});
        assert_eq!(shown("connect", Some(json!("a")), Err(failure)), expected);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_comes_out_and_nothing_is_lost() {
        let text = "\u{7f}\u{9b}31m\u{202e}\u{200b}\u{e0001} ü 👍";
        let line = printable_json(serde_json::to_string(text).unwrap());
        assert!(is_printable(&line), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn a_line_of_output_is_one_line() {
        let said = Reply::Said { message: "two\nlines\r\u{1b}[2J".into() };
        let outcome = Outcome { command: Some("help"), id: None, result: Ok(said) };
        let line = serde_json::to_string(&reply_line(&outcome)).unwrap();
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    }

    #[test]
    fn objects_and_typed_lines_are_told_apart() {
        assert!(read("  ").is_none());
        assert!(matches!(read("list"), Some(Entry::Typed(line)) if line == "list"));
        let entry = read(r#" {"id": 7, "command": "say", "arguments": {"text": "x"}} "#);
        let Some(Entry::Object { id, command, arguments }) = entry else { panic!() };
        assert_eq!((id, command.as_str()), (Some(json!(7)), "say"));
        assert_eq!(arguments["text"], "x");
    }

    #[test]
    fn what_is_no_command_is_malformed_and_keeps_its_id() {
        for (line, expected_id) in [
            ("{", None),
            ("{}", None),
            (r#"{"id": 7}"#, Some(json!(7))),
            (r#"{"id": "x", "command": 1}"#, Some(json!("x"))),
            (r#"{"id": [1], "command": "list"}"#, None),
            (r#"{"id": 7, "command": "list", "arguments": []}"#, Some(json!(7))),
            (r#"{"id": 7, "command": "list", "argumets": {}}"#, Some(json!(7))),
            ("{\"command\": \"list\"} trailing", None),
        ] {
            let Some(Entry::Malformed { id, failure }) = read(line) else { panic!("{line}") };
            assert_eq!((id, failure.code), (expected_id, "malformed"), "{line}");
        }
        let deep = "{\"a\":".repeat(10_000);
        assert!(matches!(read(&deep), Some(Entry::Malformed { .. })));
    }
}
