//! The line client: a prompt with editing, history and completion, below the output.
//!
//! * `editor` – the prompt
//! * `handles` – the handles by which the other modules use the prompt
//! * `input` – parses typed lines into requests
//! * `welcome` – the first run, step by step
//! * [`home`] – the choice of the server on the first run
//! * `hidden` – questions with hidden answers
//! * `standing` – the client's state for prompt and completion
//! * `completion`, `history`, `prompt` – the parts of the editor
//! * `aloud` – the output of plugins
//! * [`theme`] – the styles of lines
//!
//! A line goes to the chat that its prompt names. A chat that opens meanwhile changes only the prompt of an empty
//! line. After the other side has ended a chat, lines go nowhere until the user gives a command.

mod aloud;
mod completion;
mod editor;
mod handles;
mod hidden;
mod history;
pub mod home;
mod input;
mod prompt;
mod standing;
pub mod theme;
mod welcome;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use async_executor::LocalExecutor;
use async_io::{Timer, block_on};
use futures_lite::FutureExt as _;
use letschat_flags::output;
use letschat_protocol::printable::Printable;

use super::{CommandResult, Dialect, FrontEnd, OutputClosed, Terminal, conduct};
use editor::Editor;
use handles::{Keyboard, Screen};
pub use hidden::{HiddenQuestion, HiddenQuestions};
use home::HomeServer;
use input::{Progress, Typist};
use letschat_commands::command::{Command, Dispatcher, Role};
use letschat_commands::{exit_status, render};
use letschat_core::codes::LinkEnd;
use letschat_core::event::Event;
use letschat_core::session::Reply;
use letschat_engine::events::Receipt;
use letschat_flags::clock;
use letschat_lua::plugins::Plugins;
use standing::{Attempt, Standing};
use theme::{Kind, Theme};

/// The timeout for removing the prompt from the screen at the end. The terminal may be blocked.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The parameters of the line client besides the [`FrontEnd`].
pub struct Setting {
    /// The terminal that supplies the keys.
    pub terminal: Arc<Terminal>,
    /// The password questions.
    pub questions: Receiver<HiddenQuestion>,
    /// The folder of plugins, or `None` to load none.
    pub plugins: Option<PathBuf>,
    /// The user's data folder, which holds the plugins' stores.
    pub data: PathBuf,
    /// The history file.
    pub history: PathBuf,
    /// The styles of lines.
    pub theme: Theme,
    /// True to lead a user without an account through the first run.
    pub welcome: bool,
    /// The server that the user just named, remembered after the first login there.
    pub home: Option<HomeServer>,
}

/// Runs the front end. Returns the exit status.
pub fn run(mut front_end: FrontEnd, setting: Setting) -> u8 {
    // A terminal that keeps echoing would show passwords.
    if let Err(error) = setting.terminal.take_keys() {
        output::complain(
            "letschat",
            format!("the terminal can't be used: {error}; `--plain` needs none"),
        );
        return exit_status::FAILED;
    }
    let plugins = setting.plugins.map(|folder| {
        let client = front_end.dispatcher.client().clone();
        Plugins::new(folder, &setting.data, client)
    });
    let (plugins, heard) = plugins.unzip();
    let client = front_end.dispatcher.client().clone();
    let standing = Standing::new(client, plugins.clone());
    let opened = Editor::open(
        &standing,
        &setting.terminal,
        setting.theme,
        &setting.history,
        setting.questions,
    );
    let (editor, keyboard, screen) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            setting.terminal.restore();
            output::complain("letschat", format!("the terminal can't be opened: {error}"));
            return exit_status::FAILED;
        }
    };
    front_end.dispatcher = front_end.dispatcher.at_a_prompt();
    if let (Some(plugins), Some(heard)) = (&plugins, heard) {
        aloud::speak(plugins, heard, screen.clone(), setting.theme);
        front_end.dispatcher = front_end.dispatcher.with_extension(Arc::new(plugins.clone()));
    }
    let console = Console {
        dispatcher: front_end.dispatcher.clone(),
        screen: screen.clone(),
        keyboard: keyboard.clone(),
        standing,
        progress: Rc::default(),
        theme: setting.theme,
        welcome: setting.welcome,
        home: RefCell::new(setting.home),
        retry: Cell::default(),
        date: DateShown::new(render::date(clock::now().wall_ms)),
    };
    let executor = LocalExecutor::new();
    let editing = executor.spawn(editor.run());
    let (status, lost) = block_on(executor.run(async {
        let status = conduct(&executor, front_end, console).await;
        let lost = match plugins {
            Some(plugins) => smol::unblock(move || plugins.finish()).await,
            None => Vec::new(),
        };
        keyboard.close();
        screen.look_again();
        let expired = async {
            Timer::after(LAST_WORDS).await;
        };
        editing.or(expired).await;
        (status, lost)
    }));
    setting.terminal.restore();
    for line in lost {
        output::complain("letschat", line);
    }
    status
}

/// The display of events and of commands' results.
struct Console {
    dispatcher: Dispatcher,
    screen: Screen,
    keyboard: Keyboard,
    standing: Standing,
    progress: Rc<Progress>,
    theme: Theme,
    welcome: bool,
    home: RefCell<Option<HomeServer>>,
    /// The reason of the last retry shown.
    retry: Cell<Option<LinkEnd>>,
    /// The date of the last line shown.
    date: DateShown,
}

impl Console {
    /// Returns true for a retry with the same reason as the last one. The prompt shows the next attempt.
    fn is_another_retry(&self, event: &Event) -> bool {
        match event {
            Event::Retrying { reason, attempt, in_ms, .. } => {
                let at_ms = clock::now().wall_ms + in_ms;
                self.standing.note_attempt(Attempt { number: *attempt, at_ms });
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
        if matches!(event, Event::State(_)) {
            self.screen.look_again();
        }
        if self.is_another_retry(event) {
            return self.screen.show_event(String::new(), receipt).await;
        }
        let shown = render::own_message(event)
            .or_else(|| self.standing.read_view(|view| render::event(event, &view.session)));
        let Some(text) = shown else {
            // Earlier events may not be on the screen yet.
            return self.screen.show_event(String::new(), receipt).await;
        };
        let (kind, time_ms) = appearance(event);
        let mut line = match event {
            // The text already contains the date and time.
            Event::Broadcast { .. } => String::new(),
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
        line.push_str(&self.theme.paint_event(kind, &text));
        if matches!(event, Event::Request { .. }) {
            line.push(BELL);
        }
        self.screen.show_event(line, receipt).await?;
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
            self.standing.clone(),
            self.progress.clone(),
            self.welcome,
        )
    }

    async fn event(&self, event: &Event, receipt: Receipt) -> Result<(), OutputClosed> {
        let Some(plugins) = self.standing.plugins() else {
            return self.show(event, receipt).await;
        };
        if !event.is_for_views() {
            plugins.tell(event);
        }
        match plugins.filter_shown(event).await {
            Some(event) => self.show(&event, receipt).await,
            // Earlier events may not be on the screen yet.
            None => self.screen.show_event(String::new(), receipt).await,
        }
    }

    async fn result(&self, outcome: &CommandResult) -> Result<(), OutputClosed> {
        let shown = match &outcome.result {
            Ok(reply) => {
                let mut elsewhere = None;
                if let Reply::Chat { with, .. } = reply {
                    if outcome.has_role(Role::Connect) {
                        self.standing.learn_opened(with);
                    } else {
                        elsewhere = render::way_to(with, &self.standing.typing());
                    }
                }
                self.screen.look_again();
                reply_text(outcome.command, reply).or(elsewhere)
            }
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

/// The date of the last line shown.
struct DateShown(RefCell<String>);

impl DateShown {
    fn new(date: String) -> DateShown {
        DateShown(RefCell::new(date))
    }

    /// Returns a row for the date of the next line if it differs from the last one.
    fn row(&self, date: String) -> String {
        if *self.0.borrow() == date {
            return String::new();
        }
        self.0.replace(date.clone());
        format!("{date}\n")
    }
}

const BELL: char = '\u{7}';

/// Formats a reply, unless an event or the next prompt shows the same.
fn reply_text(command: Option<&Command>, reply: &Reply) -> Option<String> {
    match (command, reply) {
        (Some(Command { is_quiet: true, .. }), Reply::Done {}) => None,
        _ => render::reply(reply),
    }
}

/// Returns the style of an event, and its time if the text shows one.
fn appearance(event: &Event) -> (Kind, Option<u64>) {
    use letschat_core::event::KeyState;
    match event {
        Event::Message { own: true, time_ms, .. } => (Kind::OwnMessage, Some(*time_ms)),
        Event::Message { time_ms, .. } => (Kind::Message, Some(*time_ms)),
        Event::MessageState { .. } => (Kind::Message, None),
        Event::Broadcast { time_ms, .. } => (Kind::Broadcast, Some(*time_ms)),
        Event::Request { time_ms, key: KeyState::Changed, .. } => (Kind::Warning, Some(*time_ms)),
        Event::Request { time_ms, .. } => (Kind::Request, Some(*time_ms)),
        Event::ChatOpened { key: KeyState::Changed, .. }
        | Event::Error { .. }
        | Event::Disconnected { .. } => (Kind::Warning, None),
        Event::ChatClosed { undelivered, .. } if !undelivered.is_empty() => (Kind::Warning, None),
        Event::ChatOpened { .. }
        | Event::ChatClosed { .. }
        | Event::ChatInterrupted { .. }
        | Event::ChatResumed { .. }
        | Event::RequestEnded { .. } => (Kind::Chat, None),
        Event::Connected { .. }
        | Event::Retrying { .. }
        | Event::LoggedIn { .. }
        | Event::LeftServer { .. }
        | Event::Joined { .. }
        | Event::Left { .. }
        | Event::State(_)
        | Event::People(_)
        | Event::Notice { .. } => (Kind::Server, None),
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
