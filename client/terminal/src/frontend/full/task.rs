//! The task of the full screen: it waits for keys, texts and questions, draws, and confirms what it has drawn.
//!
//! It must never block, nor confirm an event before the terminal has its bytes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt as _;
use letschat_commands::render::NEXT_LINE;
use letschat_core::session::Typing;
use letschat_core::view::{LinkState, View};
use letschat_engine::events::Receipt;
use letschat_flags::clock;
use letschat_lua::plugins::Plugins;
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;
use ratatui_core::layout::Size;
use ratatui_core::terminal::Terminal as Drawing;

use super::bindings::{Action, Bindings, KeyBindings};
use super::canvas::{Canvas, ENTER};
use super::draw::{Input as TypedLine, Picture};
use super::model::{Model, Note};
use super::palette::Palette;
use crate::frontend::Terminal;
use crate::frontend::line::completion::Completion;
use crate::frontend::line::handles::{EditorRequest, Keyboard, Screen, Text, Typed};
use crate::frontend::line::hidden::{HiddenQuestion, HiddenText};
use crate::frontend::line::history::Memory;
use crate::frontend::line::prompt::prompt;
use crate::frontend::line::prompt_state::PromptState;
use crate::frontend::line::{BELL, MAX_WAITING_TEXTS, Setting};
use crate::line_editor::{Assistant, Input, Line, Look, Tty};
use letschat_commands::appearance::Kind;
use letschat_settings::notify::Notify;

/// The warnings of this time before the end are printed after it.
const LAST_WARNINGS_MS: u64 = 2_000;

/// An input of the task.
enum Wake {
    Request(Option<EditorRequest>),
    Input(Input),
    Text(Text),
    Look,
    Question(HiddenQuestion),
    Waited,
}

/// The purpose of the typed line.
pub(super) enum Mode {
    /// Nobody has asked for it yet.
    Idle,
    Line,
    Answer(String),
    /// A text says what is awaited until the channel closes.
    Wait(String, Receiver<Infallible>),
}

/// The screen's side of [`Keyboard`] and [`Screen`].
pub(in crate::frontend) struct FullScreen {
    pub(super) tty: Tty,
    pub(super) drawing: Drawing<Canvas>,
    pub(super) model: Model,
    palette: Palette,
    notify: Notify,
    pub(super) bindings: Bindings,
    pub(super) prompt_state: PromptState,
    pub(super) terminal: Arc<Terminal>,
    pub(super) memory: Memory,
    requests: Receiver<EditorRequest>,
    typed: Sender<Typed>,
    texts: Receiver<Text>,
    looks: Receiver<()>,
    questions: Receiver<HiddenQuestion>,
    pub(super) mode: Mode,
    pub(super) line: Line,
    pub(super) answer: Line,
    /// A question without echo, and what was typed.
    pub(super) hidden: Option<(HiddenQuestion, HiddenText)>,
    /// The input that came while nobody asked for it.
    pub(super) ready: VecDeque<Typed>,
    receipts: Vec<Receipt>,
    /// True once the terminal has closed.
    is_closed: bool,
    /// True while the user is at this window, or `None` if the terminal has not told.
    pub(super) has_focus: Option<bool>,
    /// Tells of each login, with true for the first one of an account.
    logins: Sender<bool>,
    is_logged_in: bool,
    watched_for: Option<Username>,
}

impl FullScreen {
    /// Opens the terminal.
    ///
    /// # Errors
    ///
    /// It can't be opened.
    pub(in crate::frontend) fn open(
        prompt_state: &PromptState,
        setting: &Setting,
        keys: &KeyBindings,
        logins: Sender<bool>,
    ) -> io::Result<(FullScreen, Keyboard, Screen)> {
        let (requests, ordered) = async_channel::bounded(1);
        let (typed_in, typed) = async_channel::bounded(1);
        let (texts, to_show) = async_channel::bounded(MAX_WAITING_TEXTS);
        let (looks, look_again) = async_channel::bounded(1);
        let Setting { terminal, theme, history, questions, notify, .. } = setting;
        let Ok(drawing) = Drawing::new(Canvas::default());
        let full = FullScreen {
            tty: Tty::open(terminal.redraws(), ENTER)?,
            drawing,
            model: Model::default(),
            palette: Palette::new(*theme),
            notify: notify.clone(),
            bindings: Bindings::new(keys),
            prompt_state: prompt_state.clone(),
            terminal: terminal.clone(),
            memory: Memory::open(history),
            requests: ordered,
            typed: typed_in,
            texts: to_show,
            looks: look_again,
            questions: questions.clone(),
            mode: Mode::Idle,
            line: Line::default(),
            answer: Line::default(),
            hidden: None,
            ready: VecDeque::new(),
            receipts: Vec::new(),
            is_closed: false,
            has_focus: None,
            logins,
            is_logged_in: false,
            watched_for: None,
        };
        Ok((full, Keyboard { requests, typed }, Screen { texts, looks }))
    }

    /// Serves requests until the channel closes. Returns the text to print after the other screen was left.
    pub(in crate::frontend) async fn run(mut self) -> String {
        loop {
            self.hand_over().await;
            if !self.tty.is_behind() {
                self.draw();
                self.flush().await;
            }
            match self.wake().await {
                Wake::Request(None) => break,
                Wake::Request(Some(request)) => {
                    self.answer = Line::default();
                    self.mode = match request {
                        EditorRequest::Line => Mode::Line,
                        EditorRequest::Answer(question) => Mode::Answer(question),
                        EditorRequest::Wait(text, done) => Mode::Wait(text, done),
                    };
                }
                Wake::Input(Input::Key(key)) => self.press(key).await,
                Wake::Input(Input::Redraw) => {
                    self.leave_bare();
                    // Another program may have drawn here.
                    let Ok(()) = self.drawing.clear();
                }
                Wake::Input(Input::Over) => self.is_closed = true,
                Wake::Text(text) => {
                    self.take(text);
                    for _ in 0..MAX_WAITING_TEXTS {
                        let Ok(text) = self.texts.try_recv() else { break };
                        self.take(text);
                    }
                }
                Wake::Look => {}
                Wake::Question(question) => {
                    // Keys from before the question are not its answer.
                    self.tty.discard_keys();
                    self.leave_bare();
                    self.hidden = Some((question, HiddenText::default()));
                }
                Wake::Waited => self.typed(Typed::Waited),
            }
        }
        while let Ok(text) = self.texts.try_recv() {
            self.take(text);
        }
        self.draw();
        self.flush().await;
        self.unseen()
    }

    /// Returns what the user can't have seen: unread messages, and the last warnings.
    fn unseen(&self) -> String {
        let now_ms = clock::now().wall_ms;
        let is_last = |(_, note): &&(u64, Note)| {
            note.kind == Kind::Warning && note.time_ms + LAST_WARNINGS_MS > now_ms
        };
        let warnings = self.model.notes.iter().filter(is_last).map(|(_, note)| note.text.clone());
        let unseen = self.prompt_state.read_view(|view| self.model.unseen(view));
        let lines = unseen.into_iter().chain(warnings).map(|text| {
            let rows = text.split('\n').map(|row| Printable(row).to_string());
            rows.collect::<Vec<_>>().join(NEXT_LINE) + "\n"
        });
        if self.is_closed { String::new() } else { lines.collect() }
    }

    /// Notes what was typed for the present request.
    pub(super) fn typed(&mut self, typed: Typed) {
        self.ready.push_front(typed);
    }

    /// Gives whoever has asked what was typed.
    async fn hand_over(&mut self) {
        if matches!(self.mode, Mode::Idle) {
            return;
        }
        if let Some(opened) = self.opened() {
            self.ready.push_front(Typed::Opened(opened));
        }
        if self.is_closed || self.requests.is_closed() {
            self.ready.push_back(Typed::End);
        }
        let is_question = matches!(self.mode, Mode::Answer(_) | Mode::Wait(..));
        let fits = |typed: &Typed| match typed {
            Typed::Answer(_) | Typed::Waited => is_question,
            Typed::End => true,
            _ => !is_question,
        };
        let next = self.ready.iter().position(fits);
        if let Some(typed) = next.and_then(|next| self.ready.remove(next)) {
            self.mode = Mode::Idle;
            // The asking task may be gone.
            let _ = self.typed.send(typed).await;
        }
    }

    /// Returns the chat that the user requested, to go there, unless a line has been begun.
    fn opened(&mut self) -> Option<Username> {
        let is_free = matches!(self.mode, Mode::Line) && self.line.is_empty();
        let opened = if is_free { self.prompt_state.take_opened() } else { None };
        opened.filter(|opened| self.prompt_state.typing() != Typing::Chat(opened.clone()))
    }

    async fn wake(&mut self) -> Wake {
        let is_idle = matches!(self.mode, Mode::Idle);
        let done = match &self.mode {
            Mode::Wait(_, done) => Some(done.clone()),
            _ => None,
        };
        let request = async {
            if !is_idle {
                pending::<()>().await;
            }
            Wake::Request(self.requests.recv().await.ok())
        };
        let waited = async {
            match done {
                Some(done) => drop(done.recv().await),
                None => pending().await,
            }
            Wake::Waited
        };
        let text = async {
            match self.texts.recv().await {
                Ok(text) => Wake::Text(text),
                Err(_) => pending().await,
            }
        };
        let look = async {
            match self.looks.recv().await {
                Ok(()) => Wake::Look,
                Err(_) => pending().await,
            }
        };
        let has_question = self.hidden.is_some();
        let question = async {
            if has_question {
                pending::<()>().await;
            }
            match self.questions.recv().await {
                Ok(question) => Wake::Question(question),
                Err(_) => pending().await,
            }
        };
        let is_closed = self.is_closed;
        let input = async {
            if is_closed {
                pending::<()>().await;
            }
            Wake::Input(self.tty.next().await)
        };
        input.or(request).or(waited).or(question).or(look).or(text).await
    }

    /// Keeps a text as a note.
    fn take(&mut self, Text { text, about, receipt, .. }: Text) {
        self.receipts.extend(receipt);
        if let Some((id, shown)) = about.message {
            self.model.pass(id, shown);
        }
        let is_looked_at = self.has_focus == Some(true) && self.model.is_at_the_end();
        let is_seen = is_looked_at && about.conversation == self.model.shown;
        if let Some(notification) = about.notification.as_ref().filter(|_| !is_seen) {
            self.tty.write(notification);
        }
        if text == BELL.to_string() {
            return self.tty.ring();
        }
        if text.is_empty() {
            return;
        }
        let conversation = about.conversation.or_else(|| self.model.shown.clone());
        let time_ms = about.time_ms.unwrap_or_else(|| clock::now().wall_ms);
        self.model.note(Note { time_ms, kind: about.kind, text, conversation });
    }

    /// Notes a text of the screen itself.
    pub(super) fn tell(&mut self, text: &str) {
        let (time_ms, conversation) = (clock::now().wall_ms, self.model.shown.clone());
        let kind = Kind::Hint;
        self.model.note(Note { time_ms, kind, text: text.to_owned(), conversation });
    }

    /// Tells of a login. After the first one the session itself goes on watching people, unless the user ends that.
    fn note_login(&mut self) {
        let (is_logged_in, username) = self.prompt_state.read_view(|view| {
            (view.session.link == LinkState::LoggedIn, view.session.username.clone())
        });
        if is_logged_in && !self.is_logged_in {
            // One pending notice is enough.
            let _ = self.logins.try_send(username != self.watched_for);
            self.watched_for = username;
        }
        self.is_logged_in = is_logged_in;
    }

    fn draw(&mut self) {
        self.note_login();
        let account = self.prompt_state.read_view(|view| view.account.clone());
        let waits_for_plugins = self.prompt_state.plugins().is_some_and(Plugins::filters_shown);
        self.model.open(account, waits_for_plugins);
        let (width, height) = self.tty.window_size();
        self.drawing.backend_mut().resize(Size { width, height });
        let (view_of, model) = (&self.prompt_state, &mut self.model);
        let input = match (&self.hidden, &self.mode) {
            (Some((question, _)), _) => {
                TypedLine { prompt: question.question().to_owned(), ..TypedLine::default() }
            }
            (None, Mode::Answer(question)) => typed_line(&self.answer, question, &[], &()),
            (None, Mode::Wait(text, _)) => {
                TypedLine { prompt: text.clone(), ..TypedLine::default() }
            }
            (None, Mode::Idle | Mode::Line) => {
                let typing = view_of.typing();
                if view_of.take_switched() {
                    model.follow_again();
                }
                // A line that has been begun keeps its target.
                if self.line.is_empty() && !self.tty.has_keys() {
                    view_of.read_view(|view| model.follow(&typing, view));
                }
                let target = model.target();
                let session = view_of.read_view(|view| view.session.clone());
                let prompt = prompt(&session, &target, view_of.attempt());
                let in_chat = target != Typing::Commands;
                let completion = Completion { prompt_state: view_of, in_chat };
                typed_line(&self.line, &prompt, self.memory.lines(), &completion)
            }
        };
        let (palette, bindings, notify) = (self.palette, &self.bindings, &self.notify);
        let (drawing, has_focus) = (&mut self.drawing, self.has_focus);
        view_of.read_view(|view| {
            // Messages that are scrolled away or covered are not seen.
            if has_focus != Some(false) && model.is_at_the_end() {
                model.note_seen(view);
            }
            let status = status(view, model, bindings);
            let draw = |frame: &mut ratatui_core::terminal::Frame<'_>| {
                let status = status.as_str();
                let mut picture =
                    Picture { view, model, input: &input, status, palette, bindings, notify };
                let cursor = picture.draw(frame.buffer_mut());
                frame.set_cursor_position(cursor);
            };
            let Ok(_) = drawing.draw(draw);
        });
        let output = self.drawing.backend_mut().take();
        self.tty.write(&output);
    }

    /// Writes all, and confirms its events. The next read reports a closed terminal.
    async fn flush(&mut self) {
        let is_written = self.tty.flush().await.is_ok();
        self.receipts.drain(..).filter(|_| is_written).for_each(Receipt::confirm);
    }
}

fn typed_line(
    line: &Line,
    prompt: &str,
    history: &[String],
    assistant: &impl Assistant,
) -> TypedLine {
    let look = Look { has_hints: true, ..Look::default() };
    let shown = line.scene(prompt, &look, history, assistant);
    let list = shown.list.into_iter().map(|one| match one.description {
        Some(description) => format!("{:<12}  {description}", one.value),
        None => one.value,
    });
    let list = list.collect();
    TypedLine {
        prompt: shown.prompt,
        text: shown.text,
        cursor: shown.cursor,
        hint: shown.hint,
        list,
    }
}

/// Returns the row at the bottom: what is unread, who and where one is, and the key that lists the keys.
fn status(view: &View, model: &Model, bindings: &Bindings) -> String {
    let who = view.session.username.as_ref().map_or("nobody yet", |name| name.as_str());
    let server = view.server.as_deref().unwrap_or("the server");
    let link = match view.session.link {
        LinkState::LoggedIn => format!("at {}", Printable(server)),
        LinkState::Connected => format!("connected to {}, not logged in", Printable(server)),
        LinkState::Connecting => "connecting".into(),
        LinkState::Waiting => "waiting for the server".into(),
        LinkState::Offline => "offline".into(),
    };
    let unread = model.unread_conversations(view);
    let unread = match (unread, bindings.key_of(Action::NextUnread)) {
        (0, _) => String::new(),
        (count, key) => format!("{count} unread ({key})  "),
    };
    format!("{unread}{who}, {link}  {} keys", bindings.key_of(Action::Help))
}
