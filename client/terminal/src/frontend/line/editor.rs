//! The prompt, on a thread of its own: the editor blocks while it waits for keys.
//!
//! What is to be shown waits in a bounded queue. The editor looks for it between keys, takes the
//! prompt off the screen, prints, and puts the prompt and the unfinished line back. reedline's own
//! printer counts bytes instead of columns, and so writes over what stands above a long line.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::pending;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::block_on;
use futures_lite::FutureExt as _;
use letschat_flags::output::Stream;
use letschat_protocol::rows::wrap;
use letschat_protocol::username::Username;
use reedline::{EditCommand, Reedline, Signal};

use super::completion::{Completions, Hints, Words, completion_menu};
use super::history::Memory;
use super::prompt::LinePrompt;
use super::question;
use super::standing::Standing;
use super::theme::Theme;
use crate::frontend::{OutputClosed, Terminal};
use keys::{INTERRUPT, LEAVE};
use letschat_core::session::Typing;
use letschat_engine::events::Receipt;
use print_signal::PrintSignal;

mod aside;
mod keys;
mod print_signal;
pub(crate) use aside::Unfinished;
pub(super) use keys::COMPLETION_MENU;
pub(crate) use keys::{SUSPEND, answer_mode};

/// Texts that may wait to be shown. Then whoever has more waits.
const MAX_WAITING_TEXTS: usize = 256;

/// How soon a text is shown while nothing is typed.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long the editor has to take the prompt off the screen at the end. At a terminal that is gone
/// it never returns: it reads the end of file again and again.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is wanted from the keyboard.
pub(super) enum EditorRequest {
    /// A line, or a key that means something by itself.
    Line,
    /// The answer to a question.
    Answer(String),
}

/// What came from the keyboard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line, and where its prompt said that it goes.
    Line { text: String, target: Typing },
    /// Ctrl+C on an empty line.
    Interrupt { target: Typing },
    /// A chat that the user asked for is open, and nothing was typed.
    Opened(Username),
    /// Ctrl+X.
    Leave,
    /// Ctrl+D on an empty line, or there is no terminal any more.
    End,
    /// To a question; `None` if the user called it off.
    Answer(Option<String>),
}

/// Something to be shown above the prompt, of one or more lines.
struct Text {
    /// Empty: nothing is shown.
    text: String,
    /// The plugin that says it, and what is shown right after another text of that plugin.
    follows: Option<(String, String)>,
    /// Of the event that it shows.
    receipt: Option<Receipt>,
}

/// The editor's thread.
pub(super) struct Editor {
    keyboard: Keyboard,
    screen: Screen,
    /// Never sent on; closed when the thread has ended.
    running: mpsc::Receiver<Infallible>,
}

/// Where lines come from.
#[derive(Clone)]
pub(super) struct Keyboard {
    requests: Sender<EditorRequest>,
    typed: Receiver<Typed>,
}

/// Where texts go.
#[derive(Clone)]
pub(super) struct Screen {
    texts: Sender<Text>,
    print_signal: PrintSignal,
}

/// Whether the line that is being typed goes to a chat.
#[derive(Clone, Default)]
pub(super) struct Aim(Arc<AtomicBool>);

impl Editor {
    /// Starts the thread. If the system has none, input and output are over at once.
    pub(super) fn start(
        standing: &Standing,
        terminal: &Arc<Terminal>,
        theme: Theme,
        history: PathBuf,
    ) -> Editor {
        let (requests, ordered) = async_channel::bounded(1);
        let (typed_in, typed) = async_channel::bounded(1);
        let (texts, to_show) = async_channel::bounded(MAX_WAITING_TEXTS);
        let print_signal = PrintSignal::start(terminal.call());
        let (standing, terminal, heard) =
            (standing.clone(), terminal.clone(), print_signal.clone());
        let (runs, running) = mpsc::channel();
        let edit = move || {
            let _runs = runs;
            let thread = EditorThread::new(standing, terminal, theme, history, to_show, heard);
            thread.run(&ordered, &typed_in);
        };
        // Not joined but waited for: see `LAST_WORDS`. What it was to do ends with it if there is none.
        let _ = thread::Builder::new().name("editor".into()).spawn(edit);
        let screen = Screen { texts, print_signal };
        Editor { keyboard: Keyboard { requests, typed }, screen, running }
    }

    pub(super) fn keyboard(&self) -> Keyboard {
        self.keyboard.clone()
    }

    pub(super) fn screen(&self) -> Screen {
        self.screen.clone()
    }

    /// Takes the prompt off the screen, shows what is left and ends the thread.
    pub(super) fn finish(self) {
        self.keyboard.requests.close();
        self.screen.look_again();
        // A question that is still open is answered by nobody: the process ends.
        if !question::is_hidden_open() {
            let _ = self.running.recv_timeout(LAST_WORDS);
        }
    }
}

impl Keyboard {
    /// Waits for what was ordered; the end, if the editor is no more.
    pub(super) async fn order(&self, order: EditorRequest) -> Typed {
        match self.requests.send(order).await {
            Ok(()) => self.typed.recv().await.unwrap_or(Typed::End),
            Err(_) => Typed::End,
        }
    }

    /// Asks a question; `None` if it was called off.
    pub(super) async fn ask(&self, question: impl Into<String>) -> Option<String> {
        match self.order(EditorRequest::Answer(question.into())).await {
            Typed::Answer(answer) => answer,
            _ => None,
        }
    }
}

impl Screen {
    /// Shows a text, of one or more lines, above the prompt.
    pub(super) async fn show(&self, text: impl Into<String>) -> Result<(), OutputClosed> {
        self.put(Text { text: text.into(), follows: None, receipt: None }).await
    }

    /// The same for a plugin. Right after another text of the plugin's, `next` is shown instead.
    pub(super) async fn show_from(
        &self,
        plugin: String,
        text: String,
        next: String,
    ) -> Result<(), OutputClosed> {
        self.put(Text { text, follows: Some((plugin, next)), receipt: None }).await
    }

    /// Shows what an event says, and confirms the event when that is on the screen.
    pub(super) async fn show_event(
        &self,
        text: String,
        receipt: Receipt,
    ) -> Result<(), OutputClosed> {
        self.put(Text { text, follows: None, receipt: Some(receipt) }).await
    }

    async fn put(&self, text: Text) -> Result<(), OutputClosed> {
        self.texts.send(text).await.map_err(|_| OutputClosed::NotRead)?;
        self.look_again();
        Ok(())
    }

    /// Makes the prompt show how things stand now.
    pub(super) fn look_again(&self) {
        self.print_signal.raise();
    }
}

impl Aim {
    pub(super) fn is_chat(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn set(&self, target: &Typing) {
        self.0.store(*target != Typing::Commands, Ordering::SeqCst);
    }
}

/// What the editor is to do next while no line is being typed.
enum Next {
    EditorRequest(EditorRequest),
    Text(Text),
}

/// What the editor's thread works with.
struct EditorThread {
    reedline: Reedline,
    standing: Standing,
    terminal: Arc<Terminal>,
    theme: Theme,
    call: Arc<AtomicBool>,
    print_signal: PrintSignal,
    texts: Receiver<Text>,
    /// The plugin that spoke last, if nothing else came since.
    speaker: RefCell<Option<String>>,
    /// Where the line goes that is being typed.
    target: Typing,
    aim: Aim,
    unfinished: Option<Unfinished>,
    /// Where other lines go, of which it has been said that this line does not.
    announced: Option<Typing>,
    /// The next line follows one that was entered, which may have been a command to go elsewhere.
    after_a_line: bool,
}

impl EditorThread {
    fn new(
        standing: Standing,
        terminal: Arc<Terminal>,
        theme: Theme,
        history: PathBuf,
        texts: Receiver<Text>,
        print_signal: PrintSignal,
    ) -> EditorThread {
        let (aim, call) = (Aim::default(), terminal.call());
        let reedline = Reedline::create()
            .with_edit_mode(keys::edit_mode())
            .with_history(Box::new(Memory::open(&history, aim.clone())))
            .with_completer(Box::new(Completions::new(standing.clone(), aim.clone())))
            .with_menu(completion_menu(theme))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_hinter(Box::new(Hints::new(theme, standing.clone(), aim.clone())))
            .with_highlighter(Box::new(Words::new(theme, standing.clone(), aim.clone())))
            .with_ansi_colors(theme.is_colored())
            .use_bracketed_paste(true)
            .with_break_signal(call.clone())
            .with_poll_interval(POLL_INTERVAL);
        EditorThread {
            reedline,
            standing,
            terminal,
            theme,
            call,
            print_signal,
            texts,
            target: Typing::Commands,
            aim,
            speaker: RefCell::default(),
            unfinished: None,
            announced: None,
            after_a_line: true,
        }
    }

    fn run(mut self, requests: &Receiver<EditorRequest>, typed: &Sender<Typed>) {
        while let Some(order) = self.next_order(requests) {
            self.print_texts();
            let result = match order {
                EditorRequest::Line => self.read_line(requests),
                EditorRequest::Answer(question) => {
                    Typed::Answer(self.read_answer(requests, question))
                }
            };
            if typed.send_blocking(result).is_err() {
                break;
            }
        }
        self.print_texts();
    }

    /// Prints what comes until something is ordered; `None` at the end.
    fn next_order(&self, requests: &Receiver<EditorRequest>) -> Option<EditorRequest> {
        loop {
            let order = async { requests.recv().await.map(Next::EditorRequest) };
            let text = async {
                match self.texts.recv().await {
                    Ok(text) => Ok(Next::Text(text)),
                    // The requests are about to end as well.
                    Err(_) => pending().await,
                }
            };
            match block_on(order.or(text)).ok()? {
                Next::EditorRequest(order) => return Some(order),
                Next::Text(text) => self.print_text(text),
            }
        }
    }

    /// Reads a line; what is to be shown meanwhile is shown above it.
    fn read_line(&mut self, requests: &Receiver<EditorRequest>) -> Typed {
        loop {
            self.print_texts();
            if let Some(opened) = self.opened() {
                return Typed::Opened(opened);
            }
            self.aim();
            let session = self.standing.read_view(|view| view.session.clone());
            let prompt = LinePrompt::new(&session, &self.target, self.theme);
            self.put_back();
            match self.reedline.read_line(&prompt) {
                Ok(Signal::Success(text)) => {
                    self.speaker.take();
                    self.after_a_line = true;
                    return Typed::Line { text, target: self.target.clone() };
                }
                Ok(Signal::HostCommand(key)) if key == INTERRUPT => {
                    if self.reedline.current_buffer_contents().is_empty() {
                        self.take_away();
                        return Typed::Interrupt { target: self.target.clone() };
                    }
                    self.reedline.run_edit_commands(&[EditCommand::Clear]);
                }
                Ok(Signal::HostCommand(key)) if key == LEAVE => {
                    self.take_away();
                    return Typed::Leave;
                }
                Ok(Signal::HostCommand(key)) if key == SUSPEND => {
                    self.take_away();
                    self.terminal.suspend();
                }
                Ok(Signal::ExternalBreak(_)) => self.take_away(),
                Ok(Signal::CtrlD) | Err(_) => return Typed::End,
                // No other key ends a line.
                Ok(_) => {}
            }
            if requests.is_closed() {
                self.take_away();
                return Typed::End;
            }
        }
    }

    /// Returns a chat that the user asked for, to go there. A line that has been begun stays where it is, and is
    /// told how to go there.
    fn opened(&self) -> Option<Username> {
        let opened = self.standing.take_opened()?;
        if self.standing.typing() == Typing::Chat(opened.clone()) {
            return None;
        }
        if self.unfinished.is_none() && !keys::are_waiting() {
            return Some(opened);
        }
        self.speaker.take();
        let _ = print(&format!("`/switch {opened}` goes to {opened}.\n"));
        None
    }

    /// Aims an empty line at the current chat. One that has been begun keeps its target; if the
    /// current chat is another by now, that is said.
    fn aim(&mut self) {
        let typing = self.standing.typing();
        let follows = std::mem::take(&mut self.after_a_line);
        if self.unfinished.is_none() && (follows || typing == self.target || !keys::are_waiting()) {
            self.target = typing;
            self.announced = None;
        } else if typing != self.target && self.announced.as_ref() != Some(&typing) {
            let place = aside::place(&self.target, &typing);
            self.speaker.take();
            // A terminal that is gone is noticed by the next read.
            let _ = print(&format!("{place} Ctrl+C clears it.\n"));
            self.announced = Some(typing);
        }
        self.aim.set(&self.target);
    }

    /// Takes the prompt off the screen and keeps the unfinished line.
    fn take_away(&mut self) {
        self.unfinished = Unfinished::take(&mut self.reedline);
    }

    fn put_back(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            unfinished.put_back(&mut self.reedline);
        }
    }

    /// Prints what waits. There is no prompt on the screen.
    fn print_texts(&self) {
        for _ in 0..MAX_WAITING_TEXTS {
            let Ok(text) = self.texts.try_recv() else { break };
            self.print_text(text);
        }
        self.print_signal.note_print();
        self.call.store(false, Ordering::SeqCst);
        if !self.texts.is_empty() {
            self.print_signal.raise();
        }
    }

    /// Prints a text, and confirms its event.
    fn print_text(&self, Text { text, follows, receipt }: Text) {
        let (speaker, next) = follows.unzip();
        let printed = if text.is_empty() {
            Ok(())
        } else {
            let before = self.speaker.replace(speaker.clone());
            let shown = next.filter(|_| before == speaker).unwrap_or(text);
            print(&format!("{}\n", wrap(&shown, Stream::Output.columns())))
        };
        if let (Ok(()), Some(receipt)) = (printed, receipt) {
            receipt.confirm();
        }
    }

    fn read_answer(
        &mut self,
        requests: &Receiver<EditorRequest>,
        question: String,
    ) -> Option<String> {
        let print = || self.print_texts();
        let (terminal, is_over) = (&self.terminal, || requests.is_closed());
        let answer = question::ask(question, self.theme, terminal, is_over, print);
        self.call.store(true, Ordering::SeqCst);
        answer
    }
}

/// Prints while no line is being edited.
fn print(text: &str) -> io::Result<()> {
    let _no_secret_is_typed = question::wait_for_hidden();
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush())
}
