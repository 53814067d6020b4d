//! The entries of a conversation, as a model of the list that shows them.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;

use adw::gio;
use adw::glib::BoxedAnyObject;
use adw::prelude::*;
use letschat_commands::appearance::Kind;
use letschat_commands::render;
use letschat_core::conversation::MessageState;
use letschat_core::event::FileShown;
use letschat_core::view::RecentMessage;
use letschat_protocol::message_id::MessageId;

/// The most entries of the conversation that is shown, and of another one. Beyond that the oldest are dropped.
pub(crate) const MAX_SHOWN: u32 = 10_000;
const MAX_OTHER: u32 = 1_000;

/// The most bytes of the texts of a conversation.
const MAX_BYTES: usize = 4 << 20;

/// The entries that are dropped at once, so that a full list does not move with each message.
const DROPPED_AT_ONCE: u32 = 100;

/// An entry of a conversation.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its time, in milliseconds since the Unix epoch.
    pub(crate) time_ms: u64,
    /// The date, if it is another one than that of the entry before.
    pub(crate) day: Option<String>,
    /// True for the first message that was not read.
    pub(crate) is_first_new: bool,
    /// True for a message that was searched for, for a moment.
    pub(crate) is_found: bool,
    /// True if the message went another way than the one before.
    pub(crate) is_other_way: bool,
    /// The content.
    pub(crate) body: Body,
}

/// The content of an entry.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// A message.
    Message(RecentMessage),
    /// An offered file.
    File(RecentMessage, Box<FileShown>),
    /// A line of the client itself.
    Note(Kind, String),
}

impl Body {
    /// Returns the bytes of its text.
    fn text_bytes(&self) -> usize {
        match self {
            Body::Message(message) | Body::File(message, _) => message.text.len(),
            Body::Note(_, text) => text.len(),
        }
    }

    /// Returns the message, if it is one.
    pub(crate) fn message(&self) -> Option<&RecentMessage> {
        match self {
            Body::Message(message) | Body::File(message, _) => Some(message),
            Body::Note(..) => None,
        }
    }
}

/// The entries of a conversation, oldest first. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    list: gio::ListStore,
    /// The bytes of all texts.
    bytes: Rc<Cell<usize>>,
    /// The knowledge about older messages in the history.
    older: Rc<Cell<HistoryState>>,
}

/// The knowledge about messages of the history that are older than those of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum HistoryState {
    /// There may be some.
    #[default]
    Unknown,
    /// Some are on their way.
    Loading,
    /// There are none.
    Complete,
}

impl Default for Timeline {
    fn default() -> Timeline {
        let list = gio::ListStore::new::<BoxedAnyObject>();
        Timeline { list, bytes: Rc::default(), older: Rc::default() }
    }
}

impl Timeline {
    /// Returns the model: objects that hold an [`Entry`] each.
    pub(crate) fn list(&self) -> &gio::ListStore {
        &self.list
    }

    /// Adds entries at the end.
    pub(crate) fn append(&self, entries: Vec<(u64, Body)>, mut is_first_new: bool) {
        let last = self.entry(self.list.n_items().wrapping_sub(1));
        let mut date = last.as_ref().map(date_of);
        let mut way = last.as_ref().and_then(|last| last.body.message()).map(|message| message.via);
        let mut added = Vec::new();
        for (time_ms, body) in entries {
            self.bytes.set(self.bytes.get() + body.text_bytes());
            let today = render::date(time_ms);
            let day = (date.as_ref() != Some(&today)).then(|| today.clone());
            date = Some(today);
            let is_others = body.message().is_some_and(|message| !message.own);
            let is_first_new = is_others && std::mem::take(&mut is_first_new);
            let own_way = body.message().map(|message| message.via);
            let is_other_way = own_way.is_some() && own_way != way;
            way = own_way.or(way);
            let is_found = false;
            let entry = Entry { time_ms, day, is_first_new, is_found, is_other_way, body };
            added.push(BoxedAnyObject::new(entry));
        }
        self.list.splice(self.list.n_items(), 0, &added);
    }

    /// Drops the oldest entries if there are too many, or too long ones.
    pub(crate) fn trim(&self, is_shown: bool) {
        let most = if is_shown { MAX_SHOWN } else { MAX_OTHER };
        while self.list.n_items() > most || self.bytes.get() > MAX_BYTES {
            let dropped = DROPPED_AT_ONCE.min(self.list.n_items());
            let bytes = (0..dropped).filter_map(|place| self.entry(place));
            let bytes: usize = bytes.map(|entry| entry.body.text_bytes()).sum();
            self.bytes.set(self.bytes.get().saturating_sub(bytes));
            self.list.splice(0, dropped, &[] as &[BoxedAnyObject]);
            if self.older.get() == HistoryState::Complete {
                self.older.set(HistoryState::Unknown);
            }
        }
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.list.n_items() as usize
    }

    /// Returns the first message.
    pub(crate) fn first_message(&self) -> Option<MessageId> {
        self.message_ids().next()
    }

    fn message_ids(&self) -> impl Iterator<Item = MessageId> {
        (0..self.list.n_items()).filter_map(|place| self.message_at(place))
    }

    fn message_at(&self, place: u32) -> Option<MessageId> {
        let item = self.list.item(place).and_downcast::<BoxedAnyObject>()?;
        item.borrow::<Entry>().body.message().map(|message| message.id)
    }

    /// Returns the bytes of texts for which there is room.
    pub(crate) fn free_bytes(&self) -> usize {
        MAX_BYTES.saturating_sub(self.bytes.get())
    }

    /// Returns true while older messages are being loaded.
    pub(crate) fn is_loading(&self) -> bool {
        self.older.get() == HistoryState::Loading
    }

    /// Notes that older messages are being loaded. Returns false if there are none.
    pub(crate) fn begin_loading(&self) -> bool {
        let has_more = self.older.get() == HistoryState::Unknown;
        if has_more {
            self.older.set(HistoryState::Loading);
        }
        has_more
    }

    /// Notes the end of the loading, and whether the history has nothing older.
    pub(crate) fn end_loading(&self, has_all: bool) {
        let state = if has_all { HistoryState::Complete } else { HistoryState::Unknown };
        self.older.set(state);
    }

    /// Adds older messages in front, but for those that are there.
    pub(crate) fn prepend(&self, messages: &[RecentMessage]) {
        let known: HashSet<MessageId> = self.message_ids().collect();
        let new = messages.iter().filter(|message| !known.contains(&message.id));
        let mut date = None;
        let mut added = Vec::new();
        for message in new {
            let today = render::date(message.time_ms);
            let day = (date.as_ref() != Some(&today)).then(|| today.clone());
            date = Some(today);
            let body = Body::Message(message.clone());
            self.bytes.set(self.bytes.get() + body.text_bytes());
            let time_ms = message.time_ms;
            let (is_first_new, is_found, is_other_way) = (false, false, false);
            let entry = Entry { time_ms, day, is_first_new, is_found, is_other_way, body };
            added.push(BoxedAnyObject::new(entry));
        }
        if let Some(first) = self.entry(0)
            && Some(date_of(&first)) == date
        {
            self.replace(0, Entry { day: None, ..first });
        }
        self.list.splice(0, 0, &added);
    }

    /// Changes the state of an own message.
    pub(crate) fn set_state(&self, id: MessageId, state: MessageState) {
        let Some(place) = self.place_of(id) else { return };
        let Some(mut entry) = self.entry(place) else { return };
        if let Body::Message(message) | Body::File(message, _) = &mut entry.body {
            message.state = Some(state);
        }
        self.replace(place, entry);
    }

    /// Shows the entry of a message again, since something about it has changed.
    pub(crate) fn show_again(&self, id: MessageId) {
        if let Some((place, entry)) = self.place_of(id).and_then(|at| Some((at, self.entry(at)?))) {
            self.replace(place, entry);
        }
    }

    /// Marks a message as the one that was searched for, or no more. Returns its id.
    pub(crate) fn set_found(&self, place: u32, is_found: bool) -> Option<MessageId> {
        let entry = self.entry(place)?;
        let id = entry.body.message().map(|message| message.id);
        self.replace(place, Entry { is_found, ..entry });
        id
    }

    /// Removes the line above the first message that was not read.
    pub(crate) fn forget_new(&self) {
        for place in (0..self.list.n_items()).rev() {
            let Some(entry) = self.entry(place) else { return };
            if entry.is_first_new {
                return self.replace(place, Entry { is_first_new: false, ..entry });
            }
        }
    }

    /// Returns the place of a message, which is probably one of the last.
    pub(crate) fn place_of(&self, id: MessageId) -> Option<u32> {
        (0..self.list.n_items()).rev().find(|place| self.message_at(*place) == Some(id))
    }

    /// Returns the entry at this place.
    pub(crate) fn entry(&self, place: u32) -> Option<Entry> {
        let item = self.list.item(place).and_downcast::<BoxedAnyObject>()?;
        let entry = item.borrow::<Entry>().clone();
        Some(entry)
    }

    fn replace(&self, place: u32, entry: Entry) {
        self.list.splice(place, 1, &[BoxedAnyObject::new(entry)]);
    }
}

fn date_of(entry: &Entry) -> String {
    render::date(entry.time_ms)
}
