//! The table's commands as Lua functions. A command added to the table appears here without further code.

use std::rc::Rc;

use mlua::{Lua, MultiValue, Value};
use serde_json::{Map, Value as Json};

use super::{FunctionTable, lua_failed};
use crate::copied;
use crate::failure::{LuaResult, misuse};
use crate::script_client::{ScriptClient, to_lua};
use letschat_commands::arguments::{Kind, Parameter, unknown};
use letschat_commands::command::{Command, parse_object};
use letschat_commands::commands::TABLE;
use letschat_commands::text::ReplyWithMessage;

pub(super) fn add(
    functions: &FunctionTable<'_>,
    script_client: &Rc<ScriptClient>,
) -> mlua::Result<()> {
    for command in TABLE {
        let script_client = script_client.clone();
        functions.add_waiting(command.name, move |lua, values: MultiValue| {
            let script_client = script_client.clone();
            async move { run(&lua, &script_client, command, values).await }
        })?;
    }
    Ok(())
}

async fn run(
    lua: &Lua,
    script_client: &ScriptClient,
    command: &'static Command,
    values: MultiValue,
) -> LuaResult<Value> {
    let arguments = named(command, values)?;
    let call = parse_object(command.name, &arguments).map_err(|rejection| rejection.failure)?;
    let call = script_client.dispatcher.prepare(call).await?;
    let reply = script_client.dispatcher.run(call).await?;
    let reply = serde_json::to_value(ReplyWithMessage::from(&reply))
        .map_err(|error| misuse(error.to_string()))?;
    to_lua(lua, &only_list(reply)).map_err(lua_failed)
}

/// Returns the arguments by name. A table gives names; other values follow the order of the parameters.
fn named(command: &Command, values: MultiValue) -> LuaResult<Map<String, Json>> {
    let mut arguments = Map::new();
    let mut parameters = command.parameters.iter();
    for value in values {
        if let Value::Table(table) = value {
            for pair in table.pairs::<Value, Value>() {
                let (name, value) = pair.map_err(lua_failed)?;
                let name = copied::text(&name)?;
                // Unknown arguments are refused before they are copied, since no VM's limit counts the
                // copy.
                let Some(parameter) = command.parameters.iter().find(|p| p.name == name) else {
                    let why = unknown(&name, command.parameters);
                    return Err(misuse(format!("{}: {why}.", command.name)));
                };
                arguments.insert(name, argument(command, parameter, value)?);
            }
            continue;
        }
        let Some(parameter) = parameters.next() else {
            return Err(misuse(format!("{}: it takes fewer arguments.", command.name)));
        };
        if !value.is_nil() {
            arguments.insert(parameter.name.to_owned(), argument(command, parameter, value)?);
        }
    }
    Ok(arguments)
}

/// Reads one argument. A flag is `true`, or its word as in a typed line.
fn argument(command: &Command, parameter: &Parameter, value: Value) -> LuaResult<Json> {
    match value {
        Value::Boolean(value) => Ok(Json::Bool(value)),
        value @ (Value::String(_) | Value::Integer(_) | Value::Number(_)) => {
            let text = copied::text(&value)?;
            match parameter.kind {
                Kind::Flag if text == parameter.name => Ok(Json::Bool(true)),
                Kind::Flag => {
                    let (name, word) = (command.name, parameter.name);
                    Err(misuse(format!("{name}: {word} must be true, false or '{word}'.")))
                }
                _ => Ok(Json::String(text)),
            }
        }
        other => Err(misuse(format!("A {} is no argument of a command.", other.type_name()))),
    }
}

/// Returns the list alone if the reply has no other field.
fn only_list(reply: Json) -> Json {
    match reply {
        Json::Object(fields) if fields.len() == 1 && fields.values().all(Json::is_array) => {
            fields.into_iter().next().map_or(Json::Null, |(_, list)| list)
        }
        reply => reply,
    }
}
