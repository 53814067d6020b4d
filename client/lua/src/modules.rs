//! `require`: modules from the script's folder only.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use letschat_flags::files;
use letschat_protocol::text::without_marks;
use mlua::{Function, IntoLuaMulti as _, Lua, MultiValue, Value};

use super::copied;
use super::failure::{self, LuaResult, misuse};
use super::limits::SOURCE_BYTES;
use super::vm::{self, Runner};
use letschat_commands::failure::Failure;
use letschat_core::codes::FailureCode;

/// The folder of the modules, or `None` if there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Place(pub(super) Option<PathBuf>);

enum Module {
    /// The module is still running: requiring it now would deadlock.
    Begun,
    Done(Value),
}

type Loaded = Rc<RefCell<HashMap<PathBuf, Module>>>;

/// Returns the function `require`. It returns a success flag and a value.
pub(super) fn require(lua: &Lua, place: Place, runner: &Runner) -> mlua::Result<Function> {
    let (place, loaded) = (Rc::new(place), Loaded::default());
    let runner = runner.clone();
    lua.create_async_function(move |lua, name: Value| {
        let (place, loaded, runner) = (place.clone(), loaded.clone(), runner.clone());
        async move {
            let module = match copied::text(&name) {
                Ok(name) => load(&lua, &runner, &place, &loaded, &name).await,
                Err(failure) => Err(failure),
            };
            answer(&lua, module)
        }
    })
}

fn answer(lua: &Lua, outcome: LuaResult<Value>) -> mlua::Result<MultiValue> {
    match outcome {
        Ok(value) => (true, value).into_lua_multi(lua),
        Err(failure) => (false, failure::to_lua(lua, &failure)?).into_lua_multi(lua),
    }
}

async fn load(
    lua: &Lua,
    runner: &Runner,
    place: &Place,
    loaded: &Loaded,
    name: &str,
) -> LuaResult<Value> {
    let path = place.find(name)?;
    match loaded.borrow().get(&path) {
        Some(Module::Done(value)) => return Ok(value.clone()),
        Some(Module::Begun) => return Err(misuse(format!("The module {name} requires itself."))),
        None => {}
    }
    let wrong =
        |why: String| Failure::new(FailureCode::Module, format!("The module {name}: {why}"));
    let source = read(&path).map_err(|error| wrong(error.to_string()))?;
    let function = vm::compile(lua, &format!("{name}.lua"), &source)
        .map_err(|error| wrong(failure::error_text(&error)))?;
    loaded.borrow_mut().insert(path.clone(), Module::Begun);
    match runner.within(&function).await {
        Ok(mut values) => {
            let value = values.pop_front().unwrap_or(Value::Nil);
            loaded.borrow_mut().insert(path, Module::Done(value.clone()));
            Ok(value)
        }
        Err(trace) => {
            loaded.borrow_mut().remove(&path);
            Err(wrong(trace))
        }
    }
}

impl Place {
    /// Returns the folder of a script.
    pub(super) fn beside(script: &Path) -> Place {
        Place(script.parent().map(|folder| match folder.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => folder.to_owned(),
        }))
    }

    /// Finds the file of a module: `NAME`, `./NAME` or `FOLDER/NAME`, without its extension.
    pub(super) fn find(&self, name: &str) -> LuaResult<PathBuf> {
        let is_plain = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            !part.is_empty() && part.chars().all(allowed)
        };
        let inner = name.strip_prefix("./").unwrap_or(name);
        if !inner.split('/').all(is_plain) {
            return Err(misuse(
                "A module is named by its file beside the script, without `..` and `.lua`.",
            ));
        }
        let missing = || Failure::new(FailureCode::Module, format!("There is no module {name}."));
        let folder = self.0.as_deref().and_then(|folder| folder.canonicalize().ok());
        let folder = folder.ok_or_else(missing)?;
        let found = ["lua", "luau"]
            .into_iter()
            .find_map(|ending| folder.join(format!("{inner}.{ending}")).canonicalize().ok());
        // A symbolic link out of the folder is refused.
        found.filter(|path| path.starts_with(&folder) && path.is_file()).ok_or_else(missing)
    }
}

/// Reads a script that the user named. It may be a pipe, as in `--script <(...)`.
pub(super) fn read_script(path: &Path) -> io::Result<String> {
    source(File::open(path)?)
}

/// Reads a module or plugin, which must be a regular file.
pub(super) fn read(path: &Path) -> io::Result<String> {
    source(files::open(path, File::options().read(true))?)
}

/// Reads a source file of limited size. As in every Lua, it skips a byte order mark and a first line that
/// starts with `#`.
fn source(file: File) -> io::Result<String> {
    let mut source = String::new();
    file.take(SOURCE_BYTES + 1).read_to_string(&mut source)?;
    if source.len() as u64 > SOURCE_BYTES {
        let message = format!("it is longer than {SOURCE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    let source = without_marks(&source);
    // The line becomes a comment, so that line numbers stay the same.
    let comment = if source.starts_with('#') { "--" } else { "" };
    Ok(format!("{comment}{source}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkfifoat};

    #[test]
    fn module_or_plugin_is_no_fifo() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("module.lua");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(read(&path).unwrap_err().to_string(), "it is no regular file");
        assert!(Place(Some(folder.path().into())).find("module").is_err());
    }
}
