//! `--json`: for programs. Every line out is an object, with `"event"` or `"reply"`.
//!
//! A line in is a command as a user types it, or an object:
//! `{"id": 7, "command": "connect", "arguments": {"who": "bob"}}`. The reply carries the id, a
//! number or a string of the program's choice, exactly as written. An id with raw control characters is
//! an error: the program has to escape them. So is a line that begins with `{`, `[` or
//! `"` and is no such object.

use std::fmt;

use letschat_flags::output::Stream;
use letschat_protocol::printable::{is_printable, may_hide, printable_json};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::lines::Entries;
use super::{CommandResult, Dialect, Entry, FrontEnd, Id, OutputClosed};
use letschat_commands::command::{Call, Rejection, parse_line};
use letschat_commands::failure::Failure;
use letschat_commands::text::{ReplyWithMessage, WithMessage};
use letschat_core::codes::FailureCode;
use letschat_core::event::Event;
use letschat_engine::events::Receipt;

/// Runs the front end, with or without own messages among the events. Returns the exit status.
pub fn run(front_end: FrontEnd, own_messages: bool) -> u8 {
    super::run(front_end, Json { own_messages })
}

struct Json {
    /// True if own messages are printed. Programs of version 0.1 answer every message.
    own_messages: bool,
}

/// A reply or a failure in its JSON form.
#[derive(Serialize)]
struct ReplyLine<'a> {
    reply: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(flatten)]
    reply_fields: Option<ReplyWithMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Failure>,
}

impl Dialect for Json {
    type Input = Entries;

    fn input(&self) -> Entries {
        Entries::start(read)
    }

    async fn event(&self, event: &Event, receipt: Receipt) -> Result<(), OutputClosed> {
        let is_asked_for = self.own_messages || !event.is_own_message();
        if is_asked_for && !event.is_for_views() {
            write(&WithMessage::from(event))?;
        }
        receipt.confirm();
        Ok(())
    }

    async fn result(&self, outcome: &CommandResult) -> Result<(), OutputClosed> {
        write(&reply_line(outcome))
    }
}

/// Reads a line. A line that looks like JSON, even after invisible characters, is an object or an error. It is never
/// text for a chat, since it may hold a password.
fn read(line: &str) -> Option<Entry> {
    let visible = line.trim_start_matches(|c: char| c.is_whitespace() || may_hide(c));
    match visible.chars().next() {
        None if line.trim().is_empty() => None,
        Some('{' | '[' | '"') => Some(read_object(line.trim())),
        _ => Some(Entry::Typed(line.to_owned())),
    }
}

/// Parses a line without commands of plugins into the id for the reply, and the call or the reason why there
/// is none. Returns `None` for an empty line.
pub fn read_call(line: &str, in_chat: bool) -> Option<(Option<Id>, Result<Call, Rejection>)> {
    read(line).map(|entry| entry.into_call(|line| parse_line(line, in_chat)))
}

fn reply_line(outcome: &CommandResult) -> ReplyLine<'_> {
    ReplyLine {
        reply: outcome.command.map(|command| command.name),
        id: outcome.id.as_deref(),
        reply_fields: outcome.result.as_ref().ok().map(ReplyWithMessage::from),
        error: outcome.result.as_ref().err(),
    }
}

fn read_object(text: &str) -> Entry {
    let malformed = |id, expected: &str| Entry::Malformed {
        id,
        failure: Failure::new(FailureCode::Malformed, format!("Expected {expected}.")),
    };
    let Ok(Members(members)) = serde_json::from_str(text) else {
        let expected = "a JSON object, or a command as it is typed; `/say TEXT` says a text that begins like one";
        return malformed(None, expected);
    };
    let (mut id, mut command, mut arguments, mut unknown) = (None, None, None, false);
    for (name, value) in members {
        let place = match name.as_str() {
            "id" => &mut id,
            "command" => &mut command,
            "arguments" => &mut arguments,
            _ => {
                unknown = true;
                continue;
            }
        };
        if place.replace(value).is_some() {
            return malformed(None, "each of \"id\", \"command\" and \"arguments\" once");
        }
    }
    let id = id.filter(|id| id.get() != "null");
    let is_id =
        |id: &Id| id.get().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
    if !id.as_ref().is_none_or(is_id) {
        return malformed(None, "a number or a string as \"id\"");
    }
    // Echoed as written: no number is rounded, and no character is escaped.
    if !id.as_ref().is_none_or(|id| is_printable(id.get())) {
        return malformed(None, "\\u escapes for the characters of \"id\" that can't be shown");
    }
    let Some(Ok(command)) = command.map(|raw| serde_json::from_str(raw.get())) else {
        return malformed(id, "the name of a command as \"command\"");
    };
    let arguments = arguments.as_deref().map_or("null", RawValue::get);
    let Ok(arguments) = serde_json::from_str::<Option<Map<String, Value>>>(arguments) else {
        return malformed(id, "an object as \"arguments\"");
    };
    if unknown {
        return malformed(id, "nothing but \"id\", \"command\" and \"arguments\"");
    }
    Entry::Object { id, command, arguments: arguments.unwrap_or_default() }
}

/// The members of an object as written, including repeated ones.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn write(value: &impl Serialize) -> Result<(), OutputClosed> {
    // These values have string keys only, so serialising them does not fail.
    let line = line_of(value).map_err(|_| OutputClosed::NotRead)?;
    Ok(Stream::Output.write_line(&line)?)
}

fn line_of(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value).map(printable_json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_commands::command;
    use letschat_commands::commands::TABLE;
    use letschat_core::conversation::{MessageState, Via};
    use letschat_core::session::Reply;
    use letschat_protocol::message_id::MessageId;
    use serde_json::json;

    fn shown(command: &str, id: Option<Value>, result: Result<Reply, Failure>) -> Value {
        let id = id.map(|id| RawValue::from_string(id.to_string()).unwrap());
        let outcome = CommandResult { command: Some(command::find(command).unwrap()), id, result };
        serde_json::to_value(reply_line(&outcome)).unwrap()
    }

    #[test]
    fn a_reply_has_the_commands_name_the_id_and_the_fields() {
        let message_id = MessageId::of_broadcast(1, 1);
        let (to, state) = ("bob".into(), MessageState::Sent);
        let sent = Reply::Sent {
            to,
            number: Some(3),
            message_id,
            state,
            via: Via::Direct,
            code: None,
            file: None,
        };
        let expected = json!({
            "reply": "say", "id": 7, "to": "bob", "number": 3,
            "message_id": message_id.to_string(), "state": "sent", "via": "direct",
        });
        assert_eq!(shown("say", Some(json!(7)), Ok(sent)), expected);
        let expected = json!({"reply": "watch"});
        assert_eq!(shown("watch", None, Ok(Reply::Done {})), expected);
        let failure = Failure::new(FailureCode::Nobody, "Nobody.");
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
        let outcome = CommandResult { command: TABLE.first().copied(), id: None, result: Ok(said) };
        let line = serde_json::to_string(&reply_line(&outcome)).unwrap();
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    }

    #[test]
    fn objects_and_typed_lines_are_told_apart() {
        assert!(read("  ").is_none());
        assert!(matches!(read("list"), Some(Entry::Typed(line)) if line == "list"));
        let entry = read(r#" {"id": 7, "command": "say", "arguments": {"text": "x"}} "#);
        let Some(Entry::Object { id, command, arguments }) = entry else { panic!() };
        assert_eq!((id.unwrap().get(), command.as_str()), ("7", "say"));
        assert_eq!(arguments["text"], "x");
    }

    #[test]
    fn what_is_no_command_is_malformed_and_keeps_its_id() {
        for (line, expected_id) in [
            ("{", None),
            ("{}", None),
            (r#"{"id": 7}"#, Some("7")),
            (r#"{"id": "x", "command": 1}"#, Some("\"x\"")),
            (r#"{"id": [1], "command": "list"}"#, None),
            (r#"{"id": {"id": 1}, "command": "list"}"#, None),
            (r#"{"id": true, "command": "list"}"#, None),
            (r#"{"id": 1, "id": 2, "command": "list"}"#, None),
            (r#"{"id": 1, "command": "list", "command": "quit"}"#, None),
            (r#"{"id": 01, "command": "list"}"#, None),
            (r#"{"id": 7, "command": "list", "arguments": []}"#, Some("7")),
            (r#"{"id": 7, "command": "list", "argumets": {}}"#, Some("7")),
            ("{\"command\": \"list\"} trailing", None),
        ] {
            let Some(Entry::Malformed { id, failure }) = read(line) else { panic!("{line}") };
            let id = id.as_deref().map(RawValue::get);
            assert_eq!((id, failure.code), (expected_id, FailureCode::Malformed), "{line}");
        }
        let deep = "{\"a\":".repeat(10_000);
        assert!(matches!(read(&deep), Some(Entry::Malformed { .. })));
        let deep = format!(r#"{{"command":"list","arguments":{deep}1{}}}"#, "}".repeat(10_000));
        assert!(matches!(read(&deep), Some(Entry::Malformed { .. })));
    }

    #[test]
    fn json_that_is_no_object_is_never_text() {
        let passwd = r#"{"command": "passwd", "arguments": {"password": "secret"}}"#;
        for line in [
            format!("[{passwd}]"),
            "\"quoted\"".into(),
            "  [1]".into(),
            format!("\u{a0}\u{200b}{passwd}"),
            format!("\u{feff}{passwd}"),
            // UTF-16 without a mark.
            passwd.chars().flat_map(|c| ['\0', c]).collect(),
            passwd.chars().flat_map(|c| [c, '\0']).collect(),
        ] {
            assert!(matches!(read(&line), Some(Entry::Malformed { .. })), "{line:?}");
        }
        for line in ["true", "7", "it is [so]", "/say [so]", "'x'"] {
            assert!(matches!(read(line), Some(Entry::Typed(_))), "{line:?}");
        }
    }

    #[test]
    fn an_id_is_echoed_as_it_is_written() {
        for id in [
            "18446744073709551617",
            "-0",
            "1.0",
            "1e400",
            "0.1000",
            r#""\u0061""#,
            r#""\u202e\u007F\u001b""#,
            r#""\ud83d\uDC4D \/ 👍 می\u200cخواهم""#,
            "\"👩\u{200d}💻\"",
        ] {
            let line = format!(r#"{{"id": {id}, "command": "list"}}"#);
            let Some(Entry::Object { id: Some(read), .. }) = read(&line) else { panic!("{id}") };
            let outcome =
                CommandResult { command: None, id: Some(read), result: Ok(Reply::Done {}) };
            assert_eq!(
                line_of(&reply_line(&outcome)).unwrap(),
                format!(r#"{{"reply":null,"id":{id}}}"#)
            );
        }
    }

    #[test]
    fn an_id_that_a_terminal_could_obey_is_refused() {
        for c in ['\u{7f}', '\u{9b}', '\u{202e}', '\u{200b}', '\u{2800}', '\u{e0041}', '\u{feff}'] {
            let line = format!(r#"{{"id": "a{c}b", "command": "list"}}"#);
            let Some(Entry::Malformed { id: None, failure }) = read(&line) else { panic!("{c:?}") };
            assert_eq!(failure.code, FailureCode::Malformed);
        }
    }
}
