//! Questions without echo, for passwords.

use std::io;

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt as _;
use letschat_protocol::dialogue::Secret;

use crate::frontend::Terminal;
use crate::line_editor::{Input, Key, Line, Look, Tty};
use letschat_commands::passwords::Ask;

/// The maximum length of a password.
const MAX_SECRET_BYTES: usize = 1_024;

/// A pending question.
pub struct HiddenQuestion {
    question: String,
    answer: Sender<io::Result<Secret>>,
}

/// Asks at the prompt, without echo.
pub struct HiddenQuestions(Sender<HiddenQuestion>);

impl HiddenQuestions {
    /// Returns the asking side, and the receiver for the prompt.
    pub fn new() -> (HiddenQuestions, Receiver<HiddenQuestion>) {
        let (questions, asked) = async_channel::bounded(1);
        (HiddenQuestions(questions), asked)
    }
}

impl Ask for HiddenQuestions {
    fn ask(&self, prompt: &str) -> io::Result<Secret> {
        let (answer, answered) = async_channel::bounded(1);
        // Without a prompt, or when the client ends, the channel closes.
        let _ = self.0.send_blocking(HiddenQuestion { question: prompt.to_owned(), answer });
        answered.recv_blocking().unwrap_or_else(|_| Err(called_off()))
    }
}

impl HiddenQuestion {
    /// Returns the question.
    pub(in crate::frontend) fn question(&self) -> &str {
        &self.question
    }

    /// Sends the answer.
    pub(in crate::frontend) fn answer(self, answer: io::Result<Secret>) {
        // The asking task may be gone.
        let _ = self.answer.try_send(answer);
    }

    /// Asks the question and sends the answer. Nothing is printed meanwhile. Each of the `looks` is a reason to
    /// check whether the client has ended.
    pub(in crate::frontend) async fn ask(
        self,
        tty: &mut Tty,
        terminal: &Terminal,
        look: Look,
        looks: &Receiver<()>,
        is_over: impl Fn() -> bool,
    ) {
        // Keys from before the question are not its answer. Surplus keys are not for the next prompt.
        tty.discard_keys();
        let answer = self.read(tty, terminal, look, looks, is_over).await;
        tty.discard_keys();
        tty.leave(&Line::entered(&self.question, "", &look));
        // The asking task may be gone.
        let _ = self.answer.try_send(answer);
    }

    async fn read(
        &self,
        tty: &mut Tty,
        terminal: &Terminal,
        look: Look,
        looks: &Receiver<()>,
        is_over: impl Fn() -> bool,
    ) -> io::Result<Secret> {
        let scene = Line::entered(&self.question, "", &look);
        let mut typed = HiddenText::default();
        while !is_over() {
            tty.draw(&scene);
            tty.flush().await?;
            let changed = async {
                let _ = looks.recv().await;
                Input::Redraw
            };
            let key = match tty.next().or(changed).await {
                Input::Key(key) => key,
                Input::Redraw => continue,
                Input::Over => break,
            };
            if key == Key::Ctrl('z') {
                tty.leave(&scene);
                tty.step_aside(|| terminal.suspend()).await;
            } else if let Some(answer) = typed.press(key) {
                return answer;
            }
        }
        Err(called_off())
    }
}

/// The answer that is typed.
pub(in crate::frontend) struct HiddenText(String);

impl Default for HiddenText {
    /// Growing would leave copies in memory.
    fn default() -> HiddenText {
        HiddenText(String::with_capacity(MAX_SECRET_BYTES))
    }
}

impl HiddenText {
    /// Handles a key. Returns the answer, once it is complete.
    pub(in crate::frontend) fn press(&mut self, key: Key) -> Option<io::Result<Secret>> {
        let text = &mut self.0;
        match key {
            Key::Enter => return Some(Ok(Secret(std::mem::take(text)))),
            Key::Ctrl('d') if text.is_empty() => {
                return Some(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            Key::Ctrl('c' | 'd') | Key::Esc => return Some(Err(called_off())),
            Key::Ctrl('u') => text.clear(),
            Key::Char(letter) => add(text, letter),
            Key::Paste(pasted) => {
                let line = pasted.lines().next().unwrap_or_default();
                line.chars().for_each(|letter| add(text, letter));
                if pasted.contains('\n') {
                    return Some(Ok(Secret(std::mem::take(text))));
                }
            }
            Key::Backspace => drop(text.pop()),
            _ => {}
        }
        None
    }
}

/// Adds a letter, unless the text would grow.
fn add(text: &mut String, letter: char) {
    if text.len() + letter.len_utf8() <= MAX_SECRET_BYTES {
        text.push(letter);
    }
}

fn called_off() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "the question was called off")
}
