//! Keys and the mouse: each key goes to a question, to what is over the messages, to an action, or to the line.

use letschat_commands::command::{Command, Role};
use letschat_core::conversation::ConversationId;
use letschat_core::session::Typing;

use super::bindings::Action;
use super::canvas::{MOUSE_OFF, MOUSE_ON};
use super::draw;
use super::overlay::{Choices, Found, Overlay, Pressed};
use super::task::{FullScreen, Mode};
use crate::frontend::line::completion::Completion;
use crate::frontend::line::handles::Typed;
use crate::frontend::line::input::is_said;
use crate::line_editor::{Key, Outcome};

/// The most rows by which the list of keys scrolls.
const MAX_HELP_ROWS: usize = 12;

/// The rows of a turn of the mouse's wheel.
const WHEEL_ROWS: usize = 3;

impl FullScreen {
    /// Handles a key.
    pub(super) async fn press(&mut self, key: Key) {
        if key == Key::Ctrl('z') {
            let (tty, terminal) = (&mut self.tty, &self.terminal);
            tty.step_aside(|| terminal.suspend()).await;
            self.leave_bare();
            let Ok(()) = self.drawing.clear();
            return;
        }
        if let Key::Focus(has_focus) = key {
            let has_come_back = has_focus && self.has_focus == Some(false);
            self.has_focus = Some(has_focus);
            if has_come_back {
                let model = &mut self.model;
                self.prompt_state.read_view(|view| model.mark_new(view));
            }
            return;
        }
        if self.hidden.is_some() {
            return self.press_hidden(key);
        }
        if self.model.overlay != Overlay::None {
            return self.press_overlay(key);
        }
        if self.model.is_bare {
            return self.leave_bare();
        }
        match key {
            Key::WheelUp => self.model.scroll += WHEEL_ROWS,
            Key::WheelDown => self.model.scroll = self.model.scroll.saturating_sub(WHEEL_ROWS),
            key if !matches!(self.mode, Mode::Idle | Mode::Line) || self.line.is_searching() => {
                self.press_line(key);
            }
            Key::Click(column, row) => self.click(column, row),
            key => match self.bindings.action(&key) {
                Some(action) => self.act(action, key),
                None => self.press_line(key),
            },
        }
    }

    fn act(&mut self, action: Action, key: Key) {
        let page = usize::from(self.tty.window_size().1 / 2).max(1);
        let model = &self.model;
        match action {
            Action::NextUnread => {
                let next = self.prompt_state.read_view(|view| model.next_unread(view));
                match next {
                    Some(next) => self.go_to(Some(next)),
                    None => self.tell("Nothing is unread."),
                }
            }
            Action::Previous | Action::Next => {
                let is_below = action == Action::Next;
                let next = self.prompt_state.read_view(|view| model.neighbour(is_below, view));
                self.go_to(next);
            }
            Action::Home => self.go_to(None),
            Action::Jump => self.model.overlay = Overlay::Jump(Choices::of(self.jumps(""))),
            Action::Search => self.model.overlay = Overlay::Search(Choices::of(Vec::new())),
            Action::Help => self.model.overlay = Overlay::Help(0),
            Action::ScrollUp => self.model.scroll += page,
            Action::ScrollDown => self.model.scroll = self.model.scroll.saturating_sub(page),
            Action::ScrollEnd => {
                self.model.scroll = 0;
                self.press_line(key);
            }
            Action::Approve | Action::Deny => {
                let role = if action == Action::Approve { Role::Approve } else { Role::Deny };
                let asker = self.prompt_state.read_view(draw::asker);
                // Only what the user sees is answered.
                let Some(asker) = asker.filter(|asker| model.asker.as_ref() == Some(asker)) else {
                    return self.tell("No request is shown; try again when one is.");
                };
                if asker.is_suspicious && action == Action::Approve {
                    let (command, who) = (Command::of(role).name, &asker.name);
                    return self.tell(&format!(
                        "The key of {who} has CHANGED: this may be somebody else. If you are sure, type `/{command} {who}`."
                    ));
                }
                self.tell(&format!("> /{} {}", Command::of(role).name, asker.name));
                self.command(role, &asker.name);
            }
            Action::Bare => {
                self.model.is_bare = true;
                self.tty.write(MOUSE_OFF);
            }
        }
    }

    /// Shows everything again after the messages alone.
    pub(super) fn leave_bare(&mut self) {
        if std::mem::take(&mut self.model.is_bare) {
            self.tty.write(MOUSE_ON);
        }
    }

    /// Runs the command of this role with this argument.
    fn command(&mut self, role: Role, argument: &str) {
        let text = format!("/{} {argument}", Command::of(role).name);
        self.ready.push_back(Typed::Line { text, target: Typing::Commands });
    }

    /// Shows a conversation, and makes it the current one.
    fn go_to(&mut self, conversation: Option<ConversationId>) {
        let model = &mut self.model;
        self.prompt_state.read_view(|view| model.show(conversation.clone(), view));
        if let Some(conversation) = conversation
            && self.prompt_state.typing().conversation().as_ref() != Some(&conversation)
        {
            self.model.expect(self.model.target());
            self.command(Role::Switch, &conversation.to_string());
        }
    }

    fn click(&mut self, column: u16, row: u16) {
        let Some(row) = draw::row_of_list(column, row) else { return };
        if let Some(chosen) = self.model.list.get(row) {
            self.go_to(chosen.clone());
        }
    }

    fn press_overlay(&mut self, key: Key) {
        match std::mem::take(&mut self.model.overlay) {
            Overlay::None => {}
            Overlay::Help(first) => {
                self.model.overlay = match key {
                    Key::Up | Key::WheelUp => Overlay::Help(first.saturating_sub(1)),
                    Key::Down | Key::WheelDown | Key::PageDown => {
                        Overlay::Help((first + 1).min(MAX_HELP_ROWS))
                    }
                    _ => Overlay::None,
                }
            }
            Overlay::Jump(mut choices) => match choices.press(&key) {
                Pressed::Closed => {}
                Pressed::Taken => {
                    if let Some(chosen) = choices.take() {
                        self.go_to(Some(chosen));
                    }
                }
                pressed => {
                    if pressed == Pressed::Typed {
                        choices.find(self.jumps(&choices.letters));
                    }
                    self.model.overlay = Overlay::Jump(choices);
                }
            },
            Overlay::Search(mut choices) => match choices.press(&key) {
                Pressed::Closed => {}
                Pressed::Taken => {
                    let words = choices.letters.clone();
                    match choices.take() {
                        Some(Found::Message(hit)) => {
                            self.go_to(Some(hit.conversation));
                            (self.model.reveal, self.model.found) = (Some(hit.id), Some(hit.id));
                        }
                        Some(Found::History) => {
                            self.command(Role::History, &format!("search {words}"));
                        }
                        None => self.tell("Search for which words?"),
                    }
                }
                pressed => {
                    if pressed == Pressed::Typed {
                        choices.find(self.found(&choices.letters));
                    }
                    self.model.overlay = Overlay::Search(choices);
                }
            },
        }
    }

    fn jumps(&self, letters: &str) -> Vec<ConversationId> {
        self.prompt_state.read_view(|view| self.model.jumps(letters, view))
    }

    /// Returns what a search offers: the messages in memory, and the history.
    fn found(&self, words: &str) -> Vec<Found> {
        let hits = self.prompt_state.read_view(|view| self.model.hits(words, view));
        let history = (!words.trim().is_empty()).then_some(Found::History);
        hits.into_iter().map(Found::Message).chain(history).collect()
    }

    /// Handles a key of the typed line, or of the answer to a question.
    fn press_line(&mut self, key: Key) {
        if let Mode::Answer(_) | Mode::Wait(..) = &self.mode {
            let typed = match self.answer.press(key, &[], &()) {
                Outcome::Entered(text) => Typed::Answer(Some(text.trim().to_owned())),
                Outcome::Cleared | Outcome::Interrupted => Typed::Answer(None),
                Outcome::Ended => Typed::End,
                Outcome::Refused(why) => return self.tell(why),
                Outcome::Edited | Outcome::Other(_) => return,
            };
            return self.typed(typed);
        }
        let target = self.model.target();
        let in_chat = target != Typing::Commands;
        let completion = Completion { prompt_state: &self.prompt_state, in_chat };
        match self.line.press(key, self.memory.lines(), &completion) {
            Outcome::Entered(text) => {
                self.memory.keep(&text, in_chat);
                self.model.scroll = 0;
                let is_text = is_said(&text, &target) || (in_chat && text.contains('\n'));
                if !is_text && !text.trim().is_empty() {
                    self.tell(&format!("> {}", text.trim()));
                }
                self.ready.push_back(Typed::Line { text, target });
            }
            Outcome::Interrupted => self.ready.push_back(Typed::Interrupt { target }),
            Outcome::Ended => self.ready.push_back(Typed::End),
            Outcome::Refused(why) => self.tell(why),
            Outcome::Other(Key::Ctrl('x')) => self.ready.push_back(Typed::Leave),
            Outcome::Other(Key::Ctrl('l')) => {
                let Ok(()) = self.drawing.clear();
            }
            Outcome::Edited | Outcome::Cleared | Outcome::Other(_) => {}
        }
    }

    fn press_hidden(&mut self, key: Key) {
        let Some((question, mut typed)) = self.hidden.take() else { return };
        let Some(answer) = typed.press(key) else {
            self.hidden = Some((question, typed));
            return;
        };
        question.answer(answer);
        // Surplus keys are not for the next line.
        self.tty.discard_keys();
    }
}
