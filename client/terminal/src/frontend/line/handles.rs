//! The handles of the prompt: one supplies lines, the other accepts texts.

use std::convert::Infallible;
use std::future::pending;

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt as _;
use letschat_protocol::username::Username;

use crate::frontend::OutputClosed;
use letschat_core::session::Typing;
use letschat_engine::events::Receipt;

/// A request to the editor.
pub(super) enum EditorRequest {
    /// Read a line, or a key with a meaning of its own.
    Line,
    /// Ask this question and read the answer.
    Answer(String),
    /// Read keys until the channel closes, and show this text meanwhile.
    Wait(String, Receiver<Infallible>),
}

/// The editor's answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line, and the target that its prompt named.
    Line { text: String, target: Typing },
    /// Ctrl+C on an empty line.
    Interrupt { target: Typing },
    /// A chat that the user asked for has opened, and nothing was typed.
    Opened(Username),
    /// Ctrl+X.
    Leave,
    /// Ctrl+D on an empty line, or the terminal is gone.
    End,
    /// The answer to a question, or a line typed during a wait. `None` if the user cancelled it.
    Answer(Option<String>),
    /// The wait is over.
    Waited,
}

/// A text of one or more lines to show above the prompt.
pub(super) struct Text {
    /// The text. If it is empty, nothing is shown.
    pub(super) text: String,
    /// The plugin that prints the text, and the text to show instead right after another of that plugin.
    pub(super) follows: Option<(String, String)>,
    /// The receipt of the event that the text shows.
    pub(super) receipt: Option<Receipt>,
}

/// The handle that supplies lines.
#[derive(Clone)]
pub(super) struct Keyboard {
    pub(super) requests: Sender<EditorRequest>,
    pub(super) typed: Receiver<Typed>,
}

/// The handle that accepts texts.
#[derive(Clone)]
pub(super) struct Screen {
    pub(super) texts: Sender<Text>,
    pub(super) looks: Sender<()>,
}

impl Keyboard {
    /// Waits for the answer to a request. Returns the end if the editor is gone.
    pub(super) async fn order(&self, order: EditorRequest) -> Typed {
        match self.requests.send(order).await {
            Ok(()) => self.typed.recv().await.unwrap_or(Typed::End),
            Err(_) => Typed::End,
        }
    }

    /// Asks a question. Returns `None` if the user cancelled it.
    pub(super) async fn ask(&self, question: impl Into<String>) -> Option<String> {
        match self.order(EditorRequest::Answer(question.into())).await {
            Typed::Answer(answer) => answer,
            _ => None,
        }
    }

    /// Reads keys while work is in progress, and shows this text. A line typed meanwhile goes to `heard`, which
    /// returns false to end the wait.
    ///
    /// # Errors
    ///
    /// The user's input that ended the wait.
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
            // The editor still has to report that it reads no more keys.
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

    /// Closes the editor: it removes its prompt, shows the remaining texts and ends.
    pub(super) fn close(&self) {
        self.requests.close();
    }
}

impl Screen {
    /// Shows a text of one or more lines above the prompt.
    pub(super) async fn show(&self, text: impl Into<String>) -> Result<(), OutputClosed> {
        self.put(Text { text: text.into(), follows: None, receipt: None }).await
    }

    /// Shows a text of a plugin. Right after another text of the plugin, shows `next` instead.
    pub(super) async fn show_from(
        &self,
        plugin: String,
        text: String,
        next: String,
    ) -> Result<(), OutputClosed> {
        self.put(Text { text, follows: Some((plugin, next)), receipt: None }).await
    }

    /// Shows the text of an event, and confirms the event once the text is on the screen.
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

    /// Makes the prompt show the current state.
    pub(super) fn look_again(&self) {
        // One pending wake-up is enough.
        let _ = self.looks.try_send(());
    }
}
