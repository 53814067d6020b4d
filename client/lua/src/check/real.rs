//! What scripts and plugins find, taken from a VM that is made for them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_executor::LocalExecutor;
use mlua::{Lua, Table, Value};

use crate::api::clients::Company;
use crate::api::plugin::Desk;
use crate::api::store::Store;
use crate::api::{self, clients, output, plugin, store};
use crate::budget::Budget;
use crate::host::Host;
use crate::modules::Place;
use crate::party::Party;
use crate::plugins::Plugins;
use crate::plugins::instance::Functions;
use crate::vm;
use crate::voice::Streams;
use letschat_commands::command::Dispatcher;
use letschat_commands::passwords::Passwords;
use letschat_engine::address::ServerAddress;
use letschat_engine::client::{Client, Config};

/// Something that scripts find, and how they come to it.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) path: String,
    value: Value,
}

/// What scripts and plugins find. Nothing is ever run in it.
pub(super) struct Real {
    lua: Lua,
    /// What a further client has.
    of_client: Table,
}

impl Real {
    pub(super) fn make() -> mlua::Result<Real> {
        let budget = Budget::new(Arc::new(AtomicBool::new(false)));
        let (lua, runner) = vm::make(budget, Place(None))?;
        let host = Host::new(runner, Rc::new(LocalExecutor::new()), Box::new(Streams));
        // All of it is at hand, and none of it does anything: nothing is called.
        let client = Client::ended();
        let dispatcher = Dispatcher::new(client.clone(), Passwords::new(None, None));
        let party = Party::new(&lua, host.clone(), dispatcher);
        let of_client = api::of_party(&lua, &host, &party)?.table;
        let shelf = api::of_party(&lua, &host, &party)?;
        api::add_common(&shelf, &host)?;
        output::add(&shelf, &host, &[], || 0.0)?;
        store::add(&shelf, &host, &Store::new(PathBuf::new()))?;
        clients::add(&shelf, &host, &Company::new(nowhere()))?;
        plugin::add(&shelf, &host, Rc::new(desk(client)))?;
        output::replace_print(&lua, &shelf.table)?;
        vm::seal(&lua, &shelf.table)?;
        Ok(Real { lua, of_client })
    }

    /// Compiles a source; Luau says `NAME:LINE: what`.
    pub(super) fn compile(&self, source: &str) -> Result<(), mlua::Error> {
        vm::compile(&self.lua, "check", source).map(drop)
    }

    /// A global that every script has.
    pub(super) fn global(&self, name: &str) -> Option<Thing> {
        let value: Value = self.lua.globals().get(name).ok()?;
        (!value.is_nil()).then(|| Thing { path: name.to_owned(), value })
    }

    /// What a further client has under this name.
    pub(super) fn of_client(&self, name: &str) -> Option<Thing> {
        let value: Value = self.of_client.raw_get(name).ok()?;
        (!value.is_nil()).then(|| Thing { path: format!("chat.{name}"), value })
    }

    /// The members of `chat`, of scripts and of plugins.
    pub(super) fn members(&self) -> BTreeSet<String> {
        let Ok(chat) = self.lua.globals().get::<Table>("chat") else { return BTreeSet::new() };
        chat.pairs::<String, Value>().filter_map(|pair| Some(pair.ok()?.0)).collect()
    }
}

impl Thing {
    /// Whether it is a table to which no script can add anything.
    pub(super) fn is_closed(&self) -> bool {
        self.value.as_table().is_some_and(Table::is_readonly)
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(super) fn member(&self, name: &str) -> Option<Thing> {
        let value: Value = self.value.as_table()?.raw_get(name).ok()?;
        let path = match self.path.as_str() {
            // Which is another way to say the same.
            "_G" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        (!value.is_nil()).then_some(Thing { path, value })
    }
}

/// A client that nobody starts.
fn nowhere() -> Config {
    Config {
        server: ServerAddress::on_this_machine(),
        data_folder: PathBuf::new(),
        accept_new: false,
        peer_port: 0,
        peer_listen: None,
        detach_on_chat: false,
        tries: None,
        return_after_idle: false,
    }
}

fn desk(client: Client) -> Desk {
    Desk {
        plugin: String::new(),
        plugins: Plugins::new(PathBuf::new(), Path::new(""), client).0,
        book: Arc::default(),
        functions: Rc::new(RefCell::new(Functions::default())),
    }
}
