//! The search in all messages: in the history, if there is one, and in those of this run.

use std::collections::BTreeSet;
use std::rc::Rc;

use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_commands::render;
use letschat_core::conversation::ConversationId;
use letschat_core::history::{HistoryAction, Words};
use letschat_core::session::Reply;
use letschat_protocol::message_id::MessageId;

use super::messages::printable_lines;
use super::{Window, part};
use crate::live::Live;

/// The most messages that are shown.
const MAX_HITS: usize = 50;

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
        self.bar.set_search_mode(!self.bar.is_search_mode());
        self.entry.grab_focus();
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
        self.show(window, &found);
        let (weak, text) = (Rc::downgrade(window), text.to_owned());
        let live = window.live().clone();
        glib::spawn_future_local(async move {
            let search = live.ask_history(HistoryAction::Search(text.clone())).await;
            // Without a history there are the messages of this run.
            let Ok(Reply::Found { messages, .. }) = search else { return };
            let Some(window) = weak.upgrade() else { return };
            if window.search.entry.text() != text {
                return;
            }
            let known: BTreeSet<MessageId> = found.iter().map(|hit| hit.id).collect();
            found.extend(messages.into_iter().filter(|one| !known.contains(&one.message_id)).map(
                |one| Hit {
                    time_ms: one.time_ms,
                    id: one.message_id,
                    conversation: one.conversation,
                    line: format!("{}: {}", one.from, one.text),
                },
            ));
            window.search.show(&window, &found);
        });
    }

    fn show(&self, window: &Rc<Window>, found: &BTreeSet<Hit>) {
        while let Some(old) = self.hits.first_child() {
            self.hits.remove(&old);
        }
        if found.is_empty() {
            let nothing = gtk::Label::builder().label("No message has these words.").build();
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
