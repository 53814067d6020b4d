//! `chat.store`: a script's small store, in a file of the user's data folder.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlua::Value;
use serde_json::{Map, Value as Json};

use super::{FunctionTable, lua_failed};
use crate::copied::{Text, to_json};
use crate::failure::LuaResult;
use crate::host::Host;
use crate::limits::STORE_BYTES;
use crate::script_client::to_lua;
use letschat_commands::failure::Failure;
use letschat_core::codes::FailureCode;
use letschat_engine::private_file;
use letschat_flags::files;

/// The persistent values of one script. They are read on first use. During a reload, the old and the new
/// instance of a plugin share one store.
pub(crate) struct Store {
    path: PathBuf,
    kept: Mutex<Kept>,
    /// Held while the file is written.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Kept {
    values: Option<Map<String, Json>>,
    is_changed: bool,
}

impl Store {
    pub(crate) fn new(path: PathBuf) -> Arc<Store> {
        Arc::new(Store { path, kept: Mutex::default(), writing: Mutex::default() })
    }

    fn load<'a>(&self, kept: &'a mut Kept) -> LuaResult<&'a mut Map<String, Json>> {
        let wrong = |why: String| {
            Failure::new(
                FailureCode::Store,
                format!("{} can't be read: {why}.", self.path.display()),
            )
        };
        if kept.values.is_none() {
            let values = private_file::read_json(&self.path);
            kept.values = Some(values.map_err(|error| wrong(error.to_string()))?);
        }
        Ok(kept.values.get_or_insert_default())
    }

    fn get(&self, key: &str) -> LuaResult<Json> {
        let mut kept = lock(&self.kept);
        Ok(self.load(&mut kept)?.get(key).cloned().unwrap_or_default())
    }

    fn set(&self, key: String, value: Json) -> LuaResult<()> {
        let mut kept = lock(&self.kept);
        let values = self.load(&mut kept)?;
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
                FailureCode::Limit,
                format!("A store has room for {STORE_BYTES} bytes."),
            ));
        }
        kept.is_changed = true;
        Ok(())
    }

    /// Writes the store if it has changed.
    pub(crate) fn save(&self) -> io::Result<()> {
        let _writing = lock(&self.writing);
        let values = {
            let mut kept = lock(&self.kept);
            if !std::mem::take(&mut kept.is_changed) {
                return Ok(());
            }
            kept.values.clone()
        };
        let written = self.write(&values);
        if written.is_err() {
            // The next change or the next interval tries again.
            lock(&self.kept).is_changed = true;
        }
        written
    }

    fn write(&self, values: &Option<Map<String, Json>>) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            files::create_private_folder(folder)?;
        }
        private_file::write_json(&self.path, values)
    }
}

/// Locks a mutex. No code panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn add(
    functions: &FunctionTable<'_>,
    host: &Rc<Host>,
    store: &Arc<Store>,
) -> mlua::Result<()> {
    let inner = FunctionTable::new(functions.lua, host)?;
    let getting = store.clone();
    inner.add("get", move |lua, Text(key)| to_lua(lua, &getting.get(&key)?).map_err(lua_failed))?;
    let setting = store.clone();
    inner.add("set", move |_, (Text(key), value): (Text, Value)| {
        setting.set(key, to_json(&value)?)
    })?;
    inner.table.set_readonly(true);
    functions.table.raw_set("store", inner.table)
}
