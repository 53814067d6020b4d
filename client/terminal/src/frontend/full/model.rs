//! The state of the full screen beside the view: the client's notes, the seen messages, and the open overlay.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use letschat_core::conversation::ConversationId;
use letschat_core::history::Words;
use letschat_core::session::Typing;
use letschat_core::view::{Conversation, RecentMessage, View};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use super::draw::Asker;
use super::overlay::{Hit, Overlay};
use crate::frontend::line::handles::Passed;
use letschat_commands::appearance::Kind;

/// The most notes that are kept.
const MAX_NOTES: usize = 1_000;

/// The most conversations that are marked because of a warning.
const MAX_WARNED: usize = 128;

/// The most messages that are noted as passed by plugins: all that a view keeps.
const MAX_PASSED: usize = 128 * 200;

/// The most targets that are not current yet.
const MAX_EXPECTED: usize = 16;

/// The most hits of a search, newest first.
const MAX_HITS: usize = 100;

/// A text of the client: a reply, or an event that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) time_ms: u64,
    pub(super) kind: Kind,
    pub(super) text: String,
    /// The conversation in which it is shown too.
    pub(super) conversation: Option<ConversationId>,
}

/// A message or a note, by what names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryId {
    Message(MessageId),
    /// The n-th note.
    Note(u64),
}

/// The state of the full screen.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// The shown conversation, or `None` for the notes of the client.
    pub(super) shown: Option<ConversationId>,
    /// The last notes, with their numbers.
    pub(super) notes: VecDeque<(u64, Note)>,
    noted: u64,
    /// The conversations with a warning that was not shown.
    warned: BTreeSet<ConversationId>,
    pub(super) overlay: Overlay,
    /// True while the messages are shown alone.
    pub(super) is_bare: bool,
    /// The number of rows between the last one that is shown and the last one.
    pub(super) scroll: usize,
    /// The last entry when messages were drawn. While they are scrolled, later ones do not move them.
    pub(super) last: Option<EntryId>,
    /// The message to scroll to.
    pub(super) reveal: Option<MessageId>,
    /// The message that was found last, which is marked.
    pub(super) found: Option<MessageId>,
    /// The rows of the list of conversations as they were drawn.
    pub(super) list: Vec<Option<ConversationId>>,
    /// The last message of each conversation when it was shown last.
    seen: BTreeMap<ConversationId, MessageId>,
    /// The message after which those begin that were new when the shown conversation was opened.
    pub(super) read_to: Option<MessageId>,
    /// The account of the conversations.
    account: Option<Username>,
    /// True if a plugin filters messages, which are shown only once they have passed.
    waits_for_plugins: bool,
    /// The messages that plugins have passed, the last ones.
    passed: BTreeMap<MessageId, Passed>,
    passed_order: VecDeque<MessageId>,
    /// The target of typed lines that was followed last.
    followed: Option<Typing>,
    /// The targets that were shown and are not current yet.
    expected: VecDeque<Typing>,
    /// The request that is on the screen.
    pub(super) asker: Option<Asker>,
}

impl Model {
    /// Adds a note.
    pub(super) fn note(&mut self, note: Note) {
        if self.notes.len() == MAX_NOTES {
            self.notes.pop_front();
        }
        let elsewhere = note.conversation.as_ref().filter(|one| Some(*one) != self.shown.as_ref());
        if let (Some(elsewhere), Kind::Warning) = (elsewhere, note.kind)
            && self.warned.len() < MAX_WARNED
        {
            self.warned.insert(elsewhere.clone());
        }
        self.noted += 1;
        self.notes.push_back((self.noted, note));
    }

    /// Returns true if a conversation has a warning that was not shown.
    pub(super) fn is_warned(&self, conversation: &ConversationId) -> bool {
        self.warned.contains(conversation)
    }

    /// Forgets the conversations of another account.
    pub(super) fn open(&mut self, account: Option<Username>, waits_for_plugins: bool) {
        self.waits_for_plugins = waits_for_plugins;
        if account == self.account {
            return;
        }
        if self.account.is_some() {
            self.notes.retain(|(_, note)| note.conversation.is_none());
            (self.shown, self.read_to, self.scroll, self.last) = (None, None, 0, None);
            self.warned.clear();
            self.seen.clear();
        }
        self.account = account;
    }

    /// Notes the text of a message after plugins have seen it.
    pub(super) fn pass(&mut self, id: MessageId, text: Passed) {
        if self.passed_order.len() >= MAX_PASSED
            && let Some(first) = self.passed_order.pop_front()
        {
            self.passed.remove(&first);
        }
        if self.passed.insert(id, text).is_none() {
            self.passed_order.push_back(id);
        }
    }

    /// Returns the text to show for a message, or `None` if it is hidden.
    pub(super) fn text<'a>(&'a self, message: &'a RecentMessage) -> Option<&'a str> {
        match self.passed.get(&message.id) {
            Some(Passed::Changed(text)) => Some(text),
            Some(Passed::Hidden) => None,
            Some(Passed::Unchanged) => Some(&message.text),
            None => {
                let is_filtered = !(message.own || message.is_file || message.is_earlier);
                (!self.waits_for_plugins || !is_filtered).then_some(&message.text)
            }
        }
    }

    /// Returns true if the last messages are on the screen.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.scroll == 0 && self.overlay == Overlay::None
    }

    /// Shows a conversation, or the notes.
    pub(super) fn show(&mut self, conversation: Option<ConversationId>, view: &View) {
        if conversation == self.shown {
            return;
        }
        self.note_seen(view);
        let seen = conversation.as_ref().and_then(|one| self.last_seen(one, view));
        let has_unread = conversation.as_ref().is_some_and(|one| self.unread(one, view) > 0);
        self.read_to = seen.filter(|_| has_unread);
        if let Some(conversation) = &conversation {
            self.warned.remove(conversation);
        }
        self.shown = conversation;
        (self.scroll, self.last, self.found) = (0, None, None);
        self.note_seen(view);
    }

    /// Marks the messages that came to the shown conversation while nobody looked.
    pub(super) fn mark_new(&mut self, view: &View) {
        if let Some(shown) = self.shown.clone()
            && self.unread(&shown, view) > 0
        {
            self.read_to = self.last_seen(&shown, view);
        }
    }

    /// Returns the last message that was seen, in this run or an earlier one.
    fn last_seen(&self, conversation: &ConversationId, view: &View) -> Option<MessageId> {
        let earlier = || {
            let heard = view.conversations.get(conversation)?;
            heard.recent.get(heard.earlier.checked_sub(1)?).map(|message| message.id)
        };
        self.seen.get(conversation).copied().or_else(earlier)
    }

    /// Notes that a target was shown before its command has made it current.
    pub(super) fn expect(&mut self, target: Typing) {
        self.expected.push_back(target);
        if self.expected.len() > MAX_EXPECTED {
            self.expected.pop_front();
        }
    }

    /// Shows the conversation that commands have made current since.
    pub(super) fn follow(&mut self, typing: &Typing, view: &View) {
        if self.followed.as_ref() == Some(typing) {
            return;
        }
        self.followed = Some(typing.clone());
        if let Some(at) = self.expected.iter().position(|one| one == typing) {
            self.expected.drain(..=at);
            return;
        }
        if let Some(current) = typing.conversation() {
            self.show(Some(current), view);
        }
    }

    /// Notes that the user has asked for the current conversation, which may not be shown.
    pub(super) fn follow_again(&mut self) {
        self.followed = None;
        self.expected.clear();
    }

    /// Notes that everything of the shown conversation is on the screen.
    pub(super) fn note_seen(&mut self, view: &View) {
        let Some(shown) = &self.shown else { return };
        if let Some(last) = view.conversations.get(shown).and_then(|one| one.recent.back()) {
            self.seen.insert(shown.clone(), last.id);
        }
    }

    /// Returns the target of a typed line.
    pub(super) fn target(&self) -> Typing {
        match &self.shown {
            None => Typing::Commands,
            Some(ConversationId::Person(who)) => Typing::Chat(who.clone()),
            Some(ConversationId::Group(group)) => Typing::Group(group.clone()),
            Some(ConversationId::Everyone) => Typing::Everyone,
        }
    }

    /// Returns the number of others' messages that came since a conversation was shown. The view counts those since it
    /// was current, and the current one need not be shown.
    pub(super) fn unread(&self, conversation: &ConversationId, view: &View) -> usize {
        let Some(heard) = view.conversations.get(conversation) else { return 0 };
        let seen = self.seen.get(conversation);
        let of_this_run = heard.recent.iter().skip(heard.earlier);
        let new = of_this_run.rev().take_while(|message| Some(&message.id) != seen);
        new.filter(|message| !message.own && self.text(message).is_some()).count()
    }

    /// Returns the number of conversations of which something is unread.
    pub(super) fn unread_conversations(&self, view: &View) -> usize {
        view.conversations.keys().filter(|one| self.unread(one, view) > 0).count()
    }

    /// Returns all conversations, the one with the last message first. Open chats and groups have one even if nothing
    /// was said.
    pub(super) fn conversations(&self, view: &View) -> Vec<ConversationId> {
        let mut all: BTreeMap<ConversationId, u64> =
            view.conversations.iter().map(|(id, one)| (id.clone(), one.last_ms())).collect();
        let chats = view.session.chats.keys().cloned().map(ConversationId::Person);
        let groups = view.groups.keys().cloned().map(ConversationId::Group);
        for silent in chats.chain(groups).chain(self.shown.clone()) {
            all.entry(silent).or_insert(0);
        }
        let mut all: Vec<(ConversationId, u64)> = all.into_iter().collect();
        all.sort_by_key(|(_, last_ms)| std::cmp::Reverse(*last_ms));
        all.into_iter().map(|(id, _)| id).collect()
    }

    /// Returns the conversation of which something is unread, the one with the last message first.
    pub(super) fn next_unread(&self, view: &View) -> Option<ConversationId> {
        let is_unread = |one: &ConversationId| self.unread(one, view) > 0 || self.is_warned(one);
        self.conversations(view).into_iter().find(is_unread)
    }

    /// Returns the lines of the messages that were never shown, by conversation.
    pub(super) fn unseen(&self, view: &View) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, heard) in &view.conversations {
            let count = self.unread(id, view);
            let others = heard.recent.iter().rev().filter(|message| !message.own);
            let shown = others.filter_map(|message| Some((message, self.text(message)?)));
            let mut of_it: Vec<String> = shown
                .take(count)
                .map(|(message, text)| match id {
                    ConversationId::Person(_) => format!("{}: {text}", message.from),
                    _ => format!("{id}, {}: {text}", message.from),
                })
                .collect();
            of_it.reverse();
            lines.extend(of_it);
        }
        lines
    }

    /// Returns the conversation above or below the shown one in the list, in which the notes are first.
    pub(super) fn neighbour(&self, is_below: bool, view: &View) -> Option<ConversationId> {
        let mut all: Vec<Option<ConversationId>> = vec![None];
        all.extend(self.conversations(view).into_iter().map(Some));
        let at = all.iter().position(|one| *one == self.shown).unwrap_or(0);
        let next = if is_below { (at + 1).min(all.len() - 1) } else { at.saturating_sub(1) };
        all.swap_remove(next)
    }

    /// Returns the conversations, people and groups whose names have these letters in this order, the best first.
    pub(super) fn jumps(&self, letters: &str, view: &View) -> Vec<ConversationId> {
        let mut all = self.conversations(view);
        let people = view.people.iter().filter(|who| Some(*who) != view.session.username.as_ref());
        for person in people.cloned().map(ConversationId::Person) {
            if !all.contains(&person) {
                all.push(person);
            }
        }
        if !all.contains(&ConversationId::Everyone) {
            all.push(ConversationId::Everyone);
        }
        let letters = letters.to_lowercase();
        let mut fitting: Vec<(usize, ConversationId)> = all
            .into_iter()
            .filter_map(|one| Some((distance(&letters, &one.to_string())?, one)))
            .collect();
        fitting.sort_by_key(|(distance, _)| *distance);
        fitting.into_iter().map(|(_, one)| one).collect()
    }

    /// Returns the messages with these words, the newest first.
    pub(super) fn hits(&self, text: &str, view: &View) -> Vec<Hit> {
        let Some(words) = Words::of(text) else { return Vec::new() };
        let hits_of = |(id, heard): (&ConversationId, &Conversation)| {
            let shown =
                heard.recent.iter().filter_map(|message| Some((message, self.text(message)?)));
            let fitting = shown.filter(|(_, shown)| words.are_in(shown));
            let hits = fitting.map(|(message, shown)| Hit {
                conversation: id.clone(),
                id: message.id,
                line: format!("{}: {shown}", message.from),
                time_ms: message.time_ms,
            });
            hits.collect::<Vec<Hit>>()
        };
        let mut hits: Vec<Hit> = view.conversations.iter().flat_map(hits_of).collect();
        hits.sort_by_key(|hit| std::cmp::Reverse(hit.time_ms));
        hits.truncate(MAX_HITS);
        hits
    }
}

/// Returns how far apart these letters are in a name, in this order, or `None` if they are not there.
fn distance(letters: &str, name: &str) -> Option<usize> {
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let (mut distance, mut at) = (0, 0);
    for letter in letters.chars() {
        let skipped = name[at..].iter().position(|one| *one == letter)?;
        (distance, at) = (distance + skipped, at + skipped + 1);
    }
    Some(distance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_core::conversation::Via;
    use letschat_core::event::Event;

    fn person(name: &str) -> ConversationId {
        ConversationId::Person(name.parse().unwrap())
    }

    fn hear(view: &mut View, with: &str, time_ms: u64, own: bool, text: &str) {
        view.apply(&Event::Message {
            from: if own { "me" } else { with }.parse().unwrap(),
            number: Some(time_ms),
            text: text.into(),
            time_ms,
            sent_ms: time_ms,
            conversation: person(with),
            id: MessageId::of_broadcast(1, time_ms),
            own,
            device: None,
            via: Via::Direct,
        });
    }

    #[test]
    fn unread_are_others_messages_since_it_was_shown() {
        let (mut model, mut view) = (Model::default(), View::default());
        hear(&mut view, "bob", 1, false, "one");
        hear(&mut view, "bob", 2, true, "mine");
        assert_eq!(model.unread(&person("bob"), &view), 1);
        model.show(Some(person("bob")), &view);
        assert_eq!((model.unread(&person("bob"), &view), model.read_to), (0, None));
        model.show(None, &view);
        hear(&mut view, "bob", 3, false, "two");
        hear(&mut view, "carol", 4, false, "hello");
        assert_eq!(model.next_unread(&view), Some(person("carol")));
        model.show(Some(person("bob")), &view);
        assert_eq!(model.read_to, Some(MessageId::of_broadcast(1, 2)), "the line is before `two`");
    }

    #[test]
    fn list_is_by_last_activity_and_its_ends_are_ends() {
        let (mut model, mut view) = (Model::default(), View::default());
        hear(&mut view, "bob", 1, false, "one");
        hear(&mut view, "carol", 2, false, "two");
        assert_eq!(model.conversations(&view), [person("carol"), person("bob")]);
        assert_eq!(model.neighbour(true, &view), Some(person("carol")));
        assert_eq!(model.neighbour(false, &view), None);
        model.show(Some(person("bob")), &view);
        assert_eq!(model.neighbour(true, &view), Some(person("bob")));
        hear(&mut view, "bob", 3, false, "three");
        assert_eq!(model.conversations(&view), [person("bob"), person("carol")]);
    }

    #[test]
    fn jump_finds_names_by_letters_in_order() {
        let (model, mut view) = (Model::default(), View::default());
        view.apply(&Event::People(
            ["annika", "anna", "hannes"].map(|name| name.parse().unwrap()).into(),
        ));
        assert_eq!(model.jumps("aa", &view), [person("anna"), person("annika")]);
        assert_eq!(model.jumps("ery", &view), [ConversationId::Everyone]);
        assert_eq!(model.jumps("x", &view), []);
    }

    #[test]
    fn search_finds_the_newest_in_all_conversations() {
        let (model, mut view) = (Model::default(), View::default());
        hear(&mut view, "bob", 1, false, "The Tea is ready");
        hear(&mut view, "carol", 2, true, "tea?");
        let hits = model.hits("tea", &view);
        let found: Vec<&str> = hits.iter().map(|hit| hit.line.as_str()).collect();
        assert_eq!(found, ["me: tea?", "bob: The Tea is ready"]);
        assert_eq!(model.hits(" ", &view), []);
    }
}
