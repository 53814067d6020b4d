//! A Luau VM that reaches nothing but what it is given.

use std::future::Future;
use std::rc::Rc;

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Function, IntoLuaMulti, Lua, LuaOptions, MultiValue, StdLib, Table, Value};

use super::budget::Budget;
use super::limits::{MAX_ARGUMENTS, MEMORY_BYTES};
use super::{failure, modules};

/// Steps of a search or of a pattern between two questions whether to go on: some 100 ms of them.
const MOST_STEPS: u64 = 1 << 26;

/// A pattern, or a format of what is packed or of a time.
const LONGEST_FORMAT: usize = 64 * 1024;

/// Elements of a table that are joined or moved at once.
const MOST_ELEMENTS: usize = 1_000_000;

/// A replacement of `string.gsub`, which is read again for each match.
const LONGEST_REPLACEMENT: usize = 1024 * 1024;

/// What Luau has that is not for scripts: code from text, other functions' environments, and the
/// collector of garbage.
const ABSENT: &[&str] = &["loadstring", "getfenv", "setfenv", "newproxy", "debug", "gcinfo"];

/// Makes a VM whose scripts may `require` modules of this place, and what runs functions in it.
pub(super) fn make(budget: Rc<Budget>, place: modules::Place) -> mlua::Result<(Lua, Runner)> {
    let libraries = StdLib::TABLE
        | StdLib::STRING
        | StdLib::UTF8
        | StdLib::BIT
        | StdLib::MATH
        | StdLib::BUFFER
        | StdLib::VECTOR
        | StdLib::COROUTINE
        | StdLib::OS;
    let lua = Lua::new_with(libraries, LuaOptions::default())?;
    lua.set_memory_limit(MEMORY_BYTES)?;
    budget.watch(&lua);
    budget.begin();
    failure::prepare(&lua)?;

    let globals = lua.globals();
    for name in ABSENT {
        globals.raw_set(*name, Value::Nil)?;
    }
    globals.raw_set("collectgarbage", lua.create_function(collectgarbage)?)?;
    // Without its lines, which errors of the library would name in place of the script's.
    let without_lines = Compiler::new().set_debug_level(0);
    let guards = lua.load(include_str!("guards.luau")).set_name("=prelude");
    let guards = guards.set_compiler(without_lines);
    guards.call::<()>((MOST_STEPS, LONGEST_FORMAT, MOST_ELEMENTS, LONGEST_REPLACEMENT))?;
    let prelude = lua.load(include_str!("prelude.luau")).set_name("=prelude");
    let pending = Value::LightUserData(Lua::poll_pending());
    let (raising, waits, run) = prelude.call((pending, MAX_ARGUMENTS))?;
    let (xpcall, tracer) = (globals.get("xpcall")?, failure::tracer(&lua)?);
    let runner = Runner { budget, raising, waits, run, xpcall, tracer };
    let require = runner.waiting(modules::require(&lua, place, &runner)?)?;
    globals.raw_set("require", require)?;
    Ok((lua, runner))
}

/// From now on scripts run here, and change nothing but their own globals.
pub(super) fn seal(lua: &Lua, chat: &Table) -> mlua::Result<()> {
    lua.globals().raw_set("chat", chat)?;
    lua.sandbox(true)
}

/// Compiles a script. Bytecode is refused.
pub(super) fn compile(lua: &Lua, name: &str, source: impl AsRef<[u8]>) -> mlua::Result<Function> {
    lua.load(source.as_ref()).set_name(format!("@{name}")).set_mode(ChunkMode::Text).into_function()
}

/// Runs functions of a VM, and does not keep it alive.
#[derive(Clone)]
pub(super) struct Runner {
    pub(super) budget: Rc<Budget>,
    /// Turns functions that return failures into functions that raise them.
    raising: Function,
    /// The same for functions that wait.
    waits: Function,
    /// Calls a function by `xpcall` in a coroutine that no script may resume.
    run: Function,
    xpcall: Function,
    tracer: Function,
}

impl Runner {
    /// The same function, with failures raised.
    pub(super) fn raising(&self, function: Function) -> mlua::Result<Function> {
        self.raising.call(function)
    }

    /// The same function, which waits, with failures raised.
    pub(super) fn waiting(&self, function: Function) -> mlua::Result<Function> {
        self.waits.call(function)
    }

    /// Calls a function that can't wait; an error comes with its traceback.
    pub(super) fn call(
        &self,
        function: &Function,
        arguments: impl IntoLuaMulti,
    ) -> Result<MultiValue, String> {
        let arguments = (function, &self.tracer, arguments);
        failure::traced(self.xpcall.call::<MultiValue>(arguments))
    }

    /// Calls a function in the time of whoever runs already; an error comes with its traceback.
    pub(super) fn within(
        &self,
        function: &Function,
    ) -> impl Future<Output = Result<MultiValue, String>> + use<> {
        let running = self.run.call_async::<MultiValue>((function, &self.tracer));
        async move { failure::traced(running.await) }
    }

    /// Runs a function to its end; an error comes with its traceback.
    pub(super) fn run(
        &self,
        function: &Function,
        mut arguments: MultiValue,
    ) -> impl Future<Output = Result<MultiValue, String>> + use<> {
        arguments.push_front(Value::Function(self.tracer.clone()));
        arguments.push_front(Value::Function(function.clone()));
        let running = self.budget.slices(self.run.call_async::<MultiValue>(arguments));
        let lua = function.weak_lua().clone();
        async move {
            let result = failure::traced(running.await);
            if result.is_err()
                && let Some(lua) = lua.try_upgrade()
            {
                // It may have been for want of memory, which is then free again.
                let _ = lua.gc_collect();
            }
            result
        }
    }
}

/// How much memory is in use, in KiB, whatever is asked.
fn collectgarbage(lua: &Lua, _: MultiValue) -> mlua::Result<f64> {
    Ok(lua.used_memory() as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_bytecode_is_refused_and_what_it_was_made_of_is_not() {
        let (lua, _) = make(Budget::new(std::sync::Arc::default()), modules::Place(None)).unwrap();
        let source = "return 'it runs'";
        let bytecode = Compiler::new().compile(source).unwrap();
        let loaded: String = lua.load(&bytecode[..]).eval().unwrap();
        assert_eq!(loaded, "it runs");
        let refusal = compile(&lua, "test.lua", &bytecode).unwrap_err();
        assert!(failure::error_text(&refusal).contains("binary"), "{refusal}");
        let compiled = compile(&lua, "test.lua", source).unwrap();
        assert_eq!(compiled.call::<String>(()).unwrap(), "it runs");
    }
}
