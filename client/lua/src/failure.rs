//! Errors on their way into Lua and out of it.

use letschat_protocol::printable::Printable;
use mlua::{Error, Function, Lua, MultiValue, Table, Value};

use super::copied::beginning;
use super::limits::LINE_BYTES;
use letschat_commands::failure::Failure;
use letschat_core::codes::FailureCode;

/// Where the metatable of failures is kept.
const METATABLE: &str = "failure";

/// What a function of the API comes to: a wrapper in Lua returns the value or raises the failure.
pub(super) type LuaResult<T> = Result<T, Failure>;

/// Something that a script did wrong.
pub(super) fn misuse(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::BadArguments, message)
}

/// One more than is allowed.
pub(super) fn too_many(what: &str, limit: usize) -> Failure {
    Failure::new(FailureCode::Limit, format!("There are {limit} {what}, and no more are allowed."))
}

/// A failure as a value with `code` and `message`, and the message as its text.
pub(super) fn to_lua(lua: &Lua, failure: &Failure) -> mlua::Result<Table> {
    let value = lua.create_table()?;
    value.raw_set("code", failure.code.name())?;
    value.raw_set("message", failure.message.as_str())?;
    value.set_metatable(Some(lua.named_registry_value(METATABLE)?))?;
    Ok(value)
}

/// To be called once for each VM, before [`to_lua`].
pub(super) fn prepare(lua: &Lua) -> mlua::Result<()> {
    let metatable = lua.create_table()?;
    let text = |_: &Lua, value: Table| value.raw_get::<Value>("message");
    metatable.raw_set("__tostring", lua.create_function(text)?)?;
    metatable.set_readonly(true);
    lua.set_named_registry_value(METATABLE, metatable)
}

/// What `xpcall` hands an error to. It is no Lua, so that it works when the time is spent.
pub(super) fn tracer(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, error: Value| {
        let trace = lua.traceback(None, 1).map(|trace| trace.to_string_lossy());
        Ok(format!("{}{}", text(&error), own_lines(&trace.unwrap_or_default())))
    })
}

/// The lines of a traceback that are the script's: how the client runs it helps nobody.
fn own_lines(trace: &str) -> String {
    let is_own = |line: &&str| !line.starts_with("[C]:") && !line.starts_with("prelude:");
    let lines = trace.lines().skip(1).map(str::trim).filter(is_own);
    lines.map(|line| format!("\n    at {line}")).collect()
}

/// What `xpcall` returned: whether all was well, and the error with its traceback if not.
pub(super) fn traced(result: mlua::Result<MultiValue>) -> Result<MultiValue, String> {
    let mut values = result.map_err(|error| error_text(&error))?;
    match values.pop_front() {
        Some(Value::Boolean(true)) => Ok(values),
        _ => Err(values.front().map_or_else(|| "an error without words".into(), text)),
    }
}

/// An error as text, without running any code of the script.
pub(super) fn text(error: &Value) -> String {
    match error {
        Value::String(text) => beginning(text, LINE_BYTES),
        Value::Table(table) => match (table.raw_get("code"), table.raw_get("message")) {
            (Ok(Value::String(code)), Ok(Value::String(message))) => {
                format!("{} ({})", beginning(&message, LINE_BYTES), beginning(&code, LINE_BYTES))
            }
            _ => "an error that is a table".into(),
        },
        Value::Error(error) => error_text(error),
        Value::Nil => "an error without words".into(),
        other => format!("an error that is a {}", other.type_name()),
    }
}

/// The innermost words: the outer ones are about calls between Rust and Lua.
pub(super) fn error_text(error: &Error) -> String {
    match error {
        Error::CallbackError { cause, .. } => error_text(cause),
        Error::RuntimeError(message) | Error::SyntaxError { message, .. } => message.clone(),
        Error::MemoryError(_) => "there is no more memory for it".into(),
        error => error.to_string(),
    }
}

/// A text of several lines, safe for a terminal.
pub(super) fn printable(text: &str) -> String {
    let lines = text.split('\n').map(|line| Printable(&line.replace('\t', "    ")).to_string());
    lines.collect::<Vec<_>>().join("\n")
}
