//! What a script says, and how it ends.

use std::rc::Rc;

use crate::lua::limits::LINE_BYTES;
use mlua::{Function, Lua, Table, Value, Variadic};

use super::{Shelf, lua_failed};
use crate::lua::failure::misuse;
use crate::lua::host::{End, Host};
use crate::lua::voice::{LEVELS, Said};

/// Adds what is said by a script or plugin of these arguments. `idle` tells for how many seconds
/// the user has typed nothing.
pub(in crate::lua) fn add(
    shelf: &Shelf<'_>,
    host: &Rc<Host>,
    arguments: &[String],
    idle: impl Fn() -> f64 + 'static,
) -> mlua::Result<()> {
    let said = host.clone();
    shelf.add("print", move |lua, values: Variadic<Value>| {
        said.say(Said::Text(joined(lua, &values).map_err(lua_failed)?));
        Ok(())
    })?;
    let logged = host.clone();
    shelf.add("log", move |lua, (level, values): (String, Variadic<Value>)| {
        let level = LEVELS.into_iter().find(|known| *known == level);
        let level = level.ok_or_else(|| misuse(format!("A level is {}.", LEVELS.join(", "))))?;
        logged.say(Said::Log(level, joined(lua, &values).map_err(lua_failed)?));
        Ok(())
    })?;
    let rung = host.clone();
    shelf.add("bell", move |_, (): ()| {
        rung.say(Said::Bell);
        Ok(())
    })?;
    shelf.add("idle_seconds", move |_, (): ()| Ok(idle()))?;
    let ending = host.clone();
    shelf.add("exit", move |_, status: Option<u8>| {
        ending.end_by(End::Exit(status.unwrap_or(0)));
        Ok(())
    })?;
    let list = shelf.lua.create_sequence_from(arguments.iter().map(String::as_str))?;
    list.set_readonly(true);
    shelf.table.raw_set("arguments", list)
}

/// `print` says what `chat.print` says.
pub(in crate::lua) fn replace_print(lua: &Lua, chat: &Table) -> mlua::Result<()> {
    lua.globals().raw_set("print", chat.raw_get::<Function>("print")?)
}

/// A line of these. What would be cut off anyway is not copied: the copy is in nobody's limit.
fn joined(lua: &Lua, values: &[Value]) -> mlua::Result<String> {
    let tostring: Function = lua.globals().get("tostring")?;
    let mut line = String::new();
    for (number, value) in values.iter().enumerate() {
        if line.len() > LINE_BYTES {
            break;
        }
        let text = match value {
            Value::String(text) => text.clone(),
            value => tostring.call::<mlua::LuaString>(value)?,
        };
        if number > 0 {
            line.push(' ');
        }
        let bytes = text.as_bytes();
        line.push_str(&String::from_utf8_lossy(&bytes[..bytes.len().min(LINE_BYTES + 1)]));
    }
    Ok(line)
}
