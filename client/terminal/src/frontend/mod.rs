//! Front ends: each reads lines, runs them as commands, and writes replies and events.
//!
//! * [`full`] – the whole screen of a terminal, for people
//! * [`json`] – JSON lines out; objects or typed lines in
//! * [`line`] – a prompt at a terminal, for people
//! * [`plain`] – plain lines, for shell scripts and for people
//! * `lines` – standard input, one bounded line at a time, on request
//! * `terminal` – the terminal's modes, and passwords without echo
//! * [`signals`] – an orderly shutdown on SIGTERM and the like
//!
//! Lines run one after the other. Objects with an id, and lines that a person types, run
//! concurrently. At the end of input the pending commands finish, then the client
//! quits.

pub mod full;
pub mod json;
pub mod line;
pub(crate) mod lines;
pub mod plain;
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
use futures_lite::future::yield_now;
use letschat_flags::output::{self, OutputError};
use letschat_protocol::username::Username;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use smol::lock::{Semaphore, SemaphoreGuardArc};

use letschat_commands::command::{
    Call, Command, Dispatcher, Prepared, Rejection, Role, find, parse_object,
};
use letschat_commands::exit_status;
use letschat_commands::failure::Failure;
use letschat_core::event::Event;
use letschat_core::session::{Reply, Request};
use letschat_engine::client::{Client, Ended};
use letschat_engine::events::{Events, Receipt, Told};
pub use terminal::Terminal;

/// The first commands of a user who is not logged in.
const FIRST_COMMANDS: &str = "\
`/signup NAME` makes an account, `/login NAME` logs in, `/help` shows everything.";

/// The maximum number of queued lines. At this limit reading stops.
const MAX_IN_ORDER: usize = 256;

/// The maximum number of concurrent entries. At this limit reading stops.
const MAX_BESIDE: usize = 64;

/// The time for the last replies after the client has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The input and output format of a front end. Everything else is the same for all.
pub(crate) trait Dialect {
    /// The source of entries.
    type Input: Input;
    /// Starts to read.
    fn input(&self) -> Self::Input;
    /// Writes an event, and confirms it once it is written.
    async fn event(&self, event: &Event, receipt: Receipt) -> Result<(), OutputClosed>;
    /// Writes the result of an entry.
    async fn result(&self, outcome: &CommandResult) -> Result<(), OutputClosed>;
}

/// A source of entries.
pub(crate) trait Input {
    /// Returns the next entry, or `None` at the end of input.
    async fn next(&mut self) -> Option<Entry>;
    /// Asks the user for a line of text. Returns `None` if they give none.
    async fn ask(&mut self, question: &str) -> Option<String>;
}

/// The id of an object as written: a number or a string.
pub type Id = Box<RawValue>;

/// One command or text from the input.
pub(crate) enum Entry {
    /// A line as a user types it.
    Typed(String),
    /// A command by name.
    Object { id: Option<Id>, command: String, arguments: Map<String, Value> },
    /// A line that the input has already parsed.
    Call { id: Option<Id>, call: Result<Call, Rejection> },
    /// Malformed input.
    Malformed { id: Option<Id>, failure: Failure },
}

impl Entry {
    /// Returns the id for the reply, and the call or the reason why there is none.
    fn into_call(
        self,
        parse_line: impl FnOnce(&str) -> Result<Call, Rejection>,
    ) -> (Option<Id>, Result<Call, Rejection>) {
        match self {
            Entry::Typed(line) => (None, parse_line(&line)),
            Entry::Object { id, command, arguments } => (id, parse_object(&command, &arguments)),
            Entry::Call { id, call } => (id, call),
            Entry::Malformed { id, failure } => (id, Err(Rejection { command: None, failure })),
        }
    }
}

/// The result of an [`Entry`].
pub(crate) struct CommandResult {
    /// The command, or `None` if none was recognised.
    pub(crate) command: Option<&'static Command>,
    pub(crate) id: Option<Id>,
    pub(crate) result: Result<Reply, Failure>,
}

impl CommandResult {
    pub(crate) fn has_role(&self, role: Role) -> bool {
        self.command.is_some_and(|command| command.role == Some(role))
    }
}

/// The output is closed.
#[derive(Debug)]
pub(crate) enum OutputClosed {
    /// The reader has closed it.
    NotRead,
    /// The system refuses output.
    Failed(OutputError),
}

impl From<OutputError> for OutputClosed {
    fn from(error: OutputError) -> OutputClosed {
        if error.is_not_read() { OutputClosed::NotRead } else { OutputClosed::Failed(error) }
    }
}

/// The login before the first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstLogin {
    /// None.
    None,
    /// As this account.
    As(Username),
}

/// The parts that a front end needs.
pub struct FrontEnd {
    /// The dispatcher of the commands.
    pub dispatcher: Dispatcher,
    /// The events of the client.
    pub events: Events,
    /// The login before the first line.
    pub login: FirstLogin,
    /// True if a person types the lines. A failed command then does not change the exit status.
    pub interactive: bool,
}

/// Runs a front end until the client has ended. Returns the exit status.
pub(crate) fn run(front_end: FrontEnd, dialect: impl Dialect + 'static) -> u8 {
    let executor = LocalExecutor::new();
    async_io::block_on(executor.run(conduct(&executor, front_end, dialect)))
}

/// Runs a front end on an executor with other tasks.
pub(crate) async fn conduct(
    executor: &LocalExecutor<'static>,
    front_end: FrontEnd,
    dialect: impl Dialect + 'static,
) -> u8 {
    let run = Run {
        client: front_end.dispatcher.client().clone(),
        dispatcher: front_end.dispatcher,
        dialect,
        interactive: front_end.interactive,
        first_failure: Cell::new(None),
        not_joined: Cell::new(None),
        is_over: Cell::new(false),
        is_unheard: Cell::new(false),
        output_closed: Wakeup::new(),
        output_failed: Cell::new(false),
        beside: RefCell::default(),
    };
    Rc::new(run).conduct(executor, front_end.events, front_end.login).await
}

struct Run<D> {
    client: Client,
    dispatcher: Dispatcher,
    dialect: D,
    interactive: bool,
    /// The exit status of the first failure.
    first_failure: Cell<Option<u8>>,
    /// The exit status of a client that could not join its classroom.
    not_joined: Cell<Option<u8>>,
    /// True once the user has quit, the client has ended, or the output is closed. Queued lines are then
    /// dropped.
    is_over: Cell<bool>,
    /// True once the output is closed. Later failures are not shown and do not count.
    is_unheard: Cell<bool>,
    output_closed: Wakeup,
    /// True once a refused output has been reported.
    output_failed: Cell<bool>,
    /// The concurrent entries.
    beside: RefCell<Vec<Task<()>>>,
}

impl<D: Dialect + 'static> Run<D> {
    async fn conduct(
        self: Rc<Self>,
        executor: &LocalExecutor<'static>,
        events: Events,
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
            // The end of the events shows its success.
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
        self.exit_status().await
    }

    /// Shows all events. Returns false if the output closes first.
    async fn show(&self, events: &Events) -> bool {
        while let Ok(Told { event, receipt }) = events.recv().await {
            if let Err(closed) = self.dialect.event(&event, receipt).await {
                self.note(closed);
                return false;
            }
            // Let input run, even during a flood of events.
            yield_now().await;
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
                // Before the next line is read, since that may be the answer to a question.
                let (id, call) = self.read_call(entry);
                let completed = match call {
                    Ok(call) if self.interactive => self.complete(&mut input, id, call).await,
                    call => Some((id, call)),
                };
                let Some((id, call)) = completed else { continue };
                let prepared = self.prepare(call).await;
                self.begin_beside(executor, (id, prepared), slot);
            } else if in_order.send(entry).await.is_err() {
                return;
            }
        }
    }

    /// Asks for the missing text of a call. Returns `None` if the user gives none; they have been told so.
    async fn complete(
        &self,
        input: &mut D::Input,
        id: Option<Id>,
        call: Call,
    ) -> Option<(Option<Id>, Result<Call, Rejection>)> {
        let Some(question) = call.question() else { return Some((id, Ok(call))) };
        let answer = input.ask(question).await.unwrap_or_default();
        let named = answer.trim().strip_prefix('/').and_then(|text| text.split_whitespace().next());
        match answer.trim() {
            text if !text.is_empty() && named.is_none_or(|name| find(name).is_err()) => {
                Some((id, Ok(call.answered(answer))))
            }
            text => {
                let message = match text {
                    "" => "Nothing was sent.".to_owned(),
                    command => format!("Nothing was sent; give `{command}` as a command now."),
                };
                let reply = Reply::Said { message };
                let command = Some(call.command());
                self.conclude(&CommandResult { command, id, result: Ok(reply) }).await;
                None
            }
        }
    }

    fn begin_beside(
        self: &Rc<Self>,
        executor: &LocalExecutor<'static>,
        (id, prepared): (Option<Id>, Result<Prepared, Rejection>),
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

    /// Runs the queued entries one after the other.
    async fn work(self: Rc<Self>, login: FirstLogin, waiting: Receiver<Entry>) {
        if let FirstLogin::As(username) = login {
            self.log_in(username).await;
        }
        while let Ok(entry) = waiting.recv().await {
            if self.is_over.get() {
                return;
            }
            let (id, call) = self.read_call(entry);
            let prepared = self.prepare(call).await;
            self.carry_out(id, prepared).await;
        }
    }

    /// Logs in by the password file if one is named, else by key, without questions.
    async fn log_in(&self, username: Username) {
        let login = Prepared::login(username.as_str());
        let command = Some(login.command());
        let result = self.dispatcher.run(login).await;
        // An event shows the success. There was no command to reply to.
        let Err(failure) = &result else { return };
        let status = exit_status::of_failure(failure.code);
        self.conclude(&CommandResult { command, id: None, result }).await;
        let (is_class, is_open) =
            self.client.read_view(|view| (view.session.classroom, view.session.username.is_some()));
        if is_class && is_open {
            // A class goes on without its server.
            self.first_failure.set(None);
        } else if is_class {
            // Nobody can join the class by a command.
            self.not_joined.set(Some(status));
            self.is_over.set(true);
            let _ = self.client.request(Request::Quit).await;
        }
    }

    /// Returns the call of an entry.
    fn read_call(&self, entry: Entry) -> (Option<Id>, Result<Call, Rejection>) {
        entry.into_call(|line| self.dispatcher.parse_line(line))
    }

    /// Asks for the passwords that a call needs.
    async fn prepare(&self, call: Result<Call, Rejection>) -> Result<Prepared, Rejection> {
        let call = call?;
        let command = Some(call.command());
        let prepared = self.dispatcher.prepare(call).await;
        prepared.map_err(|failure| Rejection { command, failure })
    }

    async fn carry_out(&self, id: Option<Id>, prepared: Result<Prepared, Rejection>) {
        let (command, result) = match prepared {
            Ok(call) => (Some(call.command()), self.dispatcher.run(call).await),
            Err(Rejection { command, failure }) => (command, Err(failure)),
        };
        self.conclude(&CommandResult { command, id, result }).await;
    }

    async fn conclude(&self, outcome: &CommandResult) {
        if self.is_unheard.get() {
            return;
        }
        if let Err(closed) = self.dialect.result(outcome).await {
            self.note(closed);
            self.output_closed.notify(usize::MAX);
        }
        if let (Err(failure), None, false) =
            (&outcome.result, self.first_failure.get(), self.is_unheard.get())
        {
            self.first_failure.set(Some(exit_status::of_failure(failure.code)));
        }
        if outcome.result.is_ok() && outcome.has_role(Role::Quit) {
            self.is_over.set(true);
        }
    }

    fn note(&self, closed: OutputClosed) {
        self.is_unheard.set(true);
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

    async fn exit_status(&self) -> u8 {
        let ended = self.client.finished().await;
        let failed = self.first_failure.get().filter(|_| !self.interactive);
        let failed = failed.or(self.not_joined.get());
        match ended {
            _ if self.output_failed.get() => exit_status::FAILED,
            Ended::Quit => failed.unwrap_or(exit_status::SUCCESS),
            Ended::Failed => exit_status::FAILED,
        }
    }
}
