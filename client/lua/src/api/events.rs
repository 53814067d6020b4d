//! Events: `chat.on` registers handlers, `chat.wait` waits for one event.

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt as _;
use mlua::{Function, Lua, Table, Value};
use serde_json::{Map, Value as Json};

use super::timers::seconds;
use super::{FunctionTable, has_only, lua_failed};
use crate::copied::{Text, to_json};
use crate::failure::{LuaResult, misuse};
use crate::host::Host;
use crate::mailbox::is_own_message;
use crate::script_client::{ScriptClient, to_lua};
use letschat_commands::failure::Failure;
use letschat_core::codes::FailureCode;
use letschat_core::event;

pub(super) fn add(
    functions: &FunctionTable<'_>,
    script_client: &Rc<ScriptClient>,
) -> mlua::Result<()> {
    let on = script_client.clone();
    functions.add(
        "on",
        move |lua, (event, function, options): (Text, Function, Option<Table>)| {
            check_name(&event.0)?;
            let own = options.map(|options| own(&options)).transpose()?.unwrap_or(false);
            let id = on.add_handler(&event.0, own, function)?;
            let script_client = on.clone();
            handle(lua, move || script_client.remove_handler(id))
        },
    )?;
    let wait = script_client.clone();
    functions.add_waiting("wait", move |lua, arguments: (Text, Value, Option<Table>)| {
        let script_client = wait.clone();
        async move { wait_for(&lua, &script_client, arguments).await }
    })
}

async fn wait_for(
    lua: &Lua,
    script_client: &ScriptClient,
    (Text(name), filter, options): (Text, Value, Option<Table>),
) -> LuaResult<Value> {
    check_name(&name)?;
    let filter = Filter::read(filter)?;
    let timeout = options.map(|options| timeout(&options)).transpose()?.flatten();
    let fits = |event: &Json| {
        Ok(event["event"] == name.as_str() && filter.fits(lua, &script_client.host, event)?)
    };
    let expired = async {
        expire(timeout).await;
        Ok(None)
    };
    match script_client.wait(fits).or(expired).await? {
        Some(event) => to_lua(lua, &event).map_err(lua_failed),
        None => Ok(Value::Nil),
    }
}

/// Reads the option `own`: true if the handler receives own messages.
fn own(options: &Table) -> LuaResult<bool> {
    has_only(options, "A handler", &["own"])?;
    Ok(options.raw_get::<Option<bool>>("own").map_err(lua_failed)?.unwrap_or(false))
}

/// Reads the option `timeout`. An unknown option is refused: a misspelt timeout would wait forever.
fn timeout(options: &Table) -> LuaResult<Option<Duration>> {
    has_only(options, "A wait", &["timeout"])?;
    let given = options.raw_get::<Option<f64>>("timeout").map_err(lua_failed)?;
    given.map(seconds).transpose()
}

async fn expire(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => {
            Timer::after(timeout).await;
        }
        None => pending().await,
    }
}

fn check_name(name: &str) -> LuaResult<()> {
    if event::NAMES.contains(&name) {
        return Ok(());
    }
    Err(misuse(format!("There is no event {name}; there are: {}.", event::NAMES.join(", "))))
}

/// A condition on an event.
enum Filter {
    /// The event has these fields.
    Fields(Map<String, Json>),
    /// This function of the script returns true.
    Asked(Function),
}

impl Filter {
    fn read(value: Value) -> LuaResult<Filter> {
        match value {
            Value::Nil => Ok(Filter::Fields(Map::new())),
            Value::Function(function) => Ok(Filter::Asked(function)),
            value @ Value::Table(_) => match to_json(&value)? {
                Json::Object(fields) => Ok(Filter::Fields(fields)),
                _ => Err(misuse("A filter has names of fields.")),
            },
            _ => Err(misuse("A filter is a table of fields or a function.")),
        }
    }

    /// Returns true if the event fits. An own message fits only a filter that names `own`, since most
    /// scripts wait for an answer.
    fn fits(&self, lua: &Lua, host: &Host, event: &Json) -> LuaResult<bool> {
        let names_own = matches!(self, Filter::Fields(fields) if fields.contains_key("own"));
        if is_own_message(event) && !names_own {
            return Ok(false);
        }
        match self {
            Filter::Fields(fields) => {
                Ok(fields.iter().all(|(name, wanted)| is_same(&event[name], wanted)))
            }
            Filter::Asked(function) => {
                let event = to_lua(lua, event).map_err(lua_failed)?;
                let answer = host.runner.call(function, event);
                let answer = answer.map_err(|trace| Failure::new(FailureCode::Lua, trace))?;
                let is_no = |value: &Value| matches!(value, Value::Nil | Value::Boolean(false));
                Ok(answer.front().is_some_and(|value| !is_no(value)))
            }
        }
    }
}

/// Compares two values. Integers and floats are equal if their values are, since Lua has one number type.
fn is_same(one: &Json, other: &Json) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Returns a table with the function `remove`.
pub(super) fn handle(lua: &Lua, remove: impl Fn() + 'static) -> LuaResult<Table> {
    let make = || {
        let handle = lua.create_table()?;
        let remove = lua.create_function(move |_, _: Value| {
            remove();
            Ok(())
        })?;
        handle.raw_set("remove", remove)?;
        Ok(handle)
    };
    make().map_err(lua_failed)
}
