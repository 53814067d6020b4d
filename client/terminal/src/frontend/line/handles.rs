//! The handles of the prompt: lines come from one, texts go to the other.

use std::convert::Infallible;
use std::future::pending;

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt as _;
use letschat_protocol::username::Username;

use crate::frontend::OutputClosed;
use letschat_core::session::Typing;
use letschat_engine::events::Receipt;

/// A wish to the keyboard.
pub(super) enum EditorRequest {
    /// A line, or a key that means something by itself.
    Line,
    /// The answer to a question.
    Answer(String),
    /// Keys until the channel closes, while this text says what is waited for.
    Wait(String, Receiver<Infallible>),
}

/// An answer of the keyboard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line, and the target that its prompt named.
    Line { text: String, target: Typing },
    /// Ctrl+C on an empty line.
    Interrupt { target: Typing },
    /// A chat that the user asked for is open, and nothing was typed.
    Opened(Username),
    /// Ctrl+X.
    Leave,
    /// Ctrl+D on an empty line, or there is no terminal any more.
    End,
    /// To a question, or a line that was typed during a wait; `None` if the user called it off.
    Answer(Option<String>),
    /// The wait is over.
    Waited,
}

/// Something to be shown above the prompt, of one or more lines.
pub(super) struct Text {
    /// Empty: nothing is shown.
    pub(super) text: String,
    /// The plugin that says it, and what is shown right after another text of that plugin.
    pub(super) follows: Option<(String, String)>,
    /// Of the event that it shows.
    pub(super) receipt: Option<Receipt>,
}

/// The source of lines.
#[derive(Clone)]
pub(super) struct Keyboard {
    pub(super) requests: Sender<EditorRequest>,
    pub(super) typed: Receiver<Typed>,
}

/// The way of texts to the terminal.
#[derive(Clone)]
pub(super) struct Screen {
    pub(super) texts: Sender<Text>,
    pub(super) looks: Sender<()>,
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

    /// Takes keys while something is done, and shows this text. A line that is typed meanwhile goes to `heard`, which
    /// returns false to end the wait.
    ///
    /// # Errors
    ///
    /// The user ended the wait, by this.
    pub(super) async fn wait<T>(
        &self,
        text: &str,
        work: impl Future<Output = T>,
        heard: impl AsyncFn(&str) -> bool,
    ) -> Result<T, Typed> {
        let (working, done) = async_channel::bounded(1);
        let mut result = None;
        let work = async {
            result = Some(work.await);
            drop(working);
            // The editor still has to say that it takes no more keys.
            pending().await
        };
        let typing = async {
            loop {
                match self.order(EditorRequest::Wait(text.to_owned(), done.clone())).await {
                    Typed::Answer(Some(line)) if heard(&line).await => {}
                    typed => return typed,
                }
            }
        };
        let ended_by = typing.or(work).await;
        result.ok_or(ended_by)
    }

    /// Nothing more is wanted: the editor takes its prompt off the screen, shows what is left and ends.
    pub(super) fn close(&self) {
        self.requests.close();
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
        self.texts.send(text).await.map_err(|_| OutputClosed::NotRead)
    }

    /// Makes the prompt show how things stand now.
    pub(super) fn look_again(&self) {
        // A call that waits to be answered is enough.
        let _ = self.looks.try_send(());
    }
}
