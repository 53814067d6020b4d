//! What plugins add to the client: commands and filters.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlua::{Function, Table};

use super::events::handle;
use super::{Shelf, has_only, lua_failed};
use crate::copied::Text;
use crate::failure::{Outcome, misuse, too_many};
use crate::host::Host;
use crate::limits::{MAX_PARAMETERS, MAX_REGISTERED};
use crate::plugins::Plugins;
use crate::plugins::declared::{
    FilterKind, PluginFilter, check_parameters, is_word, read_parameter,
};
use crate::plugins::instance::{Book, Functions};
use letschat_commands::command;
use letschat_commands::extension::{AddedCommand, AddedParameter};

/// Where a plugin registers what it adds.
pub(crate) struct Desk {
    pub(crate) plugin: String,
    pub(crate) plugins: Plugins,
    pub(crate) book: Arc<Mutex<Book>>,
    pub(crate) functions: Rc<RefCell<Functions>>,
}

pub(crate) fn add(shelf: &Shelf<'_>, host: &Rc<Host>, desk: Rc<Desk>) -> mlua::Result<()> {
    let commands = desk.clone();
    shelf.add("command", move |lua, declared: Table| {
        let name = commands.add_command(&declared)?;
        let desk = commands.clone();
        handle(lua, move || desk.remove_command(&name))
    })?;
    let host = host.clone();
    shelf.add(
        "filter",
        move |lua, (Text(kind), function, options): (Text, Function, Option<Table>)| {
            let id = host.next_id();
            desk.add_filter(id, &kind, function, options)?;
            let desk = desk.clone();
            handle(lua, move || desk.remove_filter(id))
        },
    )?;
    // What a filter returns to let nothing through.
    shelf.table.raw_set("DROP", false)
}

impl Desk {
    fn add_command(&self, declared: &Table) -> Outcome<String> {
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
        let mut book = self.book();
        book.commands.retain(|known| known.name != name);
        if book.commands.len() >= MAX_REGISTERED {
            return Err(too_many("commands", MAX_REGISTERED));
        }
        book.commands.push(command);
        self.functions.borrow_mut().commands.insert(name.clone(), run);
        Ok(name)
    }

    fn remove_command(&self, name: &str) {
        self.book().commands.retain(|known| known.name != name);
        self.functions.borrow_mut().commands.remove(name);
    }

    fn add_filter(
        &self,
        id: u64,
        kind: &str,
        function: Function,
        options: Option<Table>,
    ) -> Outcome<()> {
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
        let mut book = self.book();
        if book.filters.len() >= MAX_REGISTERED {
            return Err(too_many("filters", MAX_REGISTERED));
        }
        book.filters.push(PluginFilter { priority, plugin: self.plugin.clone(), id, kind });
        self.functions.borrow_mut().filters.insert(id, function);
        Ok(())
    }

    fn remove_filter(&self, id: u64) {
        self.book().filters.retain(|filter| filter.id != id);
        self.functions.borrow_mut().filters.remove(&id);
    }

    /// Nobody panics while holding this lock.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parameters that a command declares.
fn parameters(declared: &Table) -> Outcome<Vec<AddedParameter>> {
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
