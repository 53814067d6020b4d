//! Events: by handlers, and by waiting.

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

/// Whether a handler is told own messages, as the options say.
fn own(options: &Table) -> LuaResult<bool> {
    has_only(options, "A handler", &["own"])?;
    Ok(options.raw_get::<Option<bool>>("own").map_err(lua_failed)?.unwrap_or(false))
}

/// How long to wait, as the options say. One that is misspelt would wait for ever.
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

/// Which events are meant.
enum Filter {
    /// Those that have these fields.
    Fields(Map<String, Json>),
    /// Those that the script says.
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

    /// An own message fits only a filter that names `own`: most scripts wait for an answer.
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

/// Lua has one kind of number.
fn is_same(one: &Json, other: &Json) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// What is given back for something that can be removed again.
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
