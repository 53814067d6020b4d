//! A script's output, arguments and exit.

use std::rc::Rc;

use mlua::{Function, Lua, Table, Value, Variadic};

use super::{FunctionTable, lua_failed};
use crate::copied::{Text, beginning};
use crate::failure::{LuaResult, misuse};
use crate::host::{End, Host};
use crate::limits::LINE_BYTES;
use crate::output::{LEVELS, Said};
use letschat_commands::failure::Failure;
use letschat_core::codes::FailureCode;

/// Adds the functions for a script or plugin with these arguments. `idle` returns the seconds since the
/// user last typed.
pub(crate) fn add(
    functions: &FunctionTable<'_>,
    host: &Rc<Host>,
    arguments: &[String],
    idle: impl Fn() -> f64 + 'static,
) -> mlua::Result<()> {
    let said = host.clone();
    functions.add("print", move |lua, values: Variadic<Value>| {
        said.say(Said::Text(joined(lua, &said, &values)?));
        Ok(())
    })?;
    let logged = host.clone();
    functions.add("log", move |lua, (level, values): (Text, Variadic<Value>)| {
        let level = LEVELS.into_iter().find(|known| *known == level.0);
        let level = level.ok_or_else(|| misuse(format!("A level is {}.", LEVELS.join(", "))))?;
        logged.say(Said::Log(level, joined(lua, &logged, &values)?));
        Ok(())
    })?;
    let rung = host.clone();
    functions.add("bell", move |_, (): ()| {
        rung.say(Said::Bell);
        Ok(())
    })?;
    functions.add("idle_seconds", move |_, (): ()| Ok(idle()))?;
    let ending = host.clone();
    functions.add("exit", move |_, status: Value| {
        ending.end_by(End::Exit(exit_status(&status)?));
        Ok(())
    })?;
    let list = functions.lua.create_sequence_from(arguments.iter().map(String::as_str))?;
    list.set_readonly(true);
    functions.table.raw_set("arguments", list)
}

fn exit_status(given: &Value) -> LuaResult<u8> {
    let status = match given {
        Value::Nil => Some(0),
        given => given.as_i64().and_then(|status| u8::try_from(status).ok()),
    };
    status.ok_or_else(|| misuse("A status is a whole number from 0 to 255."))
}

/// Replaces `print` by `chat.print`.
pub(crate) fn replace_print(lua: &Lua, chat: &Table) -> mlua::Result<()> {
    lua.globals().raw_set("print", chat.raw_get::<Function>("print")?)
}

/// Joins values into one line. It copies little more than what will be shown.
fn joined(lua: &Lua, host: &Host, values: &[Value]) -> LuaResult<String> {
    let tostring: Function = lua.globals().get("tostring").map_err(lua_failed)?;
    let mut line = String::new();
    for (number, value) in values.iter().enumerate() {
        if line.len() > LINE_BYTES {
            break;
        }
        if number > 0 {
            line.push(' ');
        }
        line.push_str(&shown(host, &tostring, value)?);
    }
    Ok(line)
}

/// Converts a value with `tostring`.
fn shown(host: &Host, tostring: &Function, value: &Value) -> LuaResult<String> {
    if let Value::String(text) = value {
        return Ok(beginning(text, LINE_BYTES + 1));
    }
    let texts =
        host.runner.call(tostring, value).map_err(|trace| Failure::new(FailureCode::Lua, trace))?;
    match texts.front() {
        Some(Value::String(text)) => Ok(beginning(text, LINE_BYTES + 1)),
        _ => Ok(String::new()),
    }
}
