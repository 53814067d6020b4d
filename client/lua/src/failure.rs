//! Conversion of errors between Rust and Lua.

use letschat_protocol::printable::Printable;
use mlua::{Error, Function, Lua, MultiValue, Table, Value};

use super::copied::beginning;
use super::limits::LINE_BYTES;
use letschat_commands::failure::Failure;
use letschat_core::codes::FailureCode;

/// The registry key of the metatable for failures.
const METATABLE: &str = "failure";

/// The result of an API function. A Lua wrapper returns the value or raises the failure.
pub(super) type LuaResult<T> = Result<T, Failure>;

/// Returns the failure for a mistake of the script.
pub(super) fn misuse(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::BadArguments, message)
}

/// Returns the failure for exceeding a limit.
pub(super) fn too_many(what: &str, limit: usize) -> Failure {
    Failure::new(FailureCode::Limit, format!("There are {limit} {what}, and no more are allowed."))
}

/// Converts a failure to a table with `code` and `message`. `tostring` returns the message.
pub(super) fn to_lua(lua: &Lua, failure: &Failure) -> mlua::Result<Table> {
    let value = lua.create_table()?;
    value.raw_set("code", failure.code.name())?;
    value.raw_set("message", failure.message.as_str())?;
    value.set_metatable(Some(lua.named_registry_value(METATABLE)?))?;
    Ok(value)
}

/// Prepares a VM for [`to_lua`]. Call it once for each VM.
pub(super) fn prepare(lua: &Lua) -> mlua::Result<()> {
    let metatable = lua.create_table()?;
    let text = |_: &Lua, value: Table| value.raw_get::<Value>("message");
    metatable.raw_set("__tostring", lua.create_function(text)?)?;
    metatable.set_readonly(true);
    lua.set_named_registry_value(METATABLE, metatable)
}

/// Returns the error handler for `xpcall`. It is not written in Lua, so it still works when the slice is
/// spent.
pub(super) fn tracer(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, error: Value| {
        let trace = lua.traceback(None, 1).map(|trace| trace.to_string_lossy());
        Ok(format!("{}{}", text(&error), own_lines(&trace.unwrap_or_default())))
    })
}

/// Returns the script's lines of a traceback, without those of the client.
fn own_lines(trace: &str) -> String {
    let is_own = |line: &&str| !line.starts_with("[C]:") && !line.starts_with("prelude:");
    let lines = trace.lines().skip(1).map(str::trim).filter(is_own);
    lines.map(|line| format!("\n    at {line}")).collect()
}

/// Converts the result of `xpcall`: a success flag, then the values or the error with its traceback.
pub(super) fn traced(result: mlua::Result<MultiValue>) -> Result<MultiValue, String> {
    let mut values = result.map_err(|error| error_text(&error))?;
    match values.pop_front() {
        Some(Value::Boolean(true)) => Ok(values),
        _ => Err(values.front().map_or_else(|| "an error without words".into(), text)),
    }
}

/// Converts an error to text without running any code of the script.
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

/// Returns the innermost message. The outer ones describe calls between Rust and Lua.
pub(super) fn error_text(error: &Error) -> String {
    match error {
        Error::CallbackError { cause, .. } => error_text(cause),
        Error::RuntimeError(message) | Error::SyntaxError { message, .. } => message.clone(),
        Error::MemoryError(_) => "there is no more memory for it".into(),
        error => error.to_string(),
    }
}

/// Makes text of several lines safe for a terminal.
pub(super) fn printable(text: &str) -> String {
    let lines = text.split('\n').map(|line| Printable(&line.replace('\t', "    ")).to_string());
    lines.collect::<Vec<_>>().join("\n")
}
