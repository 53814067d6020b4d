//! The channels of the prompt: one for lines, one for texts.

use std::convert::Infallible;
use std::future::pending;

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt as _;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use crate::frontend::OutputClosed;
use letschat_commands::appearance::Kind;
use letschat_core::conversation::ConversationId;
use letschat_core::session::Typing;
use letschat_engine::events::Receipt;

/// A request to the editor.
pub(in crate::frontend) enum EditorRequest {
    /// A line, or a key with a meaning of its own.
    Line,
    /// The answer to a question.
    Answer(String),
    /// Reading keys until the channel closes, while this text shows what is awaited.
    Wait(String, Receiver<Infallible>),
}

/// The editor's answer.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::frontend) enum Typed {
    /// A line, and the target named by its prompt.
    Line { text: String, target: Typing },
    /// Ctrl+C on an empty line.
    Interrupt { target: Typing },
    /// A requested chat has opened, and nothing was typed.
    Opened(Username),
    /// Ctrl+X.
    Leave,
    /// Ctrl+D on an empty line, or the terminal has closed.
    End,
    /// The answer to a question, or a line that was typed during a wait; `None` if the user cancelled.
    Answer(Option<String>),
    /// The wait is over.
    Waited,
}

/// A text to print above the prompt, of one or more lines.
pub(in crate::frontend) struct Text {
    /// The text; empty to only confirm the receipt.
    pub(in crate::frontend) text: String,
    /// The plugin that says it, and the text to use right after another text of that plugin.
    pub(in crate::frontend) follows: Option<(String, String)>,
    /// The subject of the text.
    pub(in crate::frontend) about: About,
    /// The receipt of the event that it shows.
    pub(in crate::frontend) receipt: Option<Receipt>,
}

/// The subject of a text, for a front end that sorts texts.
#[derive(Debug, Clone, Default)]
pub(in crate::frontend) struct About {
    pub(in crate::frontend) kind: Kind,
    pub(in crate::frontend) conversation: Option<ConversationId>,
    /// A message of the view that plugins have passed.
    pub(in crate::frontend) message: Option<(MessageId, Passed)>,
    /// The sequence that notifies of it.
    pub(in crate::frontend) notification: Option<String>,
    /// The time, in milliseconds since the Unix epoch, if it is not now.
    pub(in crate::frontend) time_ms: Option<u64>,
}

/// The text of a message after plugins have seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::frontend) enum Passed {
    Unchanged,
    Changed(String),
    Hidden,
}

/// The source of lines.
#[derive(Clone)]
pub(in crate::frontend) struct Keyboard {
    pub(in crate::frontend) requests: Sender<EditorRequest>,
    pub(in crate::frontend) typed: Receiver<Typed>,
}

/// The sender of texts to the terminal.
#[derive(Clone)]
pub(in crate::frontend) struct Screen {
    pub(in crate::frontend) texts: Sender<Text>,
    pub(in crate::frontend) looks: Sender<()>,
}

impl Keyboard {
    /// Sends a request and returns the answer, or `End` if the editor has ended.
    pub(in crate::frontend) async fn order(&self, order: EditorRequest) -> Typed {
        match self.requests.send(order).await {
            Ok(()) => self.typed.recv().await.unwrap_or(Typed::End),
            Err(_) => Typed::End,
        }
    }

    /// Asks a question. Returns `None` if the user cancels.
    pub(in crate::frontend) async fn ask(&self, question: impl Into<String>) -> Option<String> {
        match self.order(EditorRequest::Answer(question.into())).await {
            Typed::Answer(answer) => answer,
            _ => None,
        }
    }

    /// Reads keys while `work` runs, and shows this text. A line typed meanwhile goes to `heard`, which
    /// returns false to end the wait.
    ///
    /// # Errors
    ///
    /// The user ended the wait with this answer.
    pub(in crate::frontend) async fn wait<T>(
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
            // The editor still has to end its wait.
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
        match (typing.or(work).await, result) {
            // The wait may have ended at the same moment. The end counts all the same.
            (Typed::End, _) => Err(Typed::End),
            (_, Some(result)) => Ok(result),
            (typed, None) => Err(typed),
        }
    }

    /// Closes the requests: the editor removes its prompt, prints the queued texts and ends.
    pub(in crate::frontend) fn close(&self) {
        self.requests.close();
    }
}

impl Screen {
    /// Shows a text, of one or more lines, above the prompt.
    pub(in crate::frontend) async fn show(
        &self,
        text: impl Into<String>,
    ) -> Result<(), OutputClosed> {
        self.put(Text { text: text.into(), follows: None, about: About::default(), receipt: None })
            .await
    }

    /// Shows a plugin's text. Right after another text of the plugin, `next` is shown instead.
    pub(in crate::frontend) async fn show_from(
        &self,
        plugin: String,
        text: String,
        next: String,
    ) -> Result<(), OutputClosed> {
        let follows = Some((plugin, next));
        self.put(Text { text, follows, about: About::default(), receipt: None }).await
    }

    /// Shows an event's text, and confirms the event once that is written.
    pub(in crate::frontend) async fn show_event(
        &self,
        text: String,
        about: About,
        receipt: Receipt,
    ) -> Result<(), OutputClosed> {
        self.put(Text { text, follows: None, about, receipt: Some(receipt) }).await
    }

    async fn put(&self, text: Text) -> Result<(), OutputClosed> {
        self.texts.send(text).await.map_err(|_| OutputClosed::NotRead)
    }

    /// Passes a message of the view on after plugins have seen it.
    pub(super) async fn pass(&self, id: MessageId, text: Passed) -> Result<(), OutputClosed> {
        let about = About { message: Some((id, text)), ..About::default() };
        self.put(Text { text: String::new(), follows: None, about, receipt: None }).await
    }

    /// Updates the prompt.
    pub(in crate::frontend) fn look_again(&self) {
        // One pending request is enough.
        let _ = self.looks.try_send(());
    }
}
