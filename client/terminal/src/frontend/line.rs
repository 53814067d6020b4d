//! The line client: a prompt with editing, history and completion, with events above it.
//!
//! * `editor` – the prompt
//! * `handles` – channels to and from the prompt
//! * `input` – from typed lines to entries
//! * `welcome` – the questions of the first run
//! * [`home`] – the question for the server at the first run
//! * `found` – the servers on the local network, as a list
//! * `hidden` – questions without echo
//! * `prompt_state` – the state that prompt and completion share
//! * `completion`, `paths`, `history`, `prompt`, `transfers` – parts of the editor
//! * [`notify`] – the sequences that notify
//! * `plugin_output` – the output of plugins
//! * [`theme`] – colours and styles
//!
//! A line goes to the chat that its prompt names. A chat that opens meanwhile changes the prompt of an empty
//! line only. After the other side ends a chat, lines go nowhere until the user enters a command.

pub(super) mod completion;
mod editor;
mod found;
pub(super) mod handles;
pub(super) mod hidden;
pub(super) mod history;
pub mod home;
pub(super) mod input;
pub mod notify;
mod paths;
mod plugin_output;
pub(super) mod prompt;
pub(super) mod prompt_state;
pub mod theme;
pub(super) mod transfers;
mod welcome;

use std::cell::{Cell, RefCell};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use async_executor::{LocalExecutor, Task};
use async_io::{Timer, block_on};
use futures_lite::FutureExt as _;
use letschat_flags::output;
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;

use super::full::bindings::KeyBindings;
use super::full::{self, FullScreen};
use super::{CommandResult, Dialect, FrontEnd, OutputClosed, Terminal, conduct};
use editor::Editor;
use handles::{About, Keyboard, Passed, Screen};
pub use hidden::{HiddenQuestion, HiddenQuestions};
use home::HomeServer;
use input::{Progress, Typist};
use letschat_commands::appearance::{Kind, appearance, changes_prompt, conversation_of, in_view};
use letschat_commands::command::{Command, Dispatcher, Role};
use letschat_commands::failure::Failure;
use letschat_commands::file_access::FileAccess;
use letschat_commands::{exit_status, render};
use letschat_core::codes::{FailureCode, LinkEnd};
use letschat_core::event::Event;
use letschat_core::session::Reply;
use letschat_engine::events::Receipt;
use letschat_flags::clock;
use letschat_lua::plugins::Plugins;
use letschat_settings::notify::Notify;
use notify::NotifyBy;

use crate::line_editor::BRACKETS_OFF;
use prompt_state::{Attempt, PromptState};
use theme::Theme;

/// The time limit for removing the prompt at the end, since the terminal may accept no output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The least time between two notifications of messages.
const NOTIFIED_EVERY_MS: u64 = 1_000;

/// The maximum number of queued texts. Senders wait beyond it.
pub(super) const MAX_WAITING_TEXTS: usize = 256;

/// The way in which the terminal is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interface {
    /// A prompt below everything that was said.
    Line,
    /// The whole screen, with these keys of the user's.
    Full(KeyBindings),
}

/// The parts that the line client needs beside the [`FrontEnd`].
pub struct Setting {
    /// The terminal.
    pub terminal: Arc<Terminal>,
    /// The questions for passwords.
    pub questions: Receiver<HiddenQuestion>,
    /// The folder of plugins, or `None` to load none.
    pub plugins: Option<PathBuf>,
    /// The places where plugins may read and save files.
    pub files: FileAccess,
    /// The user's data folder, which also holds the data of plugins.
    pub data: PathBuf,
    /// The history file.
    pub history: PathBuf,
    /// The way in which the terminal is used.
    pub interface: Interface,
    /// The notifications.
    pub notify: Notify,
    /// The way to notify.
    pub notify_by: NotifyBy,
    /// The styles of lines.
    pub theme: Theme,
    /// True to ask the questions of the first run.
    pub welcome: bool,
    /// The server that the user has named, saved after the first login there.
    pub home: Option<HomeServer>,
}

/// Runs the front end. Returns the exit status.
pub fn run(mut front_end: FrontEnd, setting: Setting) -> u8 {
    // With echo the terminal would show passwords.
    let is_full = matches!(setting.interface, Interface::Full(_));
    let farewell = if is_full { full::LEAVE } else { BRACKETS_OFF };
    if let Err(error) = setting.terminal.take_keys(farewell) {
        output::complain(
            "letschat",
            format!("the terminal can't be used: {error}; `--plain` needs none"),
        );
        return exit_status::FAILED;
    }
    let plugins = setting.plugins.clone().map(|folder| {
        let client = front_end.dispatcher.client().clone();
        Plugins::new(folder, &setting.data, client, setting.files.clone())
    });
    let (plugins, heard) = plugins.unzip();
    let client = front_end.dispatcher.client().clone();
    let prompt_state = PromptState::new(client, plugins.clone());
    let executor = LocalExecutor::new();
    let opened = open(&executor, &prompt_state, &setting);
    // The full screen styles texts itself.
    let theme = if is_full { setting.theme.without_styles() } else { setting.theme };
    let (editing, keyboard, screen) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            setting.terminal.restore();
            output::complain("letschat", format!("the terminal can't be opened: {error}"));
            return exit_status::FAILED;
        }
    };
    front_end.dispatcher = front_end.dispatcher.at_a_prompt();
    if let (Some(plugins), Some(heard)) = (&plugins, heard) {
        plugin_output::speak(plugins, heard, screen.clone(), theme);
        front_end.dispatcher = front_end.dispatcher.with_extension(Arc::new(plugins.clone()));
    }
    let console = Console {
        dispatcher: front_end.dispatcher.clone(),
        screen: screen.clone(),
        keyboard: keyboard.clone(),
        prompt_state,
        progress: Rc::default(),
        theme,
        is_full,
        notify: setting.notify,
        notify_by: setting.notify_by,
        notified_ms: Cell::default(),
        welcome: setting.welcome,
        home: RefCell::new(setting.home),
        retry: Cell::default(),
        date: DateShown::new(render::date(clock::now().wall_ms)),
    };
    let (status, lost, unseen) = block_on(executor.run(async {
        let status = conduct(&executor, front_end, console).await;
        let lost = match plugins {
            Some(plugins) => smol::unblock(move || plugins.finish()).await,
            None => Vec::new(),
        };
        keyboard.close();
        screen.look_again();
        let expired = async {
            Timer::after(LAST_WORDS).await;
            String::new()
        };
        let unseen = editing.or(expired).await;
        (status, lost, unseen)
    }));
    setting.terminal.restore();
    // Nobody can be told that this failed.
    let _ = output::print(&unseen);
    for line in lost {
        output::complain("letschat", line);
    }
    status
}

/// Opens the terminal, and starts the task that owns it.
fn open(
    executor: &LocalExecutor<'static>,
    prompt_state: &PromptState,
    setting: &Setting,
) -> io::Result<(Task<String>, Keyboard, Screen)> {
    let Setting { terminal, theme, history, questions, .. } = setting;
    match &setting.interface {
        Interface::Line => {
            let (editor, keyboard, screen) =
                Editor::open(prompt_state, terminal, *theme, history, questions.clone())?;
            let editing = async {
                editor.run().await;
                String::new()
            };
            Ok((executor.spawn(editing), keyboard, screen))
        }
        Interface::Full(keys) => {
            let (logins, logged_in) = async_channel::bounded(1);
            let (full, keyboard, screen) = FullScreen::open(prompt_state, setting, keys, logins)?;
            let prompt_state = prompt_state.clone();
            let watching = async move {
                while let Ok(is_first) = logged_in.recv().await {
                    prompt_state.watch_people(is_first).await;
                }
            };
            // It ends with the screen, which holds the other end of the channel.
            executor.spawn(watching).detach();
            Ok((executor.spawn(full.run()), keyboard, screen))
        }
    }
}

/// Shows events and replies.
struct Console {
    dispatcher: Dispatcher,
    screen: Screen,
    keyboard: Keyboard,
    prompt_state: PromptState,
    progress: Rc<Progress>,
    theme: Theme,
    /// True if the whole screen is used, which shows messages by itself.
    is_full: bool,
    notify: Notify,
    notify_by: NotifyBy,
    /// The time of the last notification of a message, on the boot clock.
    notified_ms: Cell<u64>,
    welcome: bool,
    home: RefCell<Option<HomeServer>>,
    /// The reason of the retry that was last shown.
    retry: Cell<Option<LinkEnd>>,
    /// The date of the line that was shown last.
    date: DateShown,
}

impl Console {
    fn is_in_classroom(&self) -> bool {
        self.prompt_state.read_view(|view| view.session.classroom)
    }

    /// Returns the sequence that notifies of an event. Messages notify at most once a second.
    fn notification(&self, event: &Event, me: Option<&Username>) -> Option<String> {
        let sequence = self.notify_by.sequence(&self.notify.notification(event, me)?);
        let (now_ms, is_message) = (clock::now().boot_ms, in_view(event).is_some());
        if !is_message {
            return Some(sequence);
        }
        let is_due = now_ms >= self.notified_ms.get() + NOTIFIED_EVERY_MS;
        if is_due {
            self.notified_ms.set(now_ms);
        }
        is_due.then_some(sequence)
    }

    /// Returns true for a retry with the same reason as the one before. The prompt shows the next attempt.
    fn is_another_retry(&self, event: &Event) -> bool {
        match event {
            Event::Retrying { reason, attempt, in_ms, .. } => {
                let at_ms = clock::now().wall_ms + in_ms;
                self.prompt_state.note_attempt(Attempt { number: *attempt, at_ms });
                self.screen.look_again();
                self.retry.replace(Some(*reason)) == Some(*reason)
            }
            Event::Connected { .. } | Event::Disconnected { .. } | Event::LeftServer { .. } => {
                self.retry.set(None);
                false
            }
            _ => false,
        }
    }

    async fn show(&self, event: &Event, receipt: Receipt) -> Result<(), OutputClosed> {
        if changes_prompt(event) {
            self.screen.look_again();
        }
        let nothing = About::default();
        if self.is_another_retry(event) {
            return self.screen.show_event(String::new(), nothing, receipt).await;
        }
        let shown = self.prompt_state.read_view(|view| {
            if self.is_full && matches!(event, Event::Joined { .. } | Event::Left { .. }) {
                // The list of people shows them.
                return None;
            }
            let own = render::own_message(event, &view.session);
            own.or_else(|| render::event(event, &view.session))
        });
        let Some(text) = shown else {
            // Confirm in order: earlier events may not be on the screen yet.
            return self.screen.show_event(String::new(), nothing, receipt).await;
        };
        let (kind, time_ms) = appearance(event);
        let me = self.prompt_state.read_view(|view| view.session.username.clone());
        let notification = self.notification(event, me.as_ref());
        let conversation = conversation_of(event, me.as_ref());
        let about = About { kind, conversation, notification, time_ms, ..About::default() };
        let mut line = match event {
            _ if self.is_full => String::new(),
            // Its text contains the date and time.
            Event::Broadcast { .. } if !self.is_in_classroom() => String::new(),
            _ => {
                let time_ms = time_ms.unwrap_or_else(|| clock::now().wall_ms);
                let time = format!(
                    "{}{} ",
                    self.date.row(render::date(time_ms)),
                    render::time_of_day(time_ms)
                );
                self.theme.paint(Kind::Time, &time)
            }
        };
        if !self.is_full || in_view(event).is_none() {
            line.push_str(&self.theme.paint_event(kind, &text));
        }
        self.screen.show_event(line, about, receipt).await?;
        if matches!(event, Event::LoggedIn { .. })
            && let Some(text) = self.home.take().and_then(|home| home.remember())
        {
            self.screen.show(text).await?;
        }
        Ok(())
    }
}

impl Dialect for Console {
    type Input = Typist;

    fn input(&self) -> Typist {
        Typist::new(
            self.dispatcher.clone(),
            self.keyboard.clone(),
            self.screen.clone(),
            self.prompt_state.clone(),
            self.progress.clone(),
            (self.welcome, self.is_full),
        )
    }

    async fn event(&self, event: &Event, receipt: Receipt) -> Result<(), OutputClosed> {
        let Some(plugins) = self.prompt_state.plugins() else {
            return self.show(event, receipt).await;
        };
        if !event.is_for_views() {
            plugins.tell(event);
        }
        let shown = plugins.filter_shown(event).await;
        if let Some((id, before)) = in_view(event).filter(|_| self.is_full) {
            let passed = match shown.as_ref().map(in_view) {
                None => Passed::Hidden,
                Some(Some((_, after))) if after != before => Passed::Changed(after.to_owned()),
                Some(_) => Passed::Unchanged,
            };
            self.screen.pass(id, passed).await?;
        }
        match shown {
            Some(event) => self.show(&event, receipt).await,
            // Confirm in order: earlier events may not be on the screen yet.
            None => self.screen.show_event(String::new(), About::default(), receipt).await,
        }
    }

    async fn result(&self, outcome: &CommandResult) -> Result<(), OutputClosed> {
        let shown = match &outcome.result {
            Ok(reply) => {
                let mut elsewhere = None;
                if let Reply::Chat { with, .. } = reply {
                    if outcome.has_role(Role::Connect) {
                        self.prompt_state.learn_opened(with);
                    } else {
                        elsewhere = render::way_to(with, &self.prompt_state.typing());
                    }
                }
                if outcome.has_role(Role::Switch) {
                    self.prompt_state.note_switched();
                }
                self.screen.look_again();
                reply_text(outcome.command, reply).or(elsewhere)
            }
            // The user has just quit.
            Err(Failure { code: FailureCode::Quitting, .. }) => None,
            Err(failure) => {
                let unsent = self.progress.said(outcome.id.as_deref());
                let unsent = unsent.map(|text| format!("Not sent: {}\n", Printable(&text)));
                let text = unsent.unwrap_or_default() + &render::failure(failure);
                Some(self.theme.paint(Kind::Warning, &text))
            }
        };
        if let Some(text) = shown {
            self.screen.show(text).await?;
        }
        self.progress.conclude(outcome.id.as_deref());
        Ok(())
    }
}

/// The date of the line that was shown last.
struct DateShown(RefCell<String>);

impl DateShown {
    fn new(date: String) -> DateShown {
        DateShown(RefCell::new(date))
    }

    /// Returns a row for the date of the next line, if it is another one.
    fn row(&self, date: String) -> String {
        if *self.0.borrow() == date {
            return String::new();
        }
        self.0.replace(date.clone());
        format!("{date}\n")
    }
}

pub(super) const BELL: char = '\u{7}';

/// Formats a reply, unless an event or the next prompt shows the same.
fn reply_text(command: Option<&Command>, reply: &Reply) -> Option<String> {
    match (command, reply) {
        (Some(Command { is_quiet: true, .. }), Reply::Done {}) => None,
        _ => render::reply(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_shown_when_it_changes() {
        let shown = DateShown::new("2026-11-26".into());
        let row = |date: &str| shown.row(date.into());
        assert_eq!(row("2026-11-26"), "");
        assert_eq!(row("2026-11-27"), "2026-11-27\n");
        assert_eq!(row("2026-11-27"), "");
        assert_eq!(row("2026-11-26"), "2026-11-26\n");
    }
}
