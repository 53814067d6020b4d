//! A small store of a script's own, in a file of the user's data folder.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use mlua::Value;
use serde_json::{Map, Value as Json};

use super::commands::to_json;
use super::{Shelf, lua_failed};
use crate::lua::failure::{Outcome, misuse};
use crate::lua::host::Host;
use crate::lua::limits::STORE_BYTES;
use crate::lua::party::to_lua;
use crate::private_file;
use crate::session::Failure;

/// What a script keeps. Read when it is first asked for.
pub(in crate::lua) struct Store {
    path: PathBuf,
    values: RefCell<Option<Map<String, Json>>>,
    is_changed: Cell<bool>,
}

impl Store {
    pub(in crate::lua) fn new(path: PathBuf) -> Rc<Store> {
        Rc::new(Store { path, values: RefCell::default(), is_changed: Cell::new(false) })
    }

    fn load(&self) -> Outcome<()> {
        if self.values.borrow().is_some() {
            return Ok(());
        }
        let wrong = |why: String| {
            Failure::new("store", format!("{} can't be read: {why}.", self.path.display()))
        };
        let values: Map<String, Json> =
            private_file::read_json(&self.path).map_err(|error| wrong(error.to_string()))?;
        self.values.replace(Some(values));
        Ok(())
    }

    fn get(&self, key: &str) -> Outcome<Json> {
        self.load()?;
        let values = self.values.borrow();
        Ok(values.as_ref().and_then(|values| values.get(key).cloned()).unwrap_or_default())
    }

    fn set(&self, key: String, value: Json) -> Outcome<()> {
        self.load()?;
        let mut values = self.values.borrow_mut();
        let values = values.get_or_insert_default();
        let before = match value {
            Json::Null => values.remove(&key),
            value => values.insert(key.clone(), value),
        };
        let length = serde_json::to_vec(values).map_or(usize::MAX, |bytes| bytes.len());
        if length > STORE_BYTES {
            match before {
                Some(before) => values.insert(key, before),
                None => values.remove(&key),
            };
            return Err(Failure::new(
                "limit",
                format!("A store has room for {STORE_BYTES} bytes."),
            ));
        }
        self.is_changed.set(true);
        Ok(())
    }

    /// Writes what has changed.
    pub(in crate::lua) fn save(&self) -> io::Result<()> {
        if !self.is_changed.replace(false) {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            private_file::create_folder(folder)?;
        }
        private_file::write_json(&self.path, &*self.values.borrow())
    }
}

pub(in crate::lua) fn add(
    shelf: &Shelf<'_>,
    host: &Rc<Host>,
    store: &Rc<Store>,
) -> mlua::Result<()> {
    let inner = Shelf::new(shelf.lua, host)?;
    let getting = store.clone();
    inner
        .add("get", move |lua, key: String| to_lua(lua, &getting.get(&key)?).map_err(lua_failed))?;
    let setting = store.clone();
    inner.add("set", move |lua, (key, value): (String, Value)| {
        let value = match value {
            Value::Nil => Json::Null,
            value => to_json(lua, value).map_err(|_| misuse("A function can't be kept."))?,
        };
        setting.set(key, value)
    })?;
    inner.table.set_readonly(true);
    shelf.table.raw_set("store", inner.table)
}
