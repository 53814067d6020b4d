//! `chat.command` and `chat.filter`: commands and filters that plugins add to the client.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlua::{Function, Table};

use super::events::handle;
use super::{FunctionTable, has_only, lua_failed};
use crate::copied::Text;
use crate::failure::{LuaResult, misuse, too_many};
use crate::host::Host;
use crate::limits::{MAX_PARAMETERS, MAX_REGISTERED};
use crate::plugins::Plugins;
use crate::plugins::declared::{
    FilterKind, PluginFilter, check_parameters, is_word, read_parameter,
};
use crate::plugins::instance::{Functions, Registrations};
use letschat_commands::command;
use letschat_commands::extension::{AddedCommand, AddedParameter};

/// The registry of one plugin's commands and filters.
pub(crate) struct Registrar {
    pub(crate) plugin: String,
    pub(crate) plugins: Plugins,
    pub(crate) registrations: Arc<Mutex<Registrations>>,
    pub(crate) functions: Rc<RefCell<Functions>>,
}

pub(crate) fn add(
    functions: &FunctionTable<'_>,
    host: &Rc<Host>,
    registrar: Rc<Registrar>,
) -> mlua::Result<()> {
    let commands = registrar.clone();
    functions.add("command", move |lua, declared: Table| {
        let name = commands.add_command(&declared)?;
        let registrar = commands.clone();
        handle(lua, move || registrar.remove_command(&name))
    })?;
    let host = host.clone();
    functions.add(
        "filter",
        move |lua, (Text(kind), function, options): (Text, Function, Option<Table>)| {
            let id = host.next_id();
            registrar.add_filter(id, &kind, function, options)?;
            let registrar = registrar.clone();
            handle(lua, move || registrar.remove_filter(id))
        },
    )?;
    // A filter returns `DROP` to discard a message.
    functions.table.raw_set("DROP", false)
}

impl Registrar {
    fn add_command(&self, declared: &Table) -> LuaResult<String> {
        has_only(declared, "A command", &["name", "parameters", "summary", "run"])?;
        let Text(name) = declared.raw_get("name").map_err(lua_failed)?;
        let summary: Option<Text> = declared.raw_get("summary").map_err(lua_failed)?;
        let run: Function = declared.raw_get("run").map_err(lua_failed)?;
        if !is_word(&name) {
            return Err(misuse("A command is called by a word of a-z, 0-9, _ and -."));
        }
        if command::find(&name).is_ok() {
            return Err(misuse(format!("{name} is a command of the client, and stays so.")));
        }
        if let Some(owner) = self.plugins.owner(&name, &self.plugin) {
            return Err(misuse(format!("{name} is a command of the plugin {owner}.")));
        }
        let parameters = parameters(declared)?;
        let usual = || format!("A command of the plugin {}.", self.plugin);
        let summary = summary.map_or_else(usual, |summary| summary.0);
        check_parameters(&parameters)?;
        let command = AddedCommand { name: name.clone(), summary, parameters };
        let mut registrations = self.registrations();
        registrations.commands.retain(|known| known.name != name);
        if registrations.commands.len() >= MAX_REGISTERED {
            return Err(too_many("commands", MAX_REGISTERED));
        }
        registrations.commands.push(command);
        self.functions.borrow_mut().commands.insert(name.clone(), run);
        Ok(name)
    }

    fn remove_command(&self, name: &str) {
        self.registrations().commands.retain(|known| known.name != name);
        self.functions.borrow_mut().commands.remove(name);
    }

    fn add_filter(
        &self,
        id: u64,
        kind: &str,
        function: Function,
        options: Option<Table>,
    ) -> LuaResult<()> {
        let kind = match kind {
            "send" => FilterKind::Send,
            "show" => FilterKind::Show,
            _ => return Err(misuse("A filter is for \"send\" or \"show\".")),
        };
        let priority: Option<f64> = match options {
            Some(options) => {
                has_only(&options, "A filter", &["priority"])?;
                options.raw_get("priority").map_err(lua_failed)?
            }
            None => None,
        };
        let priority = priority.unwrap_or(0.0);
        let mut registrations = self.registrations();
        if registrations.filters.len() >= MAX_REGISTERED {
            return Err(too_many("filters", MAX_REGISTERED));
        }
        registrations.filters.push(PluginFilter {
            priority,
            plugin: self.plugin.clone(),
            id,
            kind,
        });
        self.functions.borrow_mut().filters.insert(id, function);
        Ok(())
    }

    fn remove_filter(&self, id: u64) {
        self.registrations().filters.retain(|filter| filter.id != id);
        self.functions.borrow_mut().filters.remove(&id);
    }

    /// Locks the registrations. No code panics while it holds this lock.
    fn registrations(&self) -> MutexGuard<'_, Registrations> {
        self.registrations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the parameters that a command declares.
fn parameters(declared: &Table) -> LuaResult<Vec<AddedParameter>> {
    let list: Option<Table> = declared.raw_get("parameters").map_err(lua_failed)?;
    let Some(list) = list else { return Ok(Vec::new()) };
    let count = list.raw_len();
    if count > MAX_PARAMETERS {
        return Err(too_many("parameters", MAX_PARAMETERS));
    }
    let read = |index: usize| {
        let Text(text) = list.raw_get(index).map_err(lua_failed)?;
        read_parameter(&text)
    };
    (1..=count).map(read).collect()
}
