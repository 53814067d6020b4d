//! Front ends: what reads lines, has them done, and writes what comes of it.
//!
//! * [`json`] – JSON lines out; objects or typed lines in
//! * [`line`] – a prompt at a terminal, for people
//! * [`plain`] – plain lines, for shell scripts and for people
//! * [`render`] – replies and events as text that is safe for a terminal
//! * `lines` – standard input, a bounded line at a time, when one is wanted
//! * `terminal` – passwords, asked for without echo
//! * [`signals`] – an orderly end on SIGTERM and the like
//!
//! A line waits for the one before, unless it is an object with an id or a person types it: these
//! run beside the others. At the end of input everything pending is finished, then the client
//! quits.

pub mod json;
pub mod line;
mod lines;
pub mod plain;
pub mod render;
pub mod signals;
mod terminal;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_executor::{LocalExecutor, Task};
use async_io::Timer;
use event_listener::Event as Wakeup;
use futures_lite::FutureExt as _;
use letschat_flags::output::{self, OutputError};
use letschat_protocol::username::Username;
use serde_json::{Map, Value};
use smol::lock::{Semaphore, SemaphoreGuardArc};

use crate::client::{Client, Ended};
use crate::command::{Call, Dispatcher, Prepared, Rejection, parse_object};
use crate::commands;
use crate::event::Event;
use crate::exit_status;
use crate::session::{Failure, Reply, Request};
pub use terminal::Terminal;

/// Lines that may wait for the one that is being done. Then reading stops.
const MAX_IN_ORDER: usize = 256;

/// What may be done at the same time beside these. Then reading stops.
const MAX_BESIDE: usize = 64;

/// When the client has ended, what is still being done has this long to say so.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How a front end speaks: everything else is the same for all.
pub(crate) trait Dialect {
    /// Where entries come from.
    type Input: Input;
    /// Begins to read.
    fn input(&self) -> Self::Input;
    /// Writes an event.
    async fn event(&self, event: &Event) -> Result<(), OutputClosed>;
    /// Writes what came of an entry.
    async fn result(&self, outcome: &Outcome) -> Result<(), OutputClosed>;
}

/// What is asked for, one thing after the other.
pub(crate) trait Input {
    /// The next one; `None` at the end of input.
    async fn next(&mut self) -> Option<Entry>;
}

/// One thing that was asked for.
pub(crate) enum Entry {
    /// A line as a user types it.
    Typed(String),
    /// A command by name.
    Object { id: Option<Value>, command: String, arguments: Map<String, Value> },
    /// A line whose meaning was settled where it was typed.
    Call { id: Option<Value>, call: Result<Call, Rejection> },
    /// Nothing that can be understood.
    Malformed { id: Option<Value>, failure: Failure },
}

impl Entry {
    /// The id of its reply, and the call that is asked for or why there is none.
    fn into_call(
        self,
        parse_line: impl FnOnce(&str) -> Result<Call, Rejection>,
    ) -> (Option<Value>, Result<Call, Rejection>) {
        match self {
            Entry::Typed(line) => (None, parse_line(&line)),
            Entry::Object { id, command, arguments } => (id, parse_object(&command, &arguments)),
            Entry::Call { id, call } => (id, call),
            Entry::Malformed { id, failure } => (id, Err(Rejection { command: None, failure })),
        }
    }
}

/// What came of an [`Entry`].
pub(crate) struct Outcome {
    /// The command's name; `None` if there was none to be understood.
    pub(crate) command: Option<&'static str>,
    pub(crate) id: Option<Value>,
    pub(crate) result: Result<Reply, Failure>,
}

/// What is written does not get through.
#[derive(Debug)]
pub(crate) enum OutputClosed {
    /// Nobody reads it any more.
    NotRead,
    /// The system refuses it.
    Failed(OutputError),
}

impl From<OutputError> for OutputClosed {
    fn from(error: OutputError) -> OutputClosed {
        if error.is_not_read() { OutputClosed::NotRead } else { OutputClosed::Failed(error) }
    }
}

/// As whom to log in before the first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstLogin {
    /// Not at all.
    None,
    /// As this account.
    As(Username),
}

/// What a front end needs to run.
pub struct Stage {
    /// To which the commands go.
    pub dispatcher: Dispatcher,
    /// What the client tells.
    pub events: Receiver<Event>,
    /// Done before the first line.
    pub login: FirstLogin,
    /// Whether a person types the lines: then a failed command is no failure of the run.
    pub interactive: bool,
}

/// Runs a front end until the client has ended; the result is the exit status.
pub(crate) fn run(stage: Stage, dialect: impl Dialect + 'static) -> u8 {
    let executor = LocalExecutor::new();
    let run = Run {
        client: stage.dispatcher.client().clone(),
        dispatcher: stage.dispatcher,
        dialect,
        interactive: stage.interactive,
        first_failure: Cell::new(None),
        is_over: Cell::new(false),
        output_closed: Wakeup::new(),
        output_failed: Cell::new(false),
        beside: RefCell::default(),
    };
    let (events, login) = (stage.events, stage.login);
    async_io::block_on(executor.run(Rc::new(run).conduct(&executor, events, login)))
}

struct Run<D> {
    client: Client,
    dispatcher: Dispatcher,
    dialect: D,
    interactive: bool,
    /// The exit status that it means.
    first_failure: Cell<Option<u8>>,
    /// The user has quit, the client has ended, or nobody reads what is written: lines that still
    /// wait are not begun.
    is_over: Cell<bool>,
    output_closed: Wakeup,
    /// Output was refused, and that has been said.
    output_failed: Cell<bool>,
    /// What runs beside the lines in order.
    beside: RefCell<Vec<Task<()>>>,
}

impl<D: Dialect + 'static> Run<D> {
    async fn conduct(
        self: Rc<Self>,
        executor: &LocalExecutor<'static>,
        events: Receiver<Event>,
        login: FirstLogin,
    ) -> u8 {
        let closed = self.output_closed.listen();
        let (in_order, waiting) = async_channel::bounded(MAX_IN_ORDER);
        let mut worker = Some(executor.spawn(self.clone().work(login, waiting)));
        let input = async {
            self.read(executor, &in_order).await;
            in_order.close();
            pending().await
        };
        let commands = async {
            if let Some(working) = &mut worker {
                working.await;
            }
            worker = None;
            self.finish_beside().await;
            // What comes of it is seen by the end of the events.
            let _ = self.client.request(Request::Quit).await;
            pending().await
        };
        let closed = async {
            closed.await;
            false
        };
        let is_read = closed.or(self.show(&events)).or(input).or(commands).await;
        self.is_over.set(true);
        in_order.close();

        if !is_read {
            let _ = self.client.request(Request::Quit).await;
        }
        let last_answers = async {
            if let Some(working) = worker {
                working.await;
            }
            self.finish_beside().await;
        };
        let expired = async {
            Timer::after(LAST_ANSWERS).await;
        };
        last_answers.or(expired).await;
        self.exit_status(is_read).await
    }

    /// Shows events to their end; `false` if nobody reads what is shown.
    async fn show(&self, events: &Receiver<Event>) -> bool {
        while let Ok(event) = events.recv().await {
            if let Err(closed) = self.dialect.event(&event).await {
                self.note(closed);
                return false;
            }
        }
        true
    }

    /// Reads to the end of input.
    async fn read(self: &Rc<Self>, executor: &LocalExecutor<'static>, in_order: &Sender<Entry>) {
        let slots = Arc::new(Semaphore::new(MAX_BESIDE));
        let mut input = self.dialect.input();
        while let Some(entry) = input.next().await {
            if self.interactive || matches!(entry, Entry::Object { id: Some(_), .. }) {
                let slot = slots.acquire_arc().await;
                // Before the next line is read: a password that is asked for is no command.
                let prepared = self.prepare(entry).await;
                self.begin_beside(executor, prepared, slot);
            } else if in_order.send(entry).await.is_err() {
                return;
            }
        }
    }

    fn begin_beside(
        self: &Rc<Self>,
        executor: &LocalExecutor<'static>,
        (id, prepared): (Option<Value>, Result<Prepared, Rejection>),
        slot: SemaphoreGuardArc,
    ) {
        let run = self.clone();
        let task = executor.spawn(async move {
            run.carry_out(id, prepared).await;
            drop(slot);
        });
        let mut beside = self.beside.borrow_mut();
        beside.retain(|task| !task.is_finished());
        beside.push(task);
    }

    /// Does one entry after the other, until there are no more.
    async fn work(self: Rc<Self>, login: FirstLogin, waiting: Receiver<Entry>) {
        if let FirstLogin::As(username) = login {
            self.log_in(username).await;
        }
        while let Ok(entry) = waiting.recv().await {
            if self.is_over.get() {
                return;
            }
            let (id, prepared) = self.prepare(entry).await;
            self.carry_out(id, prepared).await;
        }
    }

    /// By the password file, if one was named, or by key: nobody has asked to be asked.
    async fn log_in(&self, username: Username) {
        let result = match self.dispatcher.passwords().from_file() {
            Ok(password) => {
                let username = Some(username.to_string());
                self.client.request(Request::Login { username, password, take: false }).await
            }
            Err(failure) => Err(failure),
        };
        // That it is done, an event says; a reply would be one to nothing.
        if result.is_err() {
            self.conclude(&Outcome { command: Some("login"), id: None, result }).await;
        }
    }

    /// Makes a call of an entry, with everything that it needs.
    async fn prepare(&self, entry: Entry) -> (Option<Value>, Result<Prepared, Rejection>) {
        let (id, call) = entry.into_call(|line| self.dispatcher.parse_line(line));
        let prepared = match call {
            Ok(call) => {
                let command = Some(call.name());
                let prepared = self.dispatcher.prepare(call).await;
                prepared.map_err(|failure| Rejection { command, failure })
            }
            Err(rejection) => Err(rejection),
        };
        (id, prepared)
    }

    async fn carry_out(&self, id: Option<Value>, prepared: Result<Prepared, Rejection>) {
        let (command, result) = match prepared {
            Ok(call) => (Some(call.name()), self.dispatcher.run(call).await),
            Err(Rejection { command, failure }) => (command, Err(failure)),
        };
        self.conclude(&Outcome { command, id, result }).await;
    }

    async fn conclude(&self, outcome: &Outcome) {
        if let (Err(failure), None) = (&outcome.result, self.first_failure.get()) {
            self.first_failure.set(Some(exit_status::of_failure(failure.code)));
        }
        if let Err(closed) = self.dialect.result(outcome).await {
            self.note(closed);
            self.output_closed.notify(usize::MAX);
        }
        if outcome.result.is_ok() && outcome.command == Some(commands::quit::COMMAND.name) {
            self.is_over.set(true);
        }
    }

    fn note(&self, closed: OutputClosed) {
        if let OutputClosed::Failed(error) = closed
            && !self.output_failed.replace(true)
        {
            output::complain("letschat", error);
        }
    }

    async fn finish_beside(&self) {
        let tasks = self.beside.take();
        for task in tasks {
            task.await;
        }
    }

    async fn exit_status(&self, is_read: bool) -> u8 {
        let ended = self.client.finished().await;
        let failed = self.first_failure.get().filter(|_| !self.interactive);
        match ended {
            _ if self.output_failed.get() => exit_status::FAILED,
            Ended::Quit => failed.unwrap_or(exit_status::SUCCESS),
            Ended::NotRead if !is_read => failed.unwrap_or(exit_status::SUCCESS),
            Ended::NotRead | Ended::Failed => exit_status::FAILED,
        }
    }
}
