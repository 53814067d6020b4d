//! One running plugin: its thread and its requests.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_executor::LocalExecutor;
use async_io::Timer;
use futures_lite::FutureExt as _;
use mlua::{Function, IntoLuaMulti as _, Lua, MultiValue, Value};
use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::gettid;
use serde_json::Value as Json;

use super::Plugins;
use super::declared::PluginFilter;
use super::measured::Measured;
use crate::api::store::Store;
use crate::api::{self, output, plugin, store};
use crate::budget::Budget;
use crate::copied::{self, beginning, to_json};
use crate::failure::{LuaResult, error_text, text};
use crate::host::Host;
use crate::limits::{MAX_EVENTS, TEXT_BYTES};
use crate::modules::Place;
use crate::output::Said;
use crate::script_client::{ScriptClient, to_lua};
use crate::{queue, vm};
use letschat_commands::command::Dispatcher;
use letschat_commands::extension::AddedCommand;
use letschat_commands::failure::Failure;
use letschat_core::codes::FailureCode;

/// The size of a plugin's stack. Deep recursion in Lua needs it.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// The size of a plugin's request queue. A request that finds it full is dropped.
const MAX_ASKED: usize = 64;

/// The interval at which a changed store is written.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// A request to a plugin.
pub(super) enum Ask {
    /// Runs a command of the plugin. The client shows the answer.
    Command { name: String, arguments: Json, answer: Sender<Result<Option<String>, Failure>> },
    /// Filters a message. The answer is ignored after `until`.
    Filter { id: u64, message: Json, until: Instant, answer: Sender<Filtered> },
    /// Returns the state for the next instance after a reload.
    Save { answer: Sender<Option<Json>> },
    /// Passes the state of the last instance before a reload.
    Restore { state: Json },
}

/// A filter's decision.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filtered {
    Kept,
    /// The message gets this text.
    Replaced(String),
    Dropped,
}

/// The registered commands and filters. The plugin writes them and the client reads them.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    pub(crate) commands: Vec<AddedCommand>,
    pub(crate) filters: Vec<PluginFilter>,
}

/// A running plugin as the client sees it. Dropping it ends the plugin.
pub(super) struct Instance {
    pub(super) registrations: Arc<Mutex<Registrations>>,
    pub(super) asks: Sender<Ask>,
    pub(super) store: Arc<Store>,
    events: Sender<Json>,
    lost: AtomicBool,
    stop: Arc<AtomicBool>,
}

/// The parameters of a new plugin.
pub(super) struct PluginSetup {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) dispatcher: Dispatcher,
    pub(super) plugins: Plugins,
    pub(super) store: Arc<Store>,
    pub(super) folder: PathBuf,
    pub(super) heard: Sender<(String, Said)>,
}

impl Instance {
    /// Starts a plugin and waits until its file has run. An error ends the plugin.
    pub(super) async fn start(setup: PluginSetup) -> Result<Arc<Instance>, String> {
        let (asks, asked) = async_channel::bounded(MAX_ASKED);
        let (events, told) = async_channel::bounded(MAX_EVENTS);
        let (ready, is_ready) = async_channel::bounded(1);
        let (registrations, stop) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let inside = PluginSide {
            registrations: registrations.clone(),
            stop: stop.clone(),
            asked,
            told,
            ready,
        };
        let (store, lost) = (setup.store.clone(), AtomicBool::new(false));
        let instance = Arc::new(Instance { registrations, asks, store, events, lost, stop });
        // Dropping the instance ends the thread. The client does not join it: the plugin may not notice
        // before its slice is spent.
        thread::Builder::new()
            .name(format!("plugin {}", setup.name))
            .stack_size(STACK_BYTES)
            .spawn(move || perform(setup, inside))
            .map_err(|error| error.to_string())?;
        match is_ready.recv().await {
            Ok(Ok(())) => Ok(instance),
            Ok(Err(why)) => Err(why),
            Err(_) => Err("it ended while it was being loaded".into()),
        }
    }

    /// Returns true if the plugin runs no more code. Its thread may still be ending.
    pub(super) fn has_ended(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Queues an event. A full queue evicts the oldest event, and the first eviction returns a warning.
    pub(super) fn tell(&self, event: Json) -> Option<String> {
        let lost = self.events.force_send(event).ok().flatten();
        (lost.is_some() && !self.lost.swap(true, Ordering::SeqCst)).then(queue::too_slow)
    }
}

impl Instance {
    /// Ends the plugin, even if others still hold the instance.
    pub(super) fn end(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.asks.close();
        self.events.close();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.end();
    }
}

/// The plugin's side of an [`Instance`].
struct PluginSide {
    registrations: Arc<Mutex<Registrations>>,
    stop: Arc<AtomicBool>,
    asked: Receiver<Ask>,
    told: Receiver<Json>,
    ready: Sender<Result<(), String>>,
}

/// The niceness of plugin threads, so that the client runs first when both need the processor.
const NICENESS: i32 = 10;

fn perform(setup: PluginSetup, inside: PluginSide) {
    // Linux has a priority for each thread. Elsewhere plugins run at the client's priority.
    if let Ok(own) = getpriority_process(Some(gettid())) {
        let _ = setpriority_process(Some(gettid()), own + NICENESS);
    }
    let (name, plugins, registrations) =
        (setup.name.clone(), setup.plugins.clone(), inside.registrations.clone());
    let executor = Rc::new(LocalExecutor::new());
    async_io::block_on(executor.clone().run(async {
        let ready = inside.ready.clone();
        match Plugin::set(setup, inside, executor) {
            Ok((plugin, source)) => plugin.live(&source).await,
            // The caller may have stopped waiting.
            Err(error) => drop(ready.try_send(Err(error_text(&error)))),
        }
    }));
    *registrations.lock().unwrap_or_else(PoisonError::into_inner) = Registrations::default();
    plugins.note_end(&name, &registrations);
}

/// The Lua functions of a plugin's commands and filters.
#[derive(Default)]
pub(crate) struct Functions {
    pub(crate) commands: HashMap<String, Function>,
    pub(crate) filters: HashMap<u64, Function>,
}

/// A plugin, on its own thread.
struct Plugin {
    name: String,
    lua: Lua,
    host: Rc<Host>,
    script_client: Rc<ScriptClient>,
    store: Arc<Store>,
    /// True after a failed write, so that it is reported once.
    is_store_failing: Cell<bool>,
    functions: Rc<RefCell<Functions>>,
    asked: Receiver<Ask>,
    told: Receiver<Json>,
    ready: Sender<Result<(), String>>,
}

impl Plugin {
    fn set(
        setup: PluginSetup,
        inside: PluginSide,
        executor: Rc<LocalExecutor<'static>>,
    ) -> mlua::Result<(Plugin, String)> {
        let (lua, runner) = vm::make(Budget::new(inside.stop), Place(Some(setup.folder)))?;
        let output = Measured::new(setup.name.clone(), setup.heard);
        let host = Host::new(runner, executor, Box::new(output));
        let script_client = ScriptClient::new(&lua, host.clone(), setup.dispatcher);
        let store = setup.store;
        let functions = Rc::new(RefCell::new(Functions::default()));

        let chat = api::of_client(&lua, &host, &script_client)?;
        api::add_common(&chat, &host)?;
        let plugins = setup.plugins.clone();
        output::add(&chat, &host, &[], move || plugins.idle_seconds())?;
        store::add(&chat, &host, &store)?;
        let registrar = plugin::Registrar {
            plugin: setup.name.clone(),
            plugins: setup.plugins,
            registrations: inside.registrations,
            functions: functions.clone(),
        };
        plugin::add(&chat, &host, Rc::new(registrar))?;
        output::replace_print(&lua, &chat.table)?;
        vm::seal(&lua, &chat.table)?;
        let PluginSide { asked, told, ready, .. } = inside;
        let name = setup.name;
        let is_store_failing = Cell::new(false);
        let plugin = Plugin {
            name,
            lua,
            host,
            script_client,
            store,
            is_store_failing,
            functions,
            asked,
            told,
            ready,
        };
        Ok((plugin, setup.source))
    }

    async fn live(self, source: &str) {
        let file = format!("{}.lua", self.name);
        let main = match vm::compile(&self.lua, &file, source) {
            Ok(main) => self.host.runner.run(&main, MultiValue::new()).await.map(drop),
            Err(error) => Err(error_text(&error)),
        };
        let is_well = main.is_ok();
        // The caller may have stopped waiting.
        let _ = self.ready.try_send(main);
        if is_well {
            let ended = async {
                self.host.ended().await;
            };
            let events = async {
                queue::deliver(&self.script_client, self.told.clone()).await;
                std::future::pending::<()>().await;
            };
            ended.or(self.answer()).or(self.keep()).or(events).await;
        }
        self.save();
        self.host.clear();
        self.functions.take();
    }

    /// Answers requests until the queue closes.
    async fn answer(&self) {
        while let Ok(ask) = self.asked.recv().await {
            match ask {
                Ask::Command { name, arguments, answer } => {
                    let function = self.functions.borrow().commands.get(&name).cloned();
                    self.run_command(function, arguments, answer);
                }
                Ask::Filter { id, message, until, answer } => {
                    if !answer.is_closed() {
                        let filtered = self.filter(id, &message, until).await;
                        let _ = answer.try_send(filtered);
                    }
                }
                Ask::Save { answer } => {
                    let saved = self.call_global("save", None);
                    self.begin(async move {
                        let _ = answer.try_send(saved.await);
                    });
                }
                Ask::Restore { state } => {
                    let restored = self.call_global("restore", Some(state));
                    self.begin(async move { drop(restored.await) });
                }
            }
        }
    }

    /// Runs a command as a task. It may wait for long, and the next request must not wait for it.
    fn run_command(
        &self,
        function: Option<Function>,
        arguments: Json,
        answer: Sender<Result<Option<String>, Failure>>,
    ) {
        let Some(function) = function else { return };
        let arguments = to_lua(&self.lua, &arguments).and_then(|a| a.into_lua_multi(&self.lua));
        let Ok(arguments) = arguments else { return };
        let (running, host) = (self.host.runner.run(&function, arguments), self.host.clone());
        self.begin(async move {
            let result = match running.await {
                Ok(values) => Ok(values.front().filter(|value| !value.is_nil()).map(shown)),
                Err(trace) => {
                    host.fail(trace);
                    Err(Failure::new(
                        FailureCode::Plugin,
                        "The plugin has failed; its error is shown.",
                    ))
                }
            };
            let _ = answer.try_send(result);
        });
    }

    async fn filter(&self, id: u64, message: &Json, until: Instant) -> Filtered {
        let function = self.functions.borrow().filters.get(&id).cloned();
        let Some(function) = function else { return Filtered::Kept };
        let arguments = to_lua(&self.lua, message).and_then(|m| m.into_lua_multi(&self.lua));
        let Ok(arguments) = arguments else { return Filtered::Kept };
        // A filter that misses the deadline is abandoned, so that the next request is answered.
        let expired = async {
            Timer::at(until).await;
            None
        };
        let decision = async { Some(self.host.runner.run(&function, arguments).await) };
        let decided = match decision.or(expired).await {
            Some(Ok(values)) => read_decision(values.front().unwrap_or(&Value::Nil)),
            Some(Err(trace)) => Err(trace),
            None => Ok(Filtered::Kept),
        };
        decided.unwrap_or_else(|trace| {
            self.host.fail(trace);
            Filtered::Kept
        })
    }

    /// Runs work as a task, since it may wait for long and the next request must not. With too many tasks
    /// the work is dropped, and the caller sees the closed channel.
    fn begin(&self, work: impl Future<Output = ()> + 'static) {
        let _ = self.host.add_task(work);
    }

    /// Calls a global function of the plugin, if it exists.
    fn call_global(
        &self,
        name: &'static str,
        argument: Option<Json>,
    ) -> impl Future<Output = Option<Json>> + 'static {
        let (lua, host) = (self.lua.clone(), self.host.clone());
        let function: Option<Function> = lua.globals().get(name).ok();
        let arguments = argument.map(|argument| to_lua(&lua, &argument)).transpose();
        let arguments = arguments.and_then(|argument| argument.into_lua_multi(&lua)).ok();
        async move {
            match host.runner.run(&function?, arguments?).await {
                Ok(values) => match to_json(values.front()?) {
                    Ok(value) => Some(value),
                    Err(failure) => {
                        host.fail(format!("{name}: {}", failure.message));
                        None
                    }
                },
                Err(trace) => {
                    host.fail(trace);
                    None
                }
            }
        }
    }

    async fn keep(&self) {
        loop {
            Timer::after(SAVE_INTERVAL).await;
            self.save();
        }
    }

    fn save(&self) {
        match self.store.save() {
            Ok(()) => self.is_store_failing.set(false),
            Err(_) if self.is_store_failing.replace(true) => {}
            Err(error) => {
                self.host.fail(format!("What it keeps could not be written: {error}."));
            }
        }
    }
}

/// Reads the value that a filter returned.
fn read_decision(value: &Value) -> Result<Filtered, String> {
    match value {
        Value::Nil => Ok(Filtered::Kept),
        Value::Boolean(false) => Ok(Filtered::Dropped),
        // Other fields are ignored, so they are not copied.
        Value::Table(table) => match table.raw_get("text").map_err(|error| error_text(&error))? {
            Value::Nil => Ok(Filtered::Kept),
            value => copied::text(&value).map(Filtered::Replaced).map_err(|why| why.message),
        },
        _ => Err("a filter returns nothing, a table or chat.DROP".into()),
    }
}

/// Converts a command's result to text for people.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => beginning(text, TEXT_BYTES),
        Value::Integer(_) | Value::Number(_) | Value::Boolean(_) => {
            value.to_string().unwrap_or_default()
        }
        other => text(other),
    }
}

/// Returns the failure for a request without an answer.
pub(super) fn unanswered() -> LuaResult<Option<String>> {
    Err(Failure::new(
        FailureCode::Plugin,
        "The plugin has given no answer; `/plugin list` shows how it is.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_plugin_loses_the_oldest_events_and_is_told_of_once() {
        let (asks, _asked) = async_channel::bounded(1);
        let (events, told) = async_channel::bounded(MAX_EVENTS);
        let instance = Instance {
            registrations: Arc::default(),
            asks,
            store: Store::new(PathBuf::from("nowhere")),
            events,
            lost: AtomicBool::new(false),
            stop: Arc::default(),
        };
        let warnings: Vec<usize> = (0..MAX_EVENTS + 3)
            .filter(|number| instance.tell(Json::from(*number)).is_some())
            .collect();
        assert_eq!(warnings, [MAX_EVENTS]);
        assert_eq!(told.len(), MAX_EVENTS);
        assert_eq!(told.try_recv(), Ok(Json::from(3)));
    }
}
