//! Questions whose answers are no lines: they are in no history and go to nobody but who asks.

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use letschat_protocol::dialogue::Secret;
use reedline::{Reedline, Signal};

use super::editor::{SUSPEND, Unfinished, answer_mode};
use super::prompt::LinePrompt;
use super::theme::Theme;
use crate::frontend::Terminal;
use letschat_commands::passwords::Ask;

/// What is typed beyond this is no password.
const MAX_SECRET_BYTES: usize = 1_024;

/// Held while a hidden answer is awaited: nothing is printed into it. A process has one terminal.
static HIDDEN: Mutex<()> = Mutex::new(());

/// Waits until no hidden answer is awaited.
pub(super) fn wait_for_hidden() -> MutexGuard<'static, ()> {
    HIDDEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a hidden answer is awaited.
pub(super) fn is_hidden_open() -> bool {
    matches!(HIDDEN.try_lock(), Err(TryLockError::WouldBlock))
}

/// Asks; `None` if the user calls it off, or if the client ends meanwhile. Whenever the call comes,
/// the question leaves the screen for what `print` prints.
pub(super) fn ask(
    question: String,
    theme: Theme,
    terminal: &Terminal,
    is_over: impl Fn() -> bool,
    print: impl Fn(),
) -> Option<String> {
    let prompt = LinePrompt::question(question, theme);
    let mut reedline = Reedline::create()
        .with_ansi_colors(theme.is_colored())
        .with_highlighter(super::completion::no_highlighting())
        .use_bracketed_paste(true)
        .with_edit_mode(answer_mode())
        .with_break_signal(terminal.call());
    loop {
        let is_stop = match reedline.read_line(&prompt) {
            Ok(Signal::Success(answer)) => return Some(answer.trim().to_owned()),
            Ok(Signal::ExternalBreak(_)) if !is_over() => false,
            Ok(Signal::HostCommand(key)) if key == SUSPEND => true,
            _ => return None,
        };
        let begun = Unfinished::take(&mut reedline);
        if is_stop {
            terminal.suspend();
        }
        print();
        if let Some(begun) = begun {
            begun.put_back(&mut reedline);
        }
    }
}

/// Asks without echo, at a terminal whose keys are taken (see
/// [`Terminal::take_keys`](crate::frontend::Terminal::take_keys)).
pub struct HiddenQuestions(pub Arc<Terminal>);

impl Ask for HiddenQuestions {
    fn ask(&self, prompt: &str) -> io::Result<Secret> {
        let _nobody_prints = wait_for_hidden();
        // What was typed before the question is not its answer.
        while event::poll(Duration::ZERO)? {
            event::read()?;
        }
        show(prompt)?;
        self.0.note_question(prompt);
        let secret = read_hidden(&self.0);
        self.0.note_question("");
        show("\n")?;
        secret
    }
}

fn read_hidden(terminal: &Terminal) -> io::Result<Secret> {
    let mut text = String::new();
    loop {
        match event::read()? {
            Event::Key(KeyEvent { kind: KeyEventKind::Release, .. }) => {}
            Event::Key(KeyEvent { code, modifiers, .. }) => {
                let is_control = modifiers.contains(KeyModifiers::CONTROL);
                match code {
                    KeyCode::Enter => return Ok(Secret(text)),
                    KeyCode::Char('j' | 'm') if is_control => return Ok(Secret(text)),
                    KeyCode::Char('c' | 'd') if is_control => return Err(called_off()),
                    KeyCode::Esc => return Err(called_off()),
                    KeyCode::Char('u') if is_control => text.clear(),
                    KeyCode::Char('z') if is_control => terminal.suspend(),
                    KeyCode::Char(_) if is_control => {}
                    KeyCode::Char(c) if text.len() < MAX_SECRET_BYTES => text.push(c),
                    KeyCode::Backspace => drop(text.pop()),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

fn called_off() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "the question was called off")
}

fn show(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
