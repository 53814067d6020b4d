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
    /// The groups that were heard of, as this device calls them.
    pub groups: BTreeSet<GroupName>,
    /// The groups to which the user is invited.
    pub invitations: BTreeSet<GroupName>,
    /// The files that were heard of, by the id of their offer.
    pub files: BTreeMap<MessageId, FileView>,
    /// The conversations of the account that was open last.
    pub conversations: BTreeMap<ConversationId, Conversation>,
    /// The account that the groups and the conversations belong to.
    pub account: Option<Username>,
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
            Event::People(people) => {
                self.people.clear();
                self.add(people);
            }
            Event::Joined { usernames, .. } => self.add(usernames),
            Event::Left { usernames, .. } => self.people.retain(|who| !usernames.contains(who)),
            Event::Request { group: Some(group), .. } => {
                self.invitations.insert(group.clone());
            }
            Event::GroupChanged { group, change, who, members, .. } => {
                self.invitations.remove(group);
                match *change == GroupChange::Left && self.account.as_ref() == Some(who) {
                    true => drop(self.groups.remove(group)),
                    false => drop(self.groups.insert(group.clone())),
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
            self.recent.push_front(message.clone());
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PEOPLE: [&str; 3] = ["bob", "carol", "dave"];

    fn names(names: &[&str]) -> Vec<Username> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn person(name: &str) -> ConversationId {
        ConversationId::Person(name.parse().unwrap())
    }

    /// Returns a message in the conversation with this peer, who sends or receives it.
    fn message(with: &str, number: u64, own: bool, text: &str) -> Event {
        Event::Message {
            from: if own { "alice" } else { with }.parse().unwrap(),
            number: Some(number),
            text: text.into(),
            time_ms: number,
            sent_ms: number,
            conversation: person(with),
            id: MessageId::of_broadcast(1, number),
            own,
            device: None,
            via: Via::Direct,
        }
    }

    /// Returns a state in which plain lines go to this peer, or are commands.
    fn typing_to(with: Option<&str>) -> Event {
        let typing = with.map_or(Typing::Commands, |with| Typing::Chat(with.parse().unwrap()));
        let username = Some("alice".parse().unwrap());
        Event::State(Box::new(SessionState { typing, username, ..SessionState::default() }))
    }

    #[test]
    fn people_are_those_of_the_last_list_and_who_came_since() {
        let mut view = View::default();
        view.apply(&Event::Joined { usernames: names(&["zoe"]), count: 1 });
        view.apply(&Event::People(names(&["alice", "bob"])));
        view.apply(&Event::Joined { usernames: names(&["carol"]), count: 1 });
        view.apply(&Event::Left { usernames: names(&["bob"]), count: 1 });
        assert_eq!(view.people, names(&["alice", "carol"]).into_iter().collect());
    }

    #[test]
    fn crowd_beyond_the_limit_is_not_kept() {
        let crowd: Vec<Username> =
            (0..MAX_PEOPLE + 9).map(|n| format!("user{n}").parse().unwrap()).collect();
        let mut view = View::default();
        view.apply(&Event::People(crowd));
        assert_eq!(view.people.len(), MAX_PEOPLE);
    }

    #[test]
    fn conversations_and_their_messages_are_bounded() {
        let mut view = View::default();
        let long = "x".repeat(1_000);
        for number in 0..10_000 {
            let with = format!("user{}", number % 500);
            view.apply(&message(&with, number, false, &long));
        }
        assert_eq!(view.conversations.len(), MAX_CONVERSATIONS);
        assert!(view.conversations.contains_key(&person("user499")), "the newest one stays");
        for number in 0..MAX_RECENT as u64 * 2 {
            view.apply(&message("bob", 10_000 + number, false, "short"));
            view.apply(&message("carol", 10_000 + number, false, &long));
        }
        assert_eq!(view.conversations[&person("bob")].recent.len(), MAX_RECENT);
        assert_eq!(view.conversations[&person("carol")].recent.len(), MAX_RECENT_BYTES / 1_000);
    }

    #[test]
    fn own_message_has_the_state_that_was_told_last() {
        let mut view = View::default();
        view.apply(&message("bob", 1, true, "hello"));
        view.apply(&Event::MessageState {
            conversation: person("bob"),
            id: MessageId::of_broadcast(1, 1),
            to: None,
            state: MessageState::Delivered,
            via: Via::Direct,
            code: None,
            is_news: false,
        });
        let said = &view.conversations[&person("bob")].recent[0];
        assert_eq!((said.own, said.state), (true, Some(MessageState::Delivered)));
    }

    #[test]
    fn history_comes_before_the_messages_that_are_there() {
        let mut view = View::default();
        let old = |number, text: &str| HistoryMessage::of(&message("bob", number, false, text));
        view.apply(&message("bob", 3, false, "three"));
        let history = [old(1, "one"), old(2, "two"), old(3, "three")];
        view.apply(&Event::History(history.into_iter().flatten().collect()));
        let bob = &view.conversations[&person("bob")];
        let texts: Vec<&str> = bob.recent.iter().map(|one| one.text.as_str()).collect();
        assert_eq!((texts, bob.earlier, bob.unread), (vec!["one", "two", "three"], 2, 1));

        let much = (0..2 * MAX_RECENT as u64).filter_map(|number| old(10 + number, "much"));
        view.apply(&Event::History(much.collect()));
        assert_eq!(view.conversations[&person("bob")].recent.len(), MAX_RECENT);
        for number in 0..MAX_RECENT as u64 {
            view.apply(&message("bob", 1_000 + number, false, "new"));
        }
        assert_eq!(view.conversations[&person("bob")].earlier, 0);
    }

    #[test]
    fn another_account_has_conversations_of_its_own() {
        let mut view = View::default();
        view.apply(&typing_to(None));
        view.apply(&message("bob", 1, false, "for alice"));
        let state = |username| Box::new(SessionState { username, ..SessionState::default() });
        view.apply(&Event::State(state(None)));
        assert_eq!(view.conversations.len(), 1, "they are shown after logging out");
        view.apply(&Event::State(state(Some("mallory".parse().unwrap()))));
        assert!(view.conversations.is_empty());
    }

    proptest! {
        /// Compares with a model that counts the messages since each conversation was current.
        #[test]
        fn unread_is_what_came_since_it_was_last_current(
            steps in prop::collection::vec((0_usize..4, 0_usize..3), 0..80),
        ) {
            let mut view = View::default();
            view.apply(&typing_to(None));
            let (mut unread, mut current) = ([0_u64; 3], None);
            for (number, (step, with)) in steps.into_iter().enumerate() {
                let event = match step {
                    0 | 1 => {
                        unread[with] += u64::from(current != Some(with));
                        message(PEOPLE[with], number as u64, false, "heard")
                    }
                    2 => {
                        unread[with] = 0;
                        message(PEOPLE[with], number as u64, true, "said")
                    }
                    _ => {
                        current = (current != Some(with)).then_some(with);
                        current.into_iter().for_each(|with| unread[with] = 0);
                        typing_to(current.map(|with| PEOPLE[with]))
                    }
                };
                view.apply(&event);
                for (with, unread) in PEOPLE.iter().zip(unread) {
                    let shown = view.conversations.get(&person(with)).map_or(0, |one| one.unread);
                    prop_assert_eq!(shown, unread, "with {}", with);
                }
            }
        }
    }
}
