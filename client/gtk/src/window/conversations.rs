//! The list of conversations, the one with the last message first.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_core::conversation::ConversationId;

use super::{Window, part};
use crate::live::Live;

/// The list of conversations. The client's own notes are its first row.
pub(crate) struct Conversations {
    list: gtk::ListBox,
    rows: RefCell<BTreeMap<Option<ConversationId>, Row>>,
    order: Rc<RefCell<BTreeMap<String, usize>>>,
}

struct Row {
    row: adw::ActionRow,
    unread: gtk::Label,
}

impl Row {
    fn new(conversation: Option<&ConversationId>) -> Row {
        let name = match conversation {
            None => "Notes".to_owned(),
            Some(ConversationId::Everyone) => "Everyone".to_owned(),
            Some(other) => other.to_string(),
        };
        let row = adw::ActionRow::builder().use_markup(false).title(&name).title_lines(1).build();
        row.set_subtitle_lines(1);
        row.set_activatable(true);
        row.set_widget_name(&key(conversation));
        let unread = gtk::Label::builder().valign(gtk::Align::Center).build();
        unread.add_css_class("unread");
        row.add_suffix(&unread);
        Row { row, unread }
    }
}

/// Returns the name of a row's widget, by which the row is found again.
fn key(conversation: Option<&ConversationId>) -> String {
    conversation.map(ToString::to_string).unwrap_or_default()
}

impl Conversations {
    pub(super) fn new(builder: &gtk::Builder) -> Conversations {
        let list: gtk::ListBox = part(builder, "conversations");
        let order: Rc<RefCell<BTreeMap<String, usize>>> = Rc::default();
        list.set_sort_func({
            let order = order.clone();
            move |one, other| {
                let order = order.borrow();
                let place = |row: &gtk::ListBoxRow| order.get(row.widget_name().as_str()).copied();
                place(one).cmp(&place(other)).into()
            }
        });
        Conversations { list, rows: RefCell::default(), order }
    }

    pub(super) fn connect(&self, window: &Rc<Window>) {
        self.list.connect_row_activated(clone!(
            #[weak]
            window,
            move |_, row| {
                let name = row.widget_name();
                let conversation = name.as_str().parse().ok();
                window.go_to(conversation);
            }
        ));
    }

    pub(super) fn clear(&self) {
        for (_, row) in std::mem::take(&mut *self.rows.borrow_mut()) {
            self.list.remove(&row.row);
        }
    }

    /// Returns the conversations, the one with the last message first. Open chats and groups have one even if nothing
    /// was said.
    pub(super) fn in_order(&self, live: &Live) -> Vec<ConversationId> {
        let mut all: BTreeMap<ConversationId, u64> = live.read(|view| {
            let said = view.conversations.iter().map(|(id, one)| (id.clone(), one.last_ms()));
            let chats = view.session.chats.keys().cloned().map(ConversationId::Person);
            let groups = view.groups.keys().cloned().map(ConversationId::Group);
            let silent = chats.chain(groups).map(|one| (one, 0));
            silent.chain(said).collect()
        });
        all.entry(ConversationId::Everyone).or_default();
        if let Some(shown) = live.shown() {
            all.entry(shown).or_default();
        }
        let mut all: Vec<(ConversationId, u64)> = all.into_iter().collect();
        all.sort_by_key(|(_, last_ms)| std::cmp::Reverse(*last_ms));
        all.into_iter().map(|(id, _)| id).collect()
    }

    /// Shows the conversations as they are now.
    pub(super) fn refresh(&self, live: &Live) {
        let mut all = vec![None];
        all.extend(self.in_order(live).into_iter().map(Some));
        let mut rows = self.rows.borrow_mut();
        rows.retain(|conversation, row| {
            let is_there = all.contains(conversation);
            if !is_there {
                self.list.remove(&row.row);
            }
            is_there
        });
        let order = all.iter().enumerate().map(|(place, one)| (key(one.as_ref()), place));
        let has_moved = self.order.replace(order.collect()) != *self.order.borrow();
        for conversation in &all {
            let row = rows.entry(conversation.clone()).or_insert_with(|| {
                let row = Row::new(conversation.as_ref());
                self.list.append(&row.row);
                row
            });
            let unread = conversation.as_ref().map_or(0, |one| live.unread(one));
            row.unread.set_visible(unread > 0);
            if row.unread.label() != unread.to_string() {
                row.unread.set_label(&unread.to_string());
            }
            let last = live.read(|view| {
                let heard = view.conversations.get(conversation.as_ref()?)?.recent.back()?;
                let from = if heard.own { "You" } else { heard.from.as_str() };
                let text: String = heard.text.chars().take(80).collect();
                Some(format!(
                    "{from}: {}",
                    super::messages::printable_lines(&text).replace('\n', " ")
                ))
            });
            let last = last.unwrap_or_default();
            if row.row.subtitle().as_deref() != Some(&last) {
                row.row.set_subtitle(&last);
            }
        }
        if has_moved {
            self.list.invalidate_sort();
        }
        let shown = rows.get(&live.shown()).map(|row| row.row.upcast_ref::<gtk::ListBoxRow>());
        if self.list.selected_row().as_ref() != shown {
            self.list.select_row(shown);
        }
    }

    /// Selects the row above or below the selected one, as a click on it does.
    pub(super) fn select_neighbour(&self, is_below: bool) {
        let at = self.list.selected_row().map_or(0, |row| row.index());
        let next = if is_below { at + 1 } else { at - 1 };
        if let Some(row) = self.list.row_at_index(next).filter(|_| next >= 0) {
            row.activate();
        }
    }
}
