//! The functions of the Lua table `chat`, one file for each group.
//!
//! * `commands` – every command of the table, by the table
//! * `events` – `on`, `wait`
//! * `timers` – `after`, `every`, `sleep`, `spawn`, `now`
//! * `output` – `print`, `log`, `bell`, `idle_seconds`, `arguments`, `exit`
//! * `store` – `store.get`, `store.set`
//! * `plugin` – `command` and `filter`, for plugins
//! * `clients` – `client`, for scripts

pub(super) mod clients;
mod commands;
mod events;
pub(super) mod output;
pub(super) mod plugin;
pub(super) mod store;
mod timers;

use std::future::Future;
use std::rc::Rc;

use mlua::{FromLuaMulti, IntoLuaMulti, Lua, MultiValue, Table, Value};

use super::failure::{self, LuaResult, error_text, misuse};
use super::host::Host;
use super::script_client::ScriptClient;
use letschat_core::codes::FailureCode;

/// A Lua table under construction.
pub(super) struct FunctionTable<'a> {
    lua: &'a Lua,
    host: &'a Host,
    pub(super) table: Table,
}

impl<'a> FunctionTable<'a> {
    pub(super) fn new(lua: &'a Lua, host: &'a Host) -> mlua::Result<FunctionTable<'a>> {
        Ok(FunctionTable { lua, host, table: lua.create_table()? })
    }

    /// Adds a function that returns at once.
    pub(super) fn add<A: FromLuaMulti, R: IntoLuaMulti>(
        &self,
        name: &str,
        function: impl Fn(&Lua, A) -> LuaResult<R> + 'static,
    ) -> mlua::Result<()> {
        let inner = self.lua.create_function(move |lua, values: MultiValue| {
            let outcome = arguments(lua, values).and_then(|arguments| function(lua, arguments));
            answer(lua, outcome)
        })?;
        self.table.raw_set(name, self.host.runner.raising(inner)?)
    }

    /// Adds a function that can wait.
    pub(super) fn add_waiting<A, R, F>(
        &self,
        name: &str,
        function: impl Fn(Lua, A) -> F + 'static,
    ) -> mlua::Result<()>
    where
        A: FromLuaMulti + 'static,
        R: IntoLuaMulti,
        F: Future<Output = LuaResult<R>> + 'static,
    {
        let function = Rc::new(function);
        let inner = self.lua.create_async_function(move |lua, values: MultiValue| {
            let function = function.clone();
            async move {
                let outcome = match arguments(&lua, values) {
                    Ok(arguments) => function(lua.clone(), arguments).await,
                    Err(failure) => Err(failure),
                };
                answer(&lua, outcome)
            }
        })?;
        self.table.raw_set(name, self.host.runner.waiting(inner)?)
    }
}

fn arguments<A: FromLuaMulti>(lua: &Lua, values: MultiValue) -> LuaResult<A> {
    A::from_lua_multi(values, lua).map_err(|error| misuse(error_text(&error)))
}

fn answer<R: IntoLuaMulti>(lua: &Lua, outcome: LuaResult<R>) -> mlua::Result<MultiValue> {
    let (ok, mut values) = match outcome {
        Ok(value) => (true, value.into_lua_multi(lua)?),
        Err(failure) => (false, failure::to_lua(lua, &failure)?.into_lua_multi(lua)?),
    };
    values.push_front(Value::Boolean(ok));
    Ok(values)
}

/// Returns the failure for an error of Lua itself.
pub(super) fn lua_failed(error: mlua::Error) -> letschat_commands::failure::Failure {
    letschat_commands::failure::Failure::new(FailureCode::Lua, error_text(&error))
}

/// The number of characters of an unknown option's name that an error shows.
const LONGEST_NAME: usize = 40;

/// Refuses a table with any other option: it is probably misspelt.
fn has_only(table: &Table, what: &str, names: &[&str]) -> LuaResult<()> {
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair.map_err(lua_failed)?;
        // `tostring` could run code of the script here.
        let key = match key.as_string() {
            Some(key) => {
                String::from_utf8_lossy(&key.as_bytes()).chars().take(LONGEST_NAME).collect()
            }
            None => key.type_name().to_owned(),
        };
        if !names.contains(&key.as_str()) {
            return Err(misuse(format!("{what} takes no {key}; it takes {}.", names.join(", "))));
        }
    }
    Ok(())
}

/// Returns a table with the functions of one client: commands and events.
pub(super) fn of_client<'a>(
    lua: &'a Lua,
    host: &'a Host,
    script_client: &Rc<ScriptClient>,
) -> mlua::Result<FunctionTable<'a>> {
    let functions = FunctionTable::new(lua, host)?;
    commands::add(&functions, script_client)?;
    events::add(&functions, script_client)?;
    Ok(functions)
}

/// Adds the functions that exist once in each VM.
pub(super) fn add_common(functions: &FunctionTable<'_>, host: &Rc<Host>) -> mlua::Result<()> {
    timers::add(functions, host)
}
