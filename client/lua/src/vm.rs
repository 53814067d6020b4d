//! A sandboxed Luau VM.

use std::future::Future;
use std::rc::Rc;

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Function, IntoLuaMulti, Lua, LuaOptions, MultiValue, StdLib, Table, Value};

use super::budget::Budget;
use super::limits::{MAX_ARGUMENTS, MEMORY_BYTES};
use super::{failure, modules};

/// The steps of a search or pattern between two interrupts, about 100 ms.
const MOST_STEPS: u64 = 1 << 26;

/// The length in bytes of a pattern, or of a format of `string.pack` or `os.date`.
const LONGEST_FORMAT: usize = 64 * 1024;

/// The number of elements of a table that one call joins or moves.
const MOST_ELEMENTS: usize = 1_000_000;

/// The length of a replacement for `string.gsub`, which reads it again for each match.
const LONGEST_REPLACEMENT: usize = 1024 * 1024;

/// The globals removed from Luau: code from text, access to other functions' environments, and the garbage
/// collector.
const ABSENT: &[&str] = &["loadstring", "getfenv", "setfenv", "newproxy", "debug", "gcinfo"];

/// Creates a VM whose scripts may `require` modules from `place`, and its runner.
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
    // Line information would make errors name the library's lines instead of the script's.
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

/// Seals the VM: from now on scripts can change only their own globals.
pub(super) fn seal(lua: &Lua, chat: &Table) -> mlua::Result<()> {
    lua.globals().raw_set("chat", chat)?;
    lua.sandbox(true)
}

/// Compiles a script. Bytecode is refused.
pub(super) fn compile(lua: &Lua, name: &str, source: impl AsRef<[u8]>) -> mlua::Result<Function> {
    lua.load(source.as_ref()).set_name(format!("@{name}")).set_mode(ChunkMode::Text).into_function()
}

/// Runs functions of a VM without keeping the VM alive.
#[derive(Clone)]
pub(super) struct Runner {
    pub(super) budget: Rc<Budget>,
    /// Wraps a function that returns failures so that it raises them.
    raising: Function,
    /// Wraps a waiting function in the same way.
    waits: Function,
    /// Calls a function by `xpcall` in a coroutine that no script may resume.
    run: Function,
    xpcall: Function,
    tracer: Function,
}

impl Runner {
    /// Returns the function wrapped so that it raises failures.
    pub(super) fn raising(&self, function: Function) -> mlua::Result<Function> {
        self.raising.call(function)
    }

    /// Returns the waiting function wrapped so that it raises failures.
    pub(super) fn waiting(&self, function: Function) -> mlua::Result<Function> {
        self.waits.call(function)
    }

    /// Calls a function that can't wait. An error includes its traceback.
    pub(super) fn call(
        &self,
        function: &Function,
        arguments: impl IntoLuaMulti,
    ) -> Result<MultiValue, String> {
        let arguments = (function, &self.tracer, arguments);
        failure::traced(self.xpcall.call::<MultiValue>(arguments))
    }

    /// Calls a function within the slice of its caller. An error includes its traceback.
    pub(super) fn within(
        &self,
        function: &Function,
    ) -> impl Future<Output = Result<MultiValue, String>> + use<> {
        let running = self.run.call_async::<MultiValue>((function, &self.tracer));
        async move { failure::traced(running.await) }
    }

    /// Runs a function to its end. An error includes its traceback.
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
                // The function may have run out of memory, which can now be freed.
                let _ = lua.gc_collect();
            }
            result
        }
    }
}

/// Returns the memory in use, in KiB, for any argument.
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
