//! One client as a script sees it: its commands, events and waiting calls.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use event_listener::Event as Wakeup;
use mlua::{Function, IntoLua as _, IntoLuaMulti as _, Lua, LuaSerdeExt as _, WeakLua};
use serde_json::Value;

use super::failure::LuaResult;
use super::host::Host;
use super::limits::MAX_EVENTS;
use super::mailbox::{Mailbox, is_own_message};
use super::output::Said;
use letschat_commands::command::Dispatcher;

/// One client of a script.
pub(super) struct ScriptClient {
    pub(super) host: Rc<Host>,
    pub(super) dispatcher: Dispatcher,
    lua: WeakLua,
    handlers: RefCell<Vec<Handler>>,
    mailbox: RefCell<Mailbox>,
    arrived: Wakeup,
    /// True if the script has ever waited for an event. Otherwise lost events need no warning.
    is_waited_for: Cell<bool>,
    is_loss_told: Cell<bool>,
    is_over: Cell<bool>,
}

struct Handler {
    id: u64,
    event: String,
    /// True if it receives own messages. A handler that answers them would loop forever.
    own: bool,
    function: Function,
}

impl ScriptClient {
    pub(super) fn new(lua: &Lua, host: Rc<Host>, dispatcher: Dispatcher) -> Rc<ScriptClient> {
        Rc::new(ScriptClient {
            host,
            dispatcher,
            lua: lua.weak(),
            handlers: RefCell::default(),
            mailbox: RefCell::default(),
            arrived: Wakeup::new(),
            is_waited_for: Cell::new(false),
            is_loss_told: Cell::new(false),
            is_over: Cell::new(false),
        })
    }

    /// Queues an event for `chat.wait`, and starts its handlers in order.
    pub(super) async fn deliver(&self, event: Value) {
        let name = event["event"].as_str().unwrap_or_default().to_owned();
        self.mailbox.borrow_mut().put(event.clone());
        self.tell_loss();
        self.arrived.notify(usize::MAX);
        let is_own = is_own_message(&event);
        let is_meant = |handler: &&Handler| handler.event == name && (handler.own || !is_own);
        let meant: Vec<(u64, Function)> = {
            let handlers = self.handlers.borrow();
            let meant = handlers.iter().filter(is_meant);
            meant.map(|handler| (handler.id, handler.function.clone())).collect()
        };
        for (id, function) in meant {
            let is_there = self.handlers.borrow().iter().any(|handler| handler.id == id);
            let Some(lua) = self.lua.try_upgrade().filter(|_| is_there) else { continue };
            let arguments = to_lua(&lua, &event).and_then(|event| event.into_lua_multi(&lua));
            match arguments {
                Ok(arguments) => self.host.start(&function, arguments).await,
                Err(error) => self.host.fail(super::failure::error_text(&error)),
            }
        }
    }

    /// Records that no more events will come.
    pub(super) fn end(&self) {
        self.is_over.set(true);
        let handlers = self.handlers.take();
        self.host.remove_handlers(handlers.len());
        self.arrived.notify(usize::MAX);
    }

    pub(super) fn add_handler(&self, event: &str, own: bool, function: Function) -> LuaResult<u64> {
        self.host.add_handler()?;
        let id = self.host.next_id();
        if self.is_over.get() {
            self.host.remove_handlers(1);
        } else {
            let event = event.to_owned();
            self.handlers.borrow_mut().push(Handler { id, event, own, function });
        }
        Ok(id)
    }

    pub(super) fn remove_handler(&self, id: u64) {
        let mut handlers = self.handlers.borrow_mut();
        let before = handlers.len();
        handlers.retain(|handler| handler.id != id);
        self.host.remove_handlers(before - handlers.len());
    }

    /// Waits for an event that fits. Returns `None` once no more can come.
    pub(super) async fn wait(
        &self,
        fits: impl Fn(&Value) -> LuaResult<bool>,
    ) -> LuaResult<Option<Value>> {
        self.is_waited_for.set(true);
        loop {
            let arrived = self.arrived.listen();
            // `fits` may call the script, which may itself use the mailbox.
            let mut mailbox = self.mailbox.take();
            let found = mailbox.take(&fits);
            self.mailbox.replace(mailbox);
            if let Some(event) = found? {
                return Ok(Some(event));
            }
            if self.is_over.get() {
                return Ok(None);
            }
            arrived.await;
        }
    }

    fn tell_loss(&self) {
        let is_new = self.mailbox.borrow().lost() > 0 && !self.is_loss_told.get();
        if is_new && self.is_waited_for.get() {
            self.is_loss_told.set(true);
            let message = format!("{MAX_EVENTS} events wait to be read; the oldest are let go.");
            self.host.say(Said::Log("warn", message));
        }
    }
}

/// Converts a JSON value to Lua. Fields that are `null` are absent.
pub(super) fn to_lua(lua: &Lua, value: &Value) -> mlua::Result<mlua::Value> {
    let options = mlua::serde::SerializeOptions::new()
        .serialize_none_to_null(false)
        .serialize_unit_to_null(false)
        .set_array_metatable(false);
    lua.to_value_with(value, options)?.into_lua(lua)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::modules::Place;
    use crate::output::OutputSink;
    use crate::vm;
    use async_executor::LocalExecutor;
    use futures_lite::future::{block_on, poll_once};
    use letschat_commands::passwords::Passwords;
    use letschat_engine::client::{Client, Config};
    use letschat_flags::output::OutputError;
    use serde_json::json;
    use std::sync::Arc;

    struct Notes(Rc<RefCell<Vec<Said>>>);

    impl OutputSink for Notes {
        fn say(&self, said: Said) -> Result<(), OutputError> {
            self.0.borrow_mut().push(said);
            Ok(())
        }
    }

    /// Returns a `script_client` of an idle client, and the script's output.
    fn script_client(lua: &mut Option<Lua>) -> (Rc<ScriptClient>, Rc<RefCell<Vec<Said>>>) {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            server: "127.0.0.1:1".parse().unwrap(),
            data_folder: folder.path().join("data"),
            accept_new: false,
            peer_port: 0,
            peer_listen: None,
            detach_on_chat: false,
            tries: Some(1),
            return_after_idle: false,
            device_name: None,
            downloads: folder.path().join("downloads"),
            history: None,
            classroom: None,
        };
        let client = Client::start(config).unwrap();
        let (made, runner) = vm::make(Budget::new(Arc::default()), Place(None)).unwrap();
        let said = Rc::new(RefCell::new(Vec::new()));
        let executor = Rc::new(LocalExecutor::new());
        let host = Host::new(runner, executor, Box::new(Notes(said.clone())));
        let dispatcher = Dispatcher::new(client, Passwords::new(None, None));
        let script_client = ScriptClient::new(lua.insert(made), host, dispatcher);
        (script_client, said)
    }

    fn message(number: usize) -> Value {
        json!({"event": "message", "number": number})
    }

    #[test]
    fn who_reads_too_late_misses_the_oldest_and_is_told_once() {
        let mut lua = None;
        let (script_client, said) = script_client(&mut lua);
        block_on(async {
            assert!(poll_once(script_client.wait(|_| Ok(false))).await.is_none());
            for number in 0..MAX_EVENTS + 6 {
                script_client.deliver(message(number)).await;
            }
            let first = script_client.wait(|_| Ok(true)).await.unwrap().unwrap();
            assert_eq!(first, message(6));
        });
        let said = said.borrow();
        assert!(matches!(&said[..], [Said::Log("warn", _)]), "{said:?}");
    }

    #[test]
    fn who_never_waits_misses_nothing_and_is_told_nothing() {
        let mut lua = None;
        let (script_client, said) = script_client(&mut lua);
        block_on(async {
            for number in 0..MAX_EVENTS + 6 {
                script_client.deliver(message(number)).await;
            }
        });
        assert_eq!(*said.borrow(), []);
    }

    #[test]
    fn handlers_start_in_the_order_of_events_though_one_waits() {
        let mut lua = None;
        let (script_client, said) = script_client(&mut lua);
        let lua = lua.unwrap();
        let host = script_client.host.clone();
        let print = move |_: &Lua, text: String| {
            host.say(Said::Text(text));
            Ok(())
        };
        lua.globals().set("print", lua.create_function(print).unwrap()).unwrap();
        let pause = |_: Lua, (): ()| async {
            futures_lite::future::yield_now().await;
            Ok(())
        };
        lua.globals().set("pause", lua.create_async_function(pause).unwrap()).unwrap();
        let source = "return function(e) print('begin ' .. e.number) pause() print('end') end";
        let handler: Function = lua.load(source).eval().unwrap();
        script_client.add_handler("message", false, handler).unwrap();
        block_on(async {
            for number in 1..=3 {
                script_client.deliver(message(number)).await;
            }
            script_client.host.executor.run(script_client.host.tasks_done()).await;
        });
        let text = |said: &Said| matches!(said, Said::Text(text) if text.starts_with("begin"));
        let begun: Vec<Said> =
            said.borrow().iter().take_while(|said| text(said)).cloned().collect();
        let expected = ["begin 1", "begin 2", "begin 3"].map(|text| Said::Text(text.into()));
        assert_eq!(begun, expected);
        assert_eq!(said.borrow().len(), 6);
    }
}
