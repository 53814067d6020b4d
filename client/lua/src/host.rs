//! The tasks, timers and handlers of one VM, and its end.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;

use async_executor::{LocalExecutor, Task};
use event_listener::Event as Wakeup;
use futures_lite::future::poll_once;
use letschat_flags::output::{self, OutputError};
use mlua::{Function, MultiValue};

use super::failure::{LuaResult, too_many};
use super::limits::{MAX_ERRORS, MAX_HANDLERS, MAX_TASKS, MAX_TIMERS};
use super::output::{OutputSink, Said, bounded};
use super::vm::Runner;
use letschat_commands::exit_status;

/// The end of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The script requested this exit status.
    Exit(u8),
    /// The script failed, or too many of its tasks did.
    Failed,
}

/// The state that everything in one VM shares. It stays on one thread.
pub(super) struct Host {
    pub(super) runner: Runner,
    pub(super) executor: Rc<LocalExecutor<'static>>,
    output: Box<dyn OutputSink>,
    handlers: Cell<usize>,
    timers: RefCell<HashMap<u64, Task<()>>>,
    tasks: RefCell<HashMap<u64, Task<()>>>,
    last_id: Cell<u64>,
    errors: Cell<usize>,
    end: Cell<Option<End>>,
    /// True if the output is closed or returned an error.
    is_unheard: Cell<bool>,
    changed: Wakeup,
}

impl Host {
    pub(super) fn new(
        runner: Runner,
        executor: Rc<LocalExecutor<'static>>,
        output: Box<dyn OutputSink>,
    ) -> Rc<Host> {
        Rc::new(Host {
            runner,
            executor,
            output,
            handlers: Cell::new(0),
            timers: RefCell::default(),
            tasks: RefCell::default(),
            last_id: Cell::new(0),
            errors: Cell::new(0),
            end: Cell::new(None),
            is_unheard: Cell::new(false),
            changed: Wakeup::new(),
        })
    }

    pub(super) fn say(&self, said: Said) {
        let said = self.output.say(match said {
            Said::Text(text) => Said::Text(bounded(text)),
            Said::Log(level, text) => Said::Log(level, bounded(text)),
            Said::Error(text) => Said::Error(bounded(text)),
            Said::Bell => Said::Bell,
        });
        if let Err(error) = said {
            self.end_unheard(&error);
        }
    }

    /// Ends a script whose output fails. It prints no error if the reader has closed the output.
    fn end_unheard(&self, error: &OutputError) {
        if self.is_unheard.replace(true) {
            return;
        }
        match error.is_not_read() {
            true if !self.has_failed() => self.end_by(End::Exit(exit_status::SUCCESS)),
            true => self.end_by(End::Failed),
            false => {
                output::complain("letschat", error);
                self.end_by(End::Failed);
            }
        }
    }

    pub(super) fn next_id(&self) -> u64 {
        self.last_id.set(self.last_id.get() + 1);
        self.last_id.get()
    }

    /// Runs a function until it first waits; the rest becomes a task. With too many tasks it waits for
    /// room, so that no call is lost.
    pub(super) async fn start(self: &Rc<Self>, function: &Function, arguments: MultiValue) {
        self.until(|host| host.tasks.borrow().len() < MAX_TASKS).await;
        let (id, mut work) = self.work(function, arguments);
        if poll_once(&mut work).await.is_none() {
            self.tasks.borrow_mut().insert(id, self.executor.spawn(work));
        }
    }

    /// Runs a future of Rust code as a task.
    pub(super) fn add_task(
        self: &Rc<Self>,
        work: impl Future<Output = ()> + 'static,
    ) -> LuaResult<()> {
        if self.tasks.borrow().len() >= MAX_TASKS {
            return Err(too_many("tasks", MAX_TASKS));
        }
        let (id, host) = (self.next_id(), self.clone());
        let task = self.executor.spawn(async move {
            work.await;
            host.remove(id);
        });
        self.tasks.borrow_mut().insert(id, task);
        Ok(())
    }

    /// Runs a Lua function as a task.
    pub(super) fn spawn(
        self: &Rc<Self>,
        function: &Function,
        arguments: MultiValue,
    ) -> LuaResult<u64> {
        if self.tasks.borrow().len() >= MAX_TASKS {
            return Err(too_many("tasks", MAX_TASKS));
        }
        let (id, work) = self.work(function, arguments);
        self.tasks.borrow_mut().insert(id, self.executor.spawn(work));
        Ok(id)
    }

    fn work(
        self: &Rc<Self>,
        function: &Function,
        arguments: MultiValue,
    ) -> (u64, std::pin::Pin<Box<impl Future<Output = ()> + 'static>>) {
        let (id, host) = (self.next_id(), self.clone());
        let running = self.runner.run(function, arguments);
        let work = async move {
            if let Err(trace) = running.await {
                host.fail(trace);
            }
            host.tasks.borrow_mut().remove(&id);
            host.changed.notify(usize::MAX);
        };
        (id, Box::pin(work))
    }

    /// Adds a future that runs until it completes or is removed.
    pub(super) fn add_timer(
        self: &Rc<Self>,
        timer: impl Future<Output = ()> + 'static,
    ) -> LuaResult<u64> {
        if self.timers.borrow().len() >= MAX_TIMERS {
            return Err(too_many("timers", MAX_TIMERS));
        }
        let (id, host) = (self.next_id(), self.clone());
        let task = self.executor.spawn(async move {
            timer.await;
            host.remove(id);
        });
        self.timers.borrow_mut().insert(id, task);
        Ok(id)
    }

    /// Ends a timer or task if it still exists.
    pub(super) fn remove(&self, id: u64) {
        let timer = self.timers.borrow_mut().remove(&id);
        let task = self.tasks.borrow_mut().remove(&id);
        drop((timer, task));
        self.changed.notify(usize::MAX);
    }

    pub(super) fn add_handler(&self) -> LuaResult<()> {
        if self.handlers.get() >= MAX_HANDLERS {
            return Err(too_many("handlers", MAX_HANDLERS));
        }
        self.handlers.set(self.handlers.get() + 1);
        Ok(())
    }

    pub(super) fn remove_handlers(&self, count: usize) {
        self.handlers.set(self.handlers.get().saturating_sub(count));
        self.changed.notify(usize::MAX);
    }

    /// Shows an error of a task. The script continues unless there were too many errors.
    pub(super) fn fail(&self, trace: String) {
        if self.end.get().is_some() || self.runner.budget.is_stopped() {
            return;
        }
        self.say(Said::Error(trace));
        self.errors.set(self.errors.get() + 1);
        if self.errors.get() >= MAX_ERRORS {
            // The script ends first, so that a reader of the message finds it ended.
            self.end_by(End::Failed);
            self.say(Said::Error(format!("{MAX_ERRORS} errors are too many; this is the end.")));
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.errors.get() > 0
    }

    /// Ends the script. The first call decides the end.
    pub(super) fn end_by(&self, end: End) {
        if self.end.get().is_none() {
            self.end.set(Some(end));
        }
        self.runner.budget.stop();
        self.changed.notify(usize::MAX);
    }

    /// Returns the end of the script, if it has ended.
    pub(super) fn end(&self) -> Option<End> {
        self.end.get()
    }

    /// Waits for the end of the script.
    pub(super) async fn ended(&self) -> End {
        self.until(|host| host.end.get().is_some()).await;
        self.end.get().unwrap_or(End::Failed)
    }

    /// Waits until no handlers, timers or tasks are left.
    pub(super) async fn idle(&self) {
        self.until(|host| {
            host.handlers.get() == 0
                && host.timers.borrow().is_empty()
                && host.tasks.borrow().is_empty()
        })
        .await;
    }

    /// Waits until every task has ended.
    #[cfg(test)]
    pub(super) async fn tasks_done(&self) {
        self.until(|host| host.tasks.borrow().is_empty()).await;
    }

    async fn until(&self, is_so: impl Fn(&Host) -> bool) {
        loop {
            let changed = self.changed.listen();
            if is_so(self) {
                return;
            }
            changed.await;
        }
    }

    /// Drops all timers and tasks, and everything that they own.
    pub(super) fn clear(&self) {
        let tasks = (self.timers.take(), self.tasks.take());
        drop(tasks);
    }
}
