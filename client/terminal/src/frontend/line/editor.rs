//! The prompt: reads lines and answers, and prints texts above them.
//!
//! Texts wait in a bounded queue. Keys and texts are handled in turns, so neither can starve the other.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use futures_lite::future::race;
use letschat_protocol::rows::wrap;
use letschat_protocol::username::Username;

use super::completion::Completion;
use super::handles::{EditorRequest, Keyboard, Screen, Text, Typed};
use super::hidden::HiddenQuestion;
use super::history::Memory;
use super::input::is_said;
use super::prompt::{place, prompt};
use super::prompt_state::PromptState;
use super::theme::Theme;
use super::{BELL, MAX_WAITING_TEXTS};
use crate::frontend::Terminal;
use crate::line_editor::{BRACKETS_ON, Input, Key, Line, Look, Outcome, Tty};
use letschat_core::session::Typing;
use letschat_engine::events::Receipt;

/// An input of the editor.
enum Wake {
    Input(Input),
    Text(Text),
    Look,
    Question(HiddenQuestion),
}

/// The prompt's side of [`Keyboard`] and [`Screen`].
pub(super) struct Editor {
    tty: Tty,
    line: Line,
    memory: Memory,
    prompt_state: PromptState,
    terminal: Arc<Terminal>,
    look: Look,
    requests: Receiver<EditorRequest>,
    typed: Sender<Typed>,
    texts: Receiver<Text>,
    looks: Receiver<()>,
    questions: Receiver<HiddenQuestion>,
    /// The plugin whose text was printed last.
    speaker: Option<String>,
    /// The receipts of texts that are not yet written.
    receipts: Vec<Receipt>,
    /// The destination of the line being typed.
    target: Typing,
    /// The prompt, which names the target.
    prompt: String,
    /// The new target, once the user has been told that this line keeps its old one.
    announced: Option<Typing>,
    /// The reason shown for the last refused key, until a key is accepted.
    refused: Option<&'static str>,
    /// True right after a line was entered, which may have changed the target.
    after_a_line: bool,
    /// True if the prompt may be outdated.
    is_due: bool,
}

impl Editor {
    /// Opens the terminal.
    ///
    /// # Errors
    ///
    /// It can't be opened.
    pub(super) fn open(
        prompt_state: &PromptState,
        terminal: &Arc<Terminal>,
        theme: Theme,
        history: &Path,
        questions: Receiver<HiddenQuestion>,
    ) -> io::Result<(Editor, Keyboard, Screen)> {
        let (requests, ordered) = async_channel::bounded(1);
        let (typed_in, typed) = async_channel::bounded(1);
        let (texts, to_show) = async_channel::bounded(MAX_WAITING_TEXTS);
        let (looks, look_again) = async_channel::bounded(1);
        let editor = Editor {
            tty: Tty::open(terminal.redraws(), BRACKETS_ON)?,
            line: Line::default(),
            memory: Memory::open(history),
            prompt_state: prompt_state.clone(),
            terminal: terminal.clone(),
            look: theme.look(),
            requests: ordered,
            typed: typed_in,
            texts: to_show,
            looks: look_again,
            questions,
            speaker: None,
            receipts: Vec::new(),
            target: Typing::Commands,
            prompt: String::new(),
            announced: None,
            refused: None,
            after_a_line: true,
            is_due: true,
        };
        Ok((editor, Keyboard { requests, typed }, Screen { texts, looks }))
    }

    /// Serves requests until the channel closes.
    pub(super) async fn run(mut self) {
        while let Some(request) = self.next_request().await {
            let typed = match request {
                EditorRequest::Line => self.read_line().await,
                EditorRequest::Answer(question) => self.read_answer(&question).await,
                EditorRequest::Wait(text, done) => self.wait(&text, &done).await,
            };
            self.flush().await;
            if self.typed.send(typed).await.is_err() {
                break;
            }
        }
        self.print_waiting();
        self.flush().await;
    }

    /// Prints texts and asks hidden questions until the next request. Returns `None` at the end.
    async fn next_request(&mut self) -> Option<EditorRequest> {
        loop {
            let request = async { Ok(self.requests.recv().await.ok()) };
            let other = async { Err(other(&self.texts, &self.looks, &self.questions).await) };
            match race(request, other).await {
                Ok(request) => return request,
                Err(wake) => drop(self.attend(wake).await),
            }
            self.flush().await;
        }
    }

    /// Waits for a key or another input.
    async fn wake(&mut self) -> Wake {
        let input = async { Wake::Input(self.tty.next().await) };
        race(input, other(&self.texts, &self.looks, &self.questions)).await
    }

    /// Handles an input. Returns it if it comes from the terminal.
    async fn attend(&mut self, wake: Wake) -> Option<Input> {
        match wake {
            Wake::Input(input) => return Some(input),
            Wake::Text(text) => {
                self.print(text);
                self.print_waiting();
                self.is_due = true;
            }
            Wake::Look => self.is_due = true,
            Wake::Question(question) => {
                self.tty.erase();
                let is_over = || self.requests.is_closed();
                let (tty, terminal) = (&mut self.tty, &self.terminal);
                question.ask(tty, terminal, self.look, &self.looks, is_over).await;
                self.is_due = true;
            }
        }
        None
    }

    /// Reads a line, and prints texts above it meanwhile.
    async fn read_line(&mut self) -> Typed {
        self.is_due = true;
        loop {
            if self.is_due {
                self.print_waiting();
                if self.requests.is_closed() {
                    self.tty.erase();
                    return Typed::End;
                }
                if let Some(opened) = self.opened() {
                    self.tty.erase();
                    return Typed::Opened(opened);
                }
                self.aim();
            }
            if std::mem::take(&mut self.is_due) || !self.tty.is_behind() {
                self.draw_line();
                self.flush().await;
            }
            let wake = self.wake().await;
            let typed = match self.attend(wake).await {
                Some(Input::Key(key)) => self.press(key).await,
                Some(Input::Over) => Some(Typed::End),
                Some(Input::Redraw) | None => None,
            };
            if let Some(typed) = typed {
                return typed;
            }
        }
    }

    /// Handles a key. Returns a result if the key ends the line.
    async fn press(&mut self, key: Key) -> Option<Typed> {
        let in_chat = self.in_chat();
        let completion = Completion { prompt_state: &self.prompt_state, in_chat };
        match self.line.press(key, self.memory.lines(), &completion) {
            Outcome::Edited => {
                self.refused = None;
                None
            }
            Outcome::Cleared => {
                self.is_due = true;
                None
            }
            Outcome::Entered(text) => {
                if is_said(&text, &self.target) {
                    // The event of the own message shows it.
                    self.tty.erase();
                } else {
                    self.tty.leave(&Line::entered(&self.prompt, &text, &self.look));
                }
                self.memory.keep(&text, in_chat);
                self.speaker = None;
                self.after_a_line = true;
                Some(Typed::Line { text, target: self.target.clone() })
            }
            Outcome::Interrupted => {
                self.tty.erase();
                Some(Typed::Interrupt { target: self.target.clone() })
            }
            Outcome::Ended => {
                self.tty.erase();
                Some(Typed::End)
            }
            Outcome::Refused(why) => {
                self.refuse(why);
                None
            }
            Outcome::Other(Key::Ctrl('x')) => {
                self.tty.erase();
                Some(Typed::Leave)
            }
            Outcome::Other(key) => {
                self.press_other(&key).await;
                None
            }
        }
    }

    /// Asks a question, unless the client ends meanwhile.
    async fn read_answer(&mut self, question: &str) -> Typed {
        let mut answer = Line::default();
        loop {
            if self.requests.is_closed() {
                return Typed::End;
            }
            let scene = answer.scene(question, &self.look, &[], &());
            self.tty.draw(&scene.with_status(self.prompt_state.transfer_row()));
            self.flush().await;
            let wake = self.wake().await;
            let outcome = match self.attend(wake).await {
                Some(Input::Key(key)) => answer.press(key, &[], &()),
                Some(Input::Over) => return Typed::End,
                Some(Input::Redraw) | None => Outcome::Edited,
            };
            let text = match &outcome {
                Outcome::Edited => continue,
                Outcome::Refused(why) => {
                    self.refuse(why);
                    continue;
                }
                Outcome::Other(key) => {
                    self.press_other(key).await;
                    continue;
                }
                Outcome::Entered(text) => Some(text.trim().to_owned()),
                Outcome::Cleared | Outcome::Interrupted | Outcome::Ended => None,
            };
            let shown = text.as_deref().unwrap_or_default();
            self.tty.leave(&Line::entered(question, shown, &self.look));
            return if matches!(outcome, Outcome::Ended) {
                Typed::End
            } else {
                Typed::Answer(text)
            };
        }
    }

    /// Reads keys without echo until the channel closes.
    async fn wait(&mut self, text: &str, done: &Receiver<Infallible>) -> Typed {
        let (scene, mut typed) = (Line::entered(text, "", &self.look), Line::default());
        while !self.requests.is_closed() {
            self.tty.draw(&scene.clone().with_status(self.prompt_state.transfer_row()));
            self.flush().await;
            let waited = async {
                let _ = done.recv().await;
                None
            };
            let Some(wake) = race(waited, async { Some(self.wake().await) }).await else {
                self.tty.erase();
                return Typed::Waited;
            };
            let key = match self.attend(wake).await {
                Some(Input::Key(key)) => key,
                Some(Input::Over) => break,
                Some(Input::Redraw) | None => continue,
            };
            let ended_by = match key {
                Key::Ctrl('c') => Typed::Answer(None),
                Key::Ctrl('d') => Typed::End,
                key => match typed.press(key, &[], &()) {
                    Outcome::Entered(text) => Typed::Answer(Some(text)),
                    Outcome::Other(key) => {
                        self.press_other(&key).await;
                        continue;
                    }
                    _ => continue,
                },
            };
            self.tty.erase();
            return ended_by;
        }
        Typed::End
    }

    /// Handles a key that does not edit the line.
    async fn press_other(&mut self, key: &Key) {
        match key {
            Key::Ctrl('l') => self.tty.clear(),
            // In raw mode the key sends no signal.
            Key::Ctrl('z') => self.tty.step_aside(|| self.terminal.suspend()).await,
            _ => {}
        }
    }

    /// Returns the chat that the user requested, to switch there. If a line has been begun, its target stays, and
    /// the command to switch is shown.
    fn opened(&mut self) -> Option<Username> {
        let opened = self.prompt_state.take_opened()?;
        if self.prompt_state.typing() == Typing::Chat(opened.clone()) {
            return None;
        }
        if self.line.is_empty() && !self.tty.has_keys() {
            return Some(opened);
        }
        self.tell(&format!("`/switch {opened}` goes to {opened}."));
        None
    }

    /// Sets the target of an empty line to the current chat. A line that has been begun keeps its target; if the
    /// current chat has changed, a text says so.
    fn aim(&mut self) {
        // Read the session first: otherwise the prompt could show no chat while its line still goes over one.
        let session = self.prompt_state.read_view(|view| view.session.clone());
        let typing = self.prompt_state.typing();
        let follows = std::mem::take(&mut self.after_a_line);
        let is_empty = self.line.is_empty();
        if is_empty && (follows || typing == self.target || !self.tty.has_keys()) {
            self.target = typing;
            self.announced = None;
        } else if typing != self.target && self.announced.as_ref() != Some(&typing) {
            self.tell(&format!("{} Ctrl+C clears it.", place(&self.target)));
            self.announced = Some(typing);
        }
        self.prompt = prompt(&session, &self.target, self.prompt_state.attempt());
    }

    fn in_chat(&self) -> bool {
        self.target != Typing::Commands
    }

    fn draw_line(&mut self) {
        let completion = Completion { prompt_state: &self.prompt_state, in_chat: self.in_chat() };
        let lines = self.memory.lines();
        let scene = self.line.scene(&self.prompt, &self.look, lines, &completion);
        self.tty.draw(&scene.with_status(self.prompt_state.transfer_row()));
    }

    /// Shows the reason for a refused key, once for a series of them.
    fn refuse(&mut self, why: &'static str) {
        if self.refused.replace(why) != Some(why) {
            self.tell(why);
        }
    }

    /// Prints a text of the prompt itself.
    fn tell(&mut self, text: &str) {
        self.speaker = None;
        self.tty.print(&wrap(text, self.tty.columns()));
        self.is_due = true;
    }

    /// Prints the queued texts.
    fn print_waiting(&mut self) {
        for _ in 0..MAX_WAITING_TEXTS {
            let Ok(text) = self.texts.try_recv() else { return };
            self.print(text);
        }
    }

    /// Prints a text above the prompt.
    fn print(&mut self, Text { text, follows, about, receipt }: Text) {
        self.receipts.extend(receipt);
        if let Some(notification) = &about.notification {
            self.tty.write(notification);
        }
        if text.is_empty() {
            return;
        }
        if text == BELL.to_string() {
            return self.tty.ring();
        }
        let (speaker, next) = follows.unzip();
        let before = std::mem::replace(&mut self.speaker, speaker.clone());
        let shown = next.filter(|_| before == speaker).unwrap_or(text);
        self.tty.print(&wrap(&shown, self.tty.columns()));
    }

    /// Flushes the output and confirms its events. The next read reports a closed terminal.
    async fn flush(&mut self) {
        let is_written = self.tty.flush().await.is_ok();
        self.receipts.drain(..).filter(|_| is_written).for_each(Receipt::confirm);
    }
}

/// Waits for a text, a change or a hidden question.
async fn other(
    texts: &Receiver<Text>,
    looks: &Receiver<()>,
    questions: &Receiver<HiddenQuestion>,
) -> Wake {
    let text = async { Wake::Text(received(texts).await) };
    let look = async {
        received(looks).await;
        Wake::Look
    };
    let question = async { Wake::Question(received(questions).await) };
    race(text, race(look, question)).await
}

/// Receives an item, or waits forever if the channel is closed.
async fn received<T>(receiver: &Receiver<T>) -> T {
    match receiver.recv().await {
        Ok(item) => item,
        Err(_) => pending().await,
    }
}
