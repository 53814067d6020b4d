//! The prompt `] `, with messages above it.

use std::io;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use futures_lite::future::race;
use letschat_protocol::printable::is_blank;
use letschat_protocol::rows::wrap;

use crate::frontend::Terminal;
use crate::frontend::line::theme::Theme;
use crate::line_editor::{BRACKETS_ON, Input, Key, Line, Look, Outcome, Tty};

const PROMPT: &str = "] ";

/// The maximum number of unsent lines. Beyond it typing waits.
const MAX_WAITING_LINES: usize = 64;

/// The length of the history.
const MAX_LINES: usize = 1_000;

/// The maximum number of queued texts. Beyond it receiving waits, and the kernel drops datagrams.
const MAX_WAITING_TEXTS: usize = 256;

/// A prompt whose lines go to a room.
pub(super) struct Prompt {
    tty: Tty,
    terminal: Arc<Terminal>,
    look: Look,
    history: Vec<String>,
    typed: Sender<String>,
    texts: Receiver<String>,
}

/// An input of the prompt.
enum Wake {
    Input(Input),
    /// A text, or `None` at the end of texts.
    Text(Option<String>),
}

impl Prompt {
    /// Opens the terminal. The receiver yields typed lines, and closes at the end of input. The
    /// prompt ends when the sender of texts closes.
    pub(super) fn open(
        terminal: &Arc<Terminal>,
        theme: Theme,
    ) -> io::Result<(Prompt, Receiver<String>, Sender<String>)> {
        let (typed, lines) = async_channel::bounded(MAX_WAITING_LINES);
        let (texts, to_show) = async_channel::bounded(MAX_WAITING_TEXTS);
        let prompt = Prompt {
            tty: Tty::open(terminal.redraws(), BRACKETS_ON)?,
            terminal: terminal.clone(),
            look: theme.look(),
            history: Vec::new(),
            typed,
            texts: to_show,
        };
        Ok((prompt, lines, texts))
    }

    /// Reads lines and shows texts until either end.
    pub(super) async fn run(mut self) {
        let mut line = Line::default();
        loop {
            if !self.tty.is_behind() {
                self.tty.draw(&line.scene(PROMPT, &self.look, &self.history, &()));
                if self.tty.flush().await.is_err() {
                    return;
                }
            }
            let input = async { Wake::Input(self.tty.next().await) };
            let text = async { Wake::Text(self.texts.recv().await.ok()) };
            let outcome = match race(input, text).await {
                Wake::Input(Input::Key(key)) => line.press(key, &self.history, &()),
                Wake::Input(Input::Redraw) => continue,
                Wake::Text(Some(text)) => {
                    self.print(&text);
                    continue;
                }
                Wake::Input(Input::Over) | Wake::Text(None) => break,
            };
            match outcome {
                Outcome::Edited => {}
                Outcome::Entered(text) => self.send(text).await,
                Outcome::Refused(why) => self.print(why),
                Outcome::Other(Key::Ctrl('l')) => self.tty.clear(),
                Outcome::Other(Key::Ctrl('z')) => {
                    self.tty.step_aside(|| self.terminal.suspend()).await;
                }
                Outcome::Other(_) => {}
                Outcome::Cleared | Outcome::Interrupted | Outcome::Ended => break,
            }
        }
        while let Ok(text) = self.texts.try_recv() {
            self.print(&text);
        }
        self.tty.erase();
        // The terminal may have closed.
        let _ = self.tty.flush().await;
    }

    /// Sends a typed line, or the lines of a paste.
    async fn send(&mut self, text: String) {
        self.tty.leave(&Line::entered(PROMPT, &text, &self.look));
        for line in text.lines().filter(|line| !is_blank(line)) {
            // The receiver may have ended.
            let _ = self.typed.send(line.to_owned()).await;
        }
        if !is_blank(&text) && self.history.last() != Some(&text) {
            self.history.push(text);
        }
        let too_many = self.history.len().saturating_sub(MAX_LINES);
        self.history.drain(..too_many);
    }

    fn print(&mut self, text: &str) {
        self.tty.print(&wrap(text, self.tty.columns()));
    }
}
