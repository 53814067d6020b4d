//! A client as every front end shows it, updated by its events alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use letschat_protocol::groups::GroupName;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use crate::conversation::{ConversationId, MessageState, Via};
use crate::event::{Event, FileShown, GroupChange, KeyState, RequestKind};
use crate::files::FileState;
use crate::history::HistoryMessage;
use crate::session::{Phase, Typing};

/// The most names that are kept. A list of active clients may be far longer.
const MAX_PEOPLE: usize = 4_096;

/// The most conversations that are kept. Beyond that the one that has been silent longest is
/// evicted.
const MAX_CONVERSATIONS: usize = 128;

/// The most messages of a conversation that are kept, and the most bytes of their texts. Beyond
/// that the oldest are evicted.
const MAX_RECENT: usize = 200;
const MAX_RECENT_BYTES: usize = 64 * 1024;

/// The most files that are kept. Beyond that the one of which nothing was heard for longest is evicted.
const MAX_FILES: usize = 128;

/// A client as a front end sees it. Only [`apply`](View::apply) changes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// The session itself.
    pub session: SessionState,
    /// The active clients, as far as the server has told.
    pub people: BTreeSet<Username>,
    /// The people who ask for a chat.
    pub requests: BTreeMap<Username, OpenRequest>,
    /// The states of the known keys of people. Other people's keys are new.
    pub keys: BTreeMap<Username, KeyState>,
    /// The groups that the user is in, as this device calls them, with those who have joined.
    pub groups: BTreeMap<GroupName, Vec<Username>>,
    /// The groups to which the user is invited.
    pub invitations: BTreeSet<GroupName>,
    /// The files that were heard of, by the id of their offer.
    pub files: BTreeMap<MessageId, FileView>,
    /// The conversations of the account that was open last.
    pub conversations: BTreeMap<ConversationId, Conversation>,
    /// The account that the groups and the conversations belong to.
    pub account: Option<Username>,
    /// The server that was reached last, as the user named it.
    pub server: Option<String>,
}

/// The keys and the groups that a device knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contacts {
    /// The states of the known keys.
    pub keys: BTreeMap<Username, KeyState>,
    /// The groups that the user is in, with those who have joined.
    pub groups: BTreeMap<GroupName, Vec<Username>>,
    /// The groups to which the user is invited.
    pub invitations: BTreeSet<GroupName>,
}

impl Contacts {
    /// Returns the bytes of the names.
    pub fn text_bytes(&self) -> usize {
        let people = self.keys.keys().chain(self.groups.values().flatten());
        people.map(|name| name.as_str().len()).sum()
    }
}

/// A request that waits for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// Its subject.
    pub kind: RequestKind,
    /// The caller's address, if they ask for a chat.
    pub address: Option<String>,
    /// The fingerprint of their key.
    pub fingerprint: String,
    /// The state of that key.
    pub key: KeyState,
    /// The time of the request, in milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// An offered file, as far as events have told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileView {
    /// The file. `to` is the person who was last sent chunks of an own one.
    pub file: FileShown,
    /// Its state.
    pub state: FileState,
    /// The bytes that have come or, of an own file, have been sent to that person.
    pub bytes: Option<u64>,
    /// The place in the order of the last news, which grows.
    pub order: u64,
}

/// The last messages to and from one target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conversation {
    /// The number of others' messages that came since the conversation was last current.
    pub unread: u64,
    /// The last messages, oldest first.
    pub recent: VecDeque<RecentMessage>,
    /// The number of those that come from the history. They are the first ones.
    pub earlier: usize,
    /// The bytes of their texts.
    bytes: usize,
}

/// A message in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentMessage {
    /// The author.
    pub from: Username,
    /// True for a message of one's own.
    pub own: bool,
    /// Its id.
    pub id: MessageId,
    /// Its text, or the name of the file that it offers.
    pub text: String,
    /// True if it offers a file.
    pub is_file: bool,
    /// True if it comes from the history.
    pub is_earlier: bool,
    /// The time of its arrival or, for an own message, of its sending, in milliseconds since the
    /// Unix epoch.
    pub time_ms: u64,
    /// The way by which it was sent.
    pub via: Via,
    /// The state of an own message, once it is known.
    pub state: Option<MessageState>,
}

/// A session's state, which is reported whenever it changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionState {
    /// The link to the server.
    pub link: LinkState,
    /// The phase, which decides which commands are allowed.
    pub phase: Phase,
    /// The open account.
    pub username: Option<Username>,
    /// The meaning of a typed line.
    pub typing: Typing,
    /// The open chats.
    pub chats: BTreeMap<Username, ChatState>,
    /// The people who ask for a chat.
    pub requests: BTreeSet<Username>,
    /// True for a client of a classroom.
    pub classroom: bool,
    /// The files that are on their way.
    pub transfers: BTreeSet<MessageId>,
}

/// The state of the link to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkState {
    /// There is no link.
    #[default]
    Offline,
    /// The next try is scheduled.
    Waiting,
    /// The link is being opened.
    Connecting,
    /// The link is open.
    Connected,
    /// The session is logged in.
    LoggedIn,
}

/// The state of an open chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatState {
    /// Its link is up.
    Open,
    /// Its link broke and is being resumed.
    Interrupted,
}

impl View {
    /// Applies an event. Events have to be applied in the order in which they were emitted.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::State(session) => self.set_session(session),
            Event::Connected { server, .. } => self.server = Some(server.clone()),
            Event::People(people) => {
                self.people.clear();
                self.add(people);
            }
            Event::Joined { usernames, .. } => self.add(usernames),
            Event::Left { usernames, .. } => usernames.iter().for_each(|who| {
                self.people.remove(who);
            }),
            Event::Request { group: Some(group), .. } => {
                self.invitations.insert(group.clone());
            }
            Event::GroupChanged { group, change, who, members, .. } => {
                self.invitations.remove(group);
                match *change == GroupChange::Left && self.account.as_ref() == Some(who) {
                    true => drop(self.groups.remove(group)),
                    false => drop(self.groups.insert(group.clone(), members.clone())),
                }
                self.add(members);
            }
            Event::Request { from, kind, address, fingerprint, key, time_ms, .. } => {
                let (address, fingerprint) = (address.clone(), fingerprint.clone());
                let (kind, key, time_ms) = (*kind, *key, *time_ms);
                let request = OpenRequest { kind, address, fingerprint, key, time_ms };
                self.requests.insert(from.clone(), request);
            }
            Event::Message { .. } | Event::Broadcast { .. } => self.hear(event),
            Event::FileOffered { file, .. } => {
                self.hear(event);
                self.note_file(file, FileState::Offered, None);
            }
            Event::Contacts(contacts) => {
                let Contacts { keys, groups, invitations } = (**contacts).clone();
                (self.keys, self.groups, self.invitations) = (keys, groups, invitations);
            }
            Event::History(messages) => self.remember(messages),
            Event::FileProgress { file, bytes, .. } => {
                let state = if file.to.is_some() { FileState::Offered } else { FileState::Wanted };
                self.note_file(file, state, Some(*bytes));
            }
            Event::FileDone { file, .. } => {
                let state = if file.to.is_some() { FileState::Offered } else { FileState::Saved };
                self.note_file(file, state, None);
            }
            Event::FileFailed { file, code, .. } => {
                self.note_file(file, FileState::Failed(*code), None);
            }
            Event::MessageState { conversation, id, state, .. } => {
                let recent = self.conversations.get_mut(conversation).map(|one| &mut one.recent);
                let message =
                    recent.and_then(|recent| recent.iter_mut().rfind(|one| one.id == *id));
                message.into_iter().for_each(|message| message.state = Some(*state));
            }
            _ => {}
        }
    }

    fn note_file(&mut self, file: &FileShown, state: FileState, bytes: Option<u64>) {
        if !self.files.contains_key(&file.id) && self.files.len() >= MAX_FILES {
            let oldest = self.files.iter().min_by_key(|(_, view)| view.order);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.files.remove(&oldest);
            }
        }
        let order = self.files.values().map(|view| view.order).max().unwrap_or_default() + 1;
        self.files.insert(file.id, FileView { file: file.clone(), state, bytes, order });
    }

    fn set_session(&mut self, session: &SessionState) {
        self.session = session.clone();
        for (id, file) in &mut self.files {
            file.bytes.take_if(|_| !session.transfers.contains(id));
        }
        self.requests.retain(|who, _| session.requests.contains(who));
        if session.link != LinkState::LoggedIn {
            // No more notices of arrivals and departures come.
            self.people.clear();
        }
        if session.username.is_some() && session.username != self.account {
            self.account.clone_from(&session.username);
            self.conversations.clear();
            self.keys.clear();
            self.groups.clear();
            self.files.clear();
            self.invitations.clear();
        }
        if let Some(current) = session.typing.conversation()
            && let Some(current) = self.conversations.get_mut(&current)
        {
            current.unread = 0;
        }
    }

    fn add(&mut self, people: &[Username]) {
        let room = MAX_PEOPLE.saturating_sub(self.people.len());
        self.people.extend(people.iter().take(room).cloned());
    }

    /// Adds older messages from the history, as far as there is room.
    fn remember(&mut self, messages: &[HistoryMessage]) {
        for HistoryMessage { conversation, message } in messages.iter().rev() {
            if self.conversations.len() < MAX_CONVERSATIONS
                || self.conversations.contains_key(conversation)
            {
                self.conversations.entry(conversation.clone()).or_default().remember(message);
            }
        }
    }

    fn hear(&mut self, event: &Event) {
        let Some(HistoryMessage { conversation, message }) = HistoryMessage::of(event) else {
            return;
        };
        if !self.conversations.contains_key(&conversation) {
            self.make_room();
            self.conversations.insert(conversation.clone(), Conversation::default());
        }
        let is_current = self.session.typing.conversation().as_ref() == Some(&conversation);
        let Some(heard) = self.conversations.get_mut(&conversation) else { return };
        heard.unread = if is_current || message.own { 0 } else { heard.unread + 1 };
        heard.push(message);
    }

    /// Evicts the conversation that has been silent longest if there are too many.
    fn make_room(&mut self) {
        if self.conversations.len() < MAX_CONVERSATIONS {
            return;
        }
        let silent_longest = self.conversations.iter().min_by_key(|(_, one)| one.last_ms());
        if let Some(target) = silent_longest.map(|(target, _)| target.clone()) {
            self.conversations.remove(&target);
        }
    }
}

impl Conversation {
    /// Returns the time of the last message, in milliseconds since the Unix epoch.
    pub fn last_ms(&self) -> u64 {
        self.recent.back().map_or(0, |message| message.time_ms)
    }

    fn push(&mut self, message: RecentMessage) {
        self.bytes += message.text.len();
        self.recent.push_back(message);
        while self.recent.len() > MAX_RECENT || self.bytes > MAX_RECENT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { return };
            self.bytes -= oldest.text.len();
            self.earlier = self.earlier.saturating_sub(1);
        }
    }

    /// Adds an older message in front, unless it is there or there is no room.
    fn remember(&mut self, message: &RecentMessage) {
        let bytes = self.bytes + message.text.len();
        let has_room = self.recent.len() < MAX_RECENT && bytes <= MAX_RECENT_BYTES;
        if has_room && !self.recent.iter().any(|one| one.id == message.id) {
            self.recent.push_front(RecentMessage { is_earlier: true, ..message.clone() });
            self.bytes = bytes;
            self.earlier += 1;
        }
    }
}

impl LinkState {
    /// Returns the state's word in a reply to `status`.
    pub fn name(self) -> &'static str {
        match self {
            LinkState::Offline => "offline",
            LinkState::Waiting => "waiting",
            LinkState::Connecting => "connecting",
            LinkState::Connected => "connected",
            LinkState::LoggedIn => "logged_in",
        }
    }
}

impl ChatState {
    /// Returns the state's word in a reply to `status`.
    pub fn name(self) -> &'static str {
        match self {
            ChatState::Open => "open",
            ChatState::Interrupted => "interrupted",
        }
    }
}

#[cfg(test)]
mod tests;
