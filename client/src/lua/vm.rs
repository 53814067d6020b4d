//! A Luau VM that reaches nothing but what it is given.

use std::future::Future;
use std::rc::Rc;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib, Table, Value};

use super::budget::Budget;
use super::limits::MEMORY_BYTES;
use super::{failure, modules};

/// Length of text times length of pattern: what `string.find` compares in some 100 ms.
const LONGEST_FIND: u64 = 1 << 28;

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
    let xpcall = globals.get("xpcall")?;
    let tracer = failure::tracer(&lua)?;
    let require = modules::require(&lua, place)?;
    for name in ABSENT {
        globals.raw_set(*name, Value::Nil)?;
    }
    globals.raw_set("collectgarbage", lua.create_function(collectgarbage)?)?;
    let prelude = lua.load(include_str!("prelude.luau")).set_name("=prelude");
    let pending = Value::LightUserData(Lua::poll_pending());
    let raising: Function = prelude.call((pending, LONGEST_FIND))?;
    globals.raw_set("require", raising.call::<Function>(require)?)?;
    Ok((lua, Runner { budget, raising, xpcall, tracer }))
}

/// From now on scripts run here, and change nothing but their own globals.
pub(super) fn seal(lua: &Lua, chat: &Table) -> mlua::Result<()> {
    lua.globals().raw_set("chat", chat)?;
    lua.sandbox(true)
}

/// Compiles a script. Bytecode is refused.
pub(super) fn compile(lua: &Lua, name: &str, source: &str) -> mlua::Result<Function> {
    lua.load(source).set_name(format!("@{name}")).set_mode(ChunkMode::Text).into_function()
}

/// Runs functions of a VM, and does not keep it alive.
pub(super) struct Runner {
    pub(super) budget: Rc<Budget>,
    /// Turns functions that return failures into functions that raise them.
    raising: Function,
    xpcall: Function,
    tracer: Function,
}

impl Runner {
    /// The same function, with failures raised.
    pub(super) fn raising(&self, function: Function) -> mlua::Result<Function> {
        self.raising.call(function)
    }

    /// Runs a function to its end; an error comes with its traceback.
    pub(super) fn run(
        &self,
        function: &Function,
        mut arguments: MultiValue,
    ) -> impl Future<Output = Result<MultiValue, String>> + use<> {
        arguments.push_front(Value::Function(self.tracer.clone()));
        arguments.push_front(Value::Function(function.clone()));
        let running = self.budget.slices(self.xpcall.call_async::<MultiValue>(arguments));
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
