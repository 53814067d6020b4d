//! From typed lines to entries.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use event_listener::Event as Wakeup;
use futures_lite::FutureExt as _;
use serde_json::value::RawValue;

use super::handles::{EditorRequest, Keyboard, Screen, Typed};
use super::prompt_state::PromptState;
use super::welcome;
use crate::frontend::{Entry, Input};
use letschat_commands::command::{Call, Dispatcher, Rejection, Role, parse_line};
use letschat_commands::failure::Failure;
use letschat_core::codes::FailureCode;
use letschat_core::conversation::ConversationId;
use letschat_core::session::{Request, Typing};

/// The maximum wait of the next prompt for the result of the last line. A chat request takes as long as the other
/// side needs to decide.
const MAX_WAIT: Duration = Duration::from_millis(300);

/// The typed lines as entries.
pub(in crate::frontend) struct Typist {
    dispatcher: Dispatcher,
    keyboard: Keyboard,
    screen: Screen,
    prompt_state: PromptState,
    progress: Rc<Progress>,
    /// The remaining lines of a paste.
    pasted: VecDeque<(String, Typing)>,
    welcome: bool,
    /// True if several lines to a conversation are one message, without a question.
    joins_lines: bool,
    /// True once the user has quit.
    ended: bool,
    last_id: u64,
}

impl Typist {
    pub(in crate::frontend) fn new(
        dispatcher: Dispatcher,
        keyboard: Keyboard,
        screen: Screen,
        prompt_state: PromptState,
        progress: Rc<Progress>,
        (welcome, joins_lines): (bool, bool),
    ) -> Typist {
        let pasted = VecDeque::new();
        let (ended, last_id) = (false, 0);
        Typist {
            dispatcher,
            keyboard,
            screen,
            prompt_state,
            progress,
            pasted,
            welcome,
            joins_lines,
            ended,
            last_id,
        }
    }

    /// Asks how to send a paste of several lines. The lines to send are then in `self.pasted`.
    async fn sort_out(&mut self, text: String, target: Typing) {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let count = lines.len();
        if self.prompt_state.read_view(|view| view.session.classroom) && target == Typing::Everyone
        {
            // A class is asked nothing.
            self.pasted.extend(lines.into_iter().map(|line| (literal(line), target.clone())));
            return;
        }
        let question = match target.conversation() {
            Some(to @ (ConversationId::Person(_) | ConversationId::Group(_))) => {
                format!(
                    "Send {count} lines to {to}: as (o)ne message, (l)ine by line, (n)ot at all? "
                )
            }
            Some(ConversationId::Everyone) => {
                format!("Send {count} lines to everyone: (l)ine by line, (n)ot at all? ")
            }
            None => format!("Carry out {count} lines one by one: (l)ine by line, (n)ot at all? "),
        };
        let answer = self.keyboard.ask(question).await.unwrap_or_default().to_lowercase();
        let meant = |text: &str| match target.conversation() {
            Some(_) => literal(text),
            None => text.to_owned(),
        };
        match answer.trim() {
            "o" | "one" if !matches!(target, Typing::Commands | Typing::Everyone) => {
                self.pasted.push_back((meant(&text), target));
            }
            "l" | "line" => {
                let lines = lines.into_iter().map(|line| (meant(line), target.clone()));
                self.pasted.extend(lines);
            }
            _ => {
                // The screen outlives the input.
                let _ = self.screen.show("Not sent. The arrow keys bring it back.").await;
            }
        }
    }

    /// Returns true if several lines for this target are one message.
    fn is_one_message(&self, target: &Typing) -> bool {
        self.joins_lines && !matches!(target, Typing::Commands | Typing::Everyone)
    }

    /// Numbers a call. A text for a chat leaves the screen, so it is kept until the call succeeds.
    fn entry(&mut self, call: Result<Call, Rejection>, said: Option<String>) -> Entry {
        self.last_id += 1;
        self.progress.begin(self.last_id, said);
        let id = RawValue::from_string(self.last_id.to_string()).ok();
        Entry::Call { id, call }
    }

    /// Parses a line for the target that its prompt named, even if the target has changed since.
    fn aimed(&self, line: &str, target: &Typing) -> Result<Call, Rejection> {
        let call = self.dispatcher.parse(line, target)?;
        match target.conversation() {
            Some(target) => Ok(call.aimed_at(&target)),
            None if call.command().role == Some(Role::Say) => {
                let has_chats = self.prompt_state.read_view(|view| !view.session.chats.is_empty());
                let why = match has_chats {
                    true => "No chat was current when you typed this; `/switch NAME` makes one so.",
                    false => {
                        "No chat is open; `/connect NAME` asks for one, `/send NAME TEXT` writes."
                    }
                };
                Err(Rejection {
                    command: Some(call.command()),
                    failure: Failure::new(FailureCode::NoChat, why),
                })
            }
            None => Ok(call),
        }
    }

    /// Ends the chat that the prompt named, or leaves its conversation.
    async fn interrupted(&mut self, target: Typing) -> Option<Entry> {
        if let Some(target @ (ConversationId::Person(_) | ConversationId::Group(_))) =
            target.conversation()
        {
            let call = Call::of(Role::EndChat).aimed_at(&target);
            return Some(self.entry(Ok(call), None));
        }
        let hint = "No chat to end here. To leave, type `/quit` or press Ctrl+D.";
        // The screen outlives the input.
        let _ = self.screen.show(hint).await;
        None
    }
}

impl Input for Typist {
    async fn next(&mut self) -> Option<Entry> {
        if std::mem::take(&mut self.welcome) {
            welcome::lead(&self.dispatcher, &self.keyboard, &self.screen).await;
        }
        loop {
            self.progress.wait(self.last_id).await;
            if let Some((line, target)) = self.pasted.pop_front() {
                let call = self.aimed(&line, &target);
                return Some(self.entry(call, None));
            }
            let typed = self.keyboard.order(EditorRequest::Line).await;
            if let Some(plugins) = self.prompt_state.plugins() {
                plugins.note_typing();
            }
            match typed {
                Typed::Line { text, .. } if text.trim().is_empty() => {}
                Typed::Line { text, target }
                    if text.trim_end().contains('\n') && !self.is_one_message(&target) =>
                {
                    self.sort_out(text, target).await;
                }
                Typed::Line { text, target } => {
                    let text = match text.trim_end().contains('\n') && target != Typing::Commands {
                        true => literal(&text),
                        false => text,
                    };
                    let call = self.aimed(&text, &target);
                    let said = is_said(&text, &target).then_some(text);
                    if let Some(line) = said.as_deref().filter(|text| is_command(text)) {
                        let hint =
                            format!("`{0}` is sent as text; `/{0}` is the command.", line.trim());
                        // The screen outlives the input.
                        let _ = self.screen.show(hint).await;
                    }
                    return Some(self.entry(call, said));
                }
                Typed::Interrupt { target } => {
                    if let Some(entry) = self.interrupted(target).await {
                        return Some(entry);
                    }
                }
                Typed::Leave => {
                    return Some(self.entry(Ok(Call::of(Role::Leave)), None));
                }
                Typed::Opened(with) => {
                    // The chat may be over already.
                    let switch = Request::Switch(with.to_string());
                    let _ = self.dispatcher.client().request(switch).await;
                }
                Typed::Answer(_) | Typed::Waited => {}
                // Pending commands, such as a login that is retried, are not awaited: no key could cancel them
                // any more.
                Typed::End if !self.ended => {
                    self.ended = true;
                    return Some(self.entry(Ok(Call::of(Role::Quit)), None));
                }
                Typed::End => return None,
            }
        }
    }

    async fn ask(&mut self, question: &str) -> Option<String> {
        self.keyboard.ask(question).await
    }
}

/// Returns true for a line of text that its prompt sends to a chat.
pub(in crate::frontend) fn is_said(line: &str, target: &Typing) -> bool {
    let line = line.trim();
    let is_command = line.starts_with('/') && !line.starts_with("//");
    *target != Typing::Commands && !line.is_empty() && !line.contains('\n') && !is_command
}

/// Returns true for text that would be a command outside a chat, other than one with text for other people.
fn is_command(text: &str) -> bool {
    parse_line(text, false).is_ok_and(|call| call.command().says.is_none())
}

/// Marks a line as text for a chat, whatever it begins with.
fn literal(text: &str) -> String {
    match text.trim_start() {
        rest if rest.starts_with('/') => format!("/{rest}"),
        _ => text.to_owned(),
    }
}

/// The entries in progress.
#[derive(Default)]
pub(in crate::frontend) struct Progress {
    /// By their ids, with the text of messages.
    under_way: RefCell<BTreeMap<u64, Option<String>>>,
    changed: Wakeup,
}

impl Progress {
    fn begin(&self, id: u64, said: Option<String>) {
        self.under_way.borrow_mut().insert(id, said);
    }

    /// Returns the message text of an entry.
    pub(in crate::frontend) fn said(&self, id: Option<&RawValue>) -> Option<String> {
        let id = id.and_then(|id| id.get().parse().ok())?;
        self.under_way.borrow().get(&id).cloned().flatten()
    }

    pub(in crate::frontend) fn conclude(&self, id: Option<&RawValue>) {
        if let Some(id) = id.and_then(|id| id.get().parse().ok()) {
            self.under_way.borrow_mut().remove(&id);
            self.changed.notify(usize::MAX);
        }
    }

    /// Waits until an entry is done, or for [`MAX_WAIT`].
    async fn wait(&self, id: u64) {
        let done = async {
            loop {
                let changed = self.changed.listen();
                if !self.under_way.borrow().contains_key(&id) {
                    return;
                }
                changed.await;
            }
        };
        let expired = async {
            Timer::after(MAX_WAIT).await;
        };
        done.or(expired).await;
    }
}
