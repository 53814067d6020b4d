//! The prompt `] `, on a thread of its own: the editor blocks while it waits for keys.
//!
//! What is heard waits in a bounded queue. The editor takes the prompt off the screen for it, and puts the prompt
//! and the unfinished line back.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use letschat_flags::output::Stream;
use letschat_protocol::printable::is_blank;
use letschat_protocol::rows::wrap;
use reedline::{Reedline, Signal};

use crate::frontend::Terminal;
use crate::frontend::line::theme::Theme;
use crate::frontend::line::{LinePrompt, SUSPEND, Unfinished, answer_mode, no_highlighting};

const PROMPT: &str = "] ";

/// Lines that may wait to be sent. Then typing waits.
const MAX_WAITING_LINES: usize = 64;

/// Texts that may wait to be shown. Then listening waits, and the kernel drops what its buffer can't hold.
const MAX_WAITING_TEXTS: usize = 256;

/// How soon a text is shown while nothing is typed.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long the editor has to take the prompt off the screen at the end. At a terminal that is gone it never
/// returns: it reads the end of file again and again.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The editor's thread.
pub(super) struct Prompt {
    lines: Receiver<String>,
    texts: Sender<String>,
    /// Calls the editor away from the keys.
    call: Arc<AtomicBool>,
    /// Never sent on; closed when the thread has ended.
    running: mpsc::Receiver<Infallible>,
}

impl Prompt {
    /// Starts the thread. If the system has none, input is over at once.
    pub(super) fn start(terminal: &Arc<Terminal>, theme: Theme) -> Prompt {
        let (typed, lines) = async_channel::bounded(MAX_WAITING_LINES);
        let (texts, to_show) = async_channel::bounded(MAX_WAITING_TEXTS);
        let (runs, running) = mpsc::channel();
        let call = terminal.call();
        let editor = EditorThread {
            reedline: Reedline::create()
                .with_ansi_colors(theme.is_colored())
                .with_highlighter(no_highlighting())
                .use_bracketed_paste(true)
                .with_edit_mode(answer_mode())
                .with_break_signal(call.clone())
                .with_poll_interval(POLL_INTERVAL),
            prompt: LinePrompt::question(PROMPT.into(), theme),
            terminal: terminal.clone(),
            call: call.clone(),
            texts: to_show,
            typed,
        };
        let edit = move || {
            let _runs = runs;
            editor.run();
        };
        // Not joined but waited for: see `LAST_WORDS`.
        let _ = thread::Builder::new().name("editor".into()).spawn(edit);
        Prompt { lines, texts, call, running }
    }

    /// The next line; `None` at the end of input.
    pub(super) async fn line(&self) -> Option<String> {
        self.lines.recv().await.ok()
    }

    /// Shows a line above the prompt.
    pub(super) async fn show(&self, text: String) {
        // An editor that has ended shows nothing; the end of input is seen as well.
        if self.texts.send(text).await.is_ok() {
            self.call.store(true, Ordering::SeqCst);
        }
    }

    /// Takes the prompt off the screen, shows what is left and ends the thread.
    pub(super) fn finish(self) {
        self.lines.close();
        self.call.store(true, Ordering::SeqCst);
        let _ = self.running.recv_timeout(LAST_WORDS);
    }
}

/// What the editor's thread works with.
struct EditorThread {
    reedline: Reedline,
    prompt: LinePrompt,
    terminal: Arc<Terminal>,
    call: Arc<AtomicBool>,
    texts: Receiver<String>,
    typed: Sender<String>,
}

impl EditorThread {
    fn run(mut self) {
        loop {
            self.print_texts();
            if self.typed.is_closed() {
                return;
            }
            match self.reedline.read_line(&self.prompt) {
                Ok(Signal::Success(text)) => {
                    // More than one, if they were pasted.
                    for line in text.lines().filter(|line| !is_blank(line)) {
                        if self.typed.send_blocking(line.to_owned()).is_err() {
                            break;
                        }
                    }
                }
                Ok(Signal::HostCommand(key)) if key == SUSPEND => {
                    let begun = Unfinished::take(&mut self.reedline);
                    self.terminal.suspend();
                    self.put_back(begun);
                }
                Ok(Signal::ExternalBreak(_)) => {
                    let begun = Unfinished::take(&mut self.reedline);
                    self.print_texts();
                    self.put_back(begun);
                }
                Ok(Signal::CtrlC | Signal::CtrlD) | Err(_) => break,
                // No other key ends a line.
                Ok(_) => {}
            }
        }
        self.print_texts();
    }

    fn put_back(&mut self, begun: Option<Unfinished>) {
        if let Some(begun) = begun {
            begun.put_back(&mut self.reedline);
        }
    }

    /// Prints what waits. There is no prompt on the screen.
    fn print_texts(&self) {
        self.call.store(false, Ordering::SeqCst);
        while let Ok(text) = self.texts.try_recv() {
            // A terminal that is gone is noticed by the next read.
            let _ = Stream::Output.write_line(&wrap(&text, Stream::Output.columns()));
        }
    }
}
