//! The search in all messages: in the history, if there is one, and in those of this run.

use std::collections::BTreeSet;
use std::rc::Rc;

use adw::gdk;
use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_commands::render;
use letschat_core::conversation::ConversationId;
use letschat_core::failure::Failure;
use letschat_core::history::{HistoryAction, HistoryFailure, Words};
use letschat_core::session::Reply;
use letschat_protocol::message_id::MessageId;

use super::messages::printable_lines;
use super::{Window, part};
use crate::live::Live;

/// The most messages that are shown.
const MAX_HITS: usize = 50;

/// The words if nothing is found.
const NOTHING: &str = "No message has these words.";

/// The search.
pub(crate) struct Search {
    bar: gtk::SearchBar,
    entry: gtk::SearchEntry,
    revealer: gtk::Revealer,
    hits: gtk::ListBox,
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    time_ms: u64,
    id: MessageId,
    conversation: ConversationId,
    line: String,
}

impl Search {
    pub(super) fn new(builder: &gtk::Builder) -> Search {
        Search {
            bar: part(builder, "search_bar"),
            entry: part(builder, "search_entry"),
            revealer: part(builder, "hits_revealer"),
            hits: part(builder, "hits"),
        }
    }

    pub(super) fn connect(&self, window: &Rc<Window>) {
        self.bar.connect_entry(&self.entry);
        self.entry.connect_search_changed(clone!(
            #[weak]
            window,
            move |entry| window.search.begin(&window, &entry.text())
        ));
        self.entry.connect_activate(clone!(
            #[weak]
            window,
            move |_| {
                let first = window.search.hits.row_at_index(0);
                if let Some(first) = first {
                    first.activate();
                }
            }
        ));
        // From the field Down goes to the hits, and from there Escape ends the search.
        let down = gtk::EventControllerKey::new();
        down.connect_key_pressed(clone!(
            #[weak]
            window,
            #[upgrade_or]
            glib::Propagation::Proceed,
            move |_, key, _, _| match key {
                gdk::Key::Down
                    if window.search.hits.child_focus(gtk::DirectionType::TabForward) =>
                {
                    glib::Propagation::Stop
                }
                _ => glib::Propagation::Proceed,
            }
        ));
        self.entry.add_controller(down);
        let escape = gtk::EventControllerKey::new();
        escape.connect_key_pressed(clone!(
            #[weak]
            window,
            #[upgrade_or]
            glib::Propagation::Proceed,
            move |_, key, _, _| match key {
                gdk::Key::Escape => {
                    window.search.close();
                    glib::Propagation::Stop
                }
                _ => glib::Propagation::Proceed,
            }
        ));
        self.hits.add_controller(escape);
        self.bar.connect_search_mode_enabled_notify(clone!(
            #[weak]
            window,
            move |bar| {
                if !bar.is_search_mode() {
                    window.search.revealer.set_reveal_child(false);
                    window.composer.focus();
                }
            }
        ));
    }

    pub(super) fn open(&self) {
        self.bar.set_search_mode(true);
        self.entry.grab_focus();
        self.entry.select_region(0, -1);
    }

    /// Ends the search, and forgets what was found.
    pub(super) fn close(&self) {
        self.entry.set_text("");
        self.bar.set_search_mode(false);
    }

    fn begin(&self, window: &Rc<Window>, text: &str) {
        let Some(words) = Words::of(text) else {
            self.revealer.set_reveal_child(false);
            return;
        };
        let mut found: BTreeSet<Hit> = in_view(window.live(), &words).into_iter().collect();
        self.show(window, &found, "Searching…");
        let (weak, text) = (Rc::downgrade(window), text.to_owned());
        let live = window.live().clone();
        glib::spawn_future_local(async move {
            let search = live.ask_history(HistoryAction::Search(text.clone())).await;
            let Some(window) = weak.upgrade() else { return };
            if window.search.entry.text() != text {
                return;
            }
            let messages = match search {
                Ok(Reply::Found { messages, .. }) => messages,
                // Without a history there are the messages of this run.
                Ok(_) | Err(Failure::History(HistoryFailure::Off) | Failure::NotLoggedIn) => {
                    return window.search.show(&window, &found, NOTHING);
                }
                Err(failure) => {
                    return window.search.show(&window, &found, &render::failure(&failure.into()));
                }
            };
            let known: BTreeSet<MessageId> = found.iter().map(|hit| hit.id).collect();
            found.extend(messages.into_iter().filter(|one| !known.contains(&one.message_id)).map(
                |one| Hit {
                    time_ms: one.time_ms,
                    id: one.message_id,
                    conversation: one.conversation,
                    line: format!("{}: {}", one.from, one.text),
                },
            ));
            window.search.show(&window, &found, NOTHING);
        });
    }

    /// Shows the messages, or these words if there are none.
    fn show(&self, window: &Rc<Window>, found: &BTreeSet<Hit>, nothing: &str) {
        while let Some(old) = self.hits.first_child() {
            self.hits.remove(&old);
        }
        if found.is_empty() {
            let nothing = gtk::Label::builder().label(nothing).wrap(true).build();
            self.hits.append(&nothing);
        }
        for hit in found.iter().rev().take(MAX_HITS) {
            let (date, time) = (render::date(hit.time_ms), render::time_of_day(hit.time_ms));
            let line = printable_lines(&hit.line).replace('\n', " ");
            let text = format!("{date} {time}  {}, {line}", hit.conversation);
            let row = adw::ActionRow::builder().use_markup(false).title(&text).build();
            row.set_title_lines(1);
            row.set_activatable(true);
            row.connect_activated(clone!(
                #[weak]
                window,
                #[strong]
                hit,
                move |_| window.show_message(hit.conversation.clone(), hit.id)
            ));
            self.hits.append(&row);
        }
        self.revealer.set_reveal_child(true);
    }
}

/// Finds messages in the view.
fn in_view(live: &Live, words: &Words) -> Vec<Hit> {
    live.read(|view| {
        let all = view.conversations.iter().flat_map(|(conversation, heard)| {
            let fitting = heard.recent.iter().filter(|message| words.are_in(&message.text));
            fitting.map(|message| Hit {
                time_ms: message.time_ms,
                id: message.id,
                conversation: conversation.clone(),
                line: format!("{}: {}", message.from, message.text),
            })
        });
        all.collect()
    })
}
