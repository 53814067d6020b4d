//! A running client as its window sees it: its view, the entries of its conversations, and the task that takes its
//! events.
//!
//! Events are taken in batches, so that a flood of messages changes the window twenty times a second at most. An event is
//! confirmed once it is in a list; nothing here may hold a borrow while a list changes, since its rows read the view.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use adw::glib;
use async_channel::{Receiver, Sender};
use letschat_commands::appearance::{Kind, appearance, conversation_of};
use letschat_commands::command::Dispatcher;
use letschat_commands::file_access::FileAccess;
use letschat_commands::passwords::{Ask, Passwords};
use letschat_commands::render;
use letschat_core::codes::NoticeCode;
use letschat_core::conversation::{ConversationId, MessageState};
use letschat_core::event::{Event, KeyState};
use letschat_core::files::FileState;
use letschat_core::history::HistoryMessage;
use letschat_core::session::Request;
use letschat_core::view::{LinkState, View};
use letschat_engine::Client;
use letschat_engine::client::Config;
use letschat_engine::events::{Events, Told};
use letschat_flags::clock;
use letschat_lua::Said;
use letschat_lua::plugins::{Heard, Plugins};
use letschat_protocol::dialogue::Secret;
use letschat_protocol::groups::GroupName;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use crate::timeline::{Body, Timeline};

/// The least time between two batches of events.
const BATCH: Duration = Duration::from_millis(50);

/// The most events of a batch. Others wait for the next one.
const MAX_BATCH: usize = 256;

/// The most lists of entries. Beyond that those of conversations that are not listed are dropped.
const MAX_TIMELINES: usize = 256;

/// The parts that a client is started with.
pub(crate) struct Setting {
    /// The config of the client.
    pub(crate) config: Config,
    /// The passwords that are not asked for.
    pub(crate) password_file: Option<std::path::PathBuf>,
    /// The folder of plugins, or `None` to load none.
    pub(crate) plugins: Option<std::path::PathBuf>,
    /// The places where plugins may read and save files.
    pub(crate) files: FileAccess,
}

/// A running client.
pub(crate) struct Live {
    dispatcher: Dispatcher,
    plugins: Option<Plugins>,
    view: RefCell<View>,
    timelines: RefCell<BTreeMap<Option<ConversationId>, Timeline>>,
    unread: RefCell<BTreeMap<ConversationId, u64>>,
    shown: RefCell<Option<ConversationId>>,
    /// The invitations to groups that came in this run: by whom, and the fingerprint and the state of their key.
    invitations: RefCell<BTreeMap<GroupName, (Username, String, KeyState)>>,
    /// The people whose changed key the user has accepted. Their requests tell the key's state before that.
    trusted: RefCell<BTreeSet<Username>>,
    /// The conversation to which a command has gone.
    asked_for: RefCell<Option<ConversationId>>,
    /// True while the window has the focus.
    is_looked_at: Cell<bool>,
    /// The account whose arrivals and departures are watched.
    watched: RefCell<Option<Username>>,
}

/// A question for a secret, and the way of its answer.
pub(crate) type Question = (String, Sender<Option<Secret>>);

/// The channels from a client to its window.
pub(crate) struct Channels {
    /// The events.
    pub(crate) events: Events,
    /// The questions for passwords.
    pub(crate) questions: Receiver<Question>,
    /// The output of plugins.
    pub(crate) heard: Option<Heard>,
}

/// The effect of a batch of events.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The session, the people, the requests or the files have changed.
    pub(crate) has_state: bool,
    /// The conversations with something new.
    pub(crate) conversations: Vec<ConversationId>,
    /// Messages that may notify.
    pub(crate) heard: Vec<Event>,
    /// Warnings and requests that belong to no conversation.
    pub(crate) warnings: Vec<String>,
    /// Another account was opened.
    pub(crate) is_other_account: bool,
}

/// Asks for secrets in a dialog.
struct Asker(Sender<Question>);

impl Ask for Asker {
    fn ask(&self, prompt: &str) -> io::Result<Secret> {
        let (answer, answered) = async_channel::bounded(1);
        let gone = |_| io::Error::from(io::ErrorKind::UnexpectedEof);
        self.0.send_blocking((prompt.to_owned(), answer)).map_err(gone)?;
        let given = answered.recv_blocking().ok().flatten();
        given.ok_or_else(|| io::ErrorKind::Interrupted.into())
    }
}

impl Live {
    /// Starts a client.
    ///
    /// # Errors
    ///
    /// A sentence for the user.
    pub(crate) async fn start(setting: Setting) -> Result<(Rc<Live>, Channels), String> {
        let data = setting.config.data_folder.clone();
        let client = Client::start(setting.config).map_err(|error| error.to_string())?;
        let ended = |_| "the client has ended".to_owned();
        let subscription = client.subscribe().await.map_err(ended)?;
        let (ask, questions) = async_channel::bounded(1);
        let passwords = Passwords::new(setting.password_file, Some(Arc::new(Asker(ask))));
        let mut dispatcher = Dispatcher::new(client.clone(), passwords).at_a_prompt();
        let plugins =
            setting.plugins.map(|folder| Plugins::new(folder, &data, client, setting.files));
        let (plugins, heard) = plugins.unzip();
        if let Some(plugins) = &plugins {
            dispatcher = dispatcher.with_extension(Arc::new(plugins.clone()));
        }
        let live = Live {
            dispatcher,
            plugins,
            view: RefCell::new(subscription.view),
            timelines: RefCell::default(),
            unread: RefCell::default(),
            shown: RefCell::default(),
            invitations: RefCell::default(),
            trusted: RefCell::default(),
            asked_for: RefCell::default(),
            is_looked_at: Cell::new(false),
            watched: RefCell::default(),
        };
        live.load_plugins();
        Ok((Rc::new(live), Channels { events: subscription.events, questions, heard }))
    }

    /// Loads the plugins on a thread of its own, which ends with the process.
    fn load_plugins(&self) {
        if let Some(plugins) = self.plugins.clone() {
            let load = move || async_io::block_on(plugins.load_all());
            // If no thread starts, there are no plugins.
            let _ = thread::Builder::new().name("plugins".into()).spawn(load);
        }
    }

    /// Takes the events until the client ends. `show` is called after each batch.
    pub(crate) async fn run(self: Rc<Self>, mut events: Events, mut show: impl FnMut(Changes)) {
        while let Ok(first) = events.recv().await {
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH
                && let Ok(next) = events.try_recv()
            {
                batch.push(next);
            }
            let mut changes = Changes::default();
            let mut new: BTreeMap<Option<ConversationId>, Vec<(u64, Body)>> = BTreeMap::new();
            let (mut last, mut has_lost) = (None, false);
            for Told { event, receipt } in batch {
                has_lost |= matches!(&event, Event::Notice { code: NoticeCode::EventsDropped, .. });
                if let Some(event) = self.filtered(event).await {
                    self.take(event, &mut new, &mut changes);
                }
                last = Some(receipt);
            }
            self.add(new);
            self.watch_people();
            show(changes);
            // It confirms those before it too.
            last.into_iter().for_each(letschat_engine::events::Receipt::confirm);
            if has_lost && let Ok(again) = self.client().subscribe().await {
                self.view.replace(again.view);
                events = again.events;
            }
            glib::timeout_future(BATCH).await;
        }
    }

    /// Returns the event after the plugins' filters.
    async fn filtered(&self, event: Event) -> Option<Event> {
        let Some(plugins) = &self.plugins else { return Some(event) };
        if !event.is_for_views() {
            plugins.tell(&event);
        }
        plugins.filter_shown(&event).await
    }

    fn take(
        &self,
        event: Event,
        new: &mut BTreeMap<Option<ConversationId>, Vec<(u64, Body)>>,
        changes: &mut Changes,
    ) {
        // The list that shows an entry reads the view, which must be free then.
        let file = file_of(&event);
        let state_before = file.and_then(|id| self.file_state(id));
        let is_other_account = {
            let mut view = self.view.borrow_mut();
            let account = view.account.clone();
            view.apply(&event);
            account.is_some() && view.account != account
        };
        if is_other_account {
            self.forget_conversations();
            new.clear();
            changes.is_other_account = true;
        }
        if let Some(HistoryMessage { conversation, message }) = HistoryMessage::of(&event) {
            if !message.own && !self.is_seen(&conversation) {
                *self.unread.borrow_mut().entry(conversation.clone()).or_default() += 1;
            }
            let time_ms = message.time_ms;
            let body = match &event {
                Event::FileOffered { file, .. } => Body::File(message, file.clone()),
                _ => Body::Message(message),
            };
            new.entry(Some(conversation.clone())).or_default().push((time_ms, body));
            changes.conversations.push(conversation);
            changes.heard.push(event);
            return;
        }
        changes.has_state = true;
        match &event {
            Event::History(messages) => {
                self.add(std::mem::take(new));
                self.remember(messages);
            }
            Event::MessageState { conversation, id, state, .. } => {
                self.add(std::mem::take(new));
                self.timeline(Some(conversation.clone())).set_state(*id, *state);
            }
            Event::FileProgress { file, .. }
            | Event::FileDone { file, .. }
            | Event::FileFailed { file, .. }
                if self.file_state(file.id) != state_before =>
            {
                self.add(std::mem::take(new));
                self.timeline(Some(file.conversation.clone())).show_again(file.id);
            }
            Event::Request { from, group, fingerprint, key, .. } => {
                self.trusted.borrow_mut().remove(from);
                if let Some(group) = group {
                    let by = (from.clone(), fingerprint.clone(), *key);
                    self.invitations.borrow_mut().insert(group.clone(), by);
                }
                changes.heard.push(event.clone());
            }
            _ => {}
        }
        let note = self.read(|view| note(&event, view)).filter(|_| !self.has_mark_of(&event));
        if let Some((conversation, kind, text)) = note {
            if conversation.is_none() && matches!(kind, Kind::Warning | Kind::Request) {
                changes.warnings.push(text.clone());
            }
            changes.conversations.extend(conversation.clone());
            let time_ms = clock::now().wall_ms;
            new.entry(conversation).or_default().push((time_ms, Body::Note(kind, text)));
        }
    }

    /// Returns true if the mark at a message says the same as the event. Bad news is told in words too.
    fn has_mark_of(&self, event: &Event) -> bool {
        let Event::MessageState { conversation, id, state, .. } = event else { return false };
        let is_bad = matches!(state, MessageState::Failed | MessageState::Expired);
        !is_bad && self.timeline(Some(conversation.clone())).place_of(*id).is_some()
    }

    /// Adds entries to their conversations.
    fn add(&self, new: BTreeMap<Option<ConversationId>, Vec<(u64, Body)>>) {
        for (conversation, entries) in new {
            let messages = entries.iter().filter_map(|(_, body)| body.message());
            let count = messages.filter(|message| !message.own).count() as u64;
            // Nothing was unread before these.
            let is_first_new = conversation.as_ref().is_some_and(|one| {
                count > 0 && self.unread.borrow().get(one).is_some_and(|unread| *unread <= count)
            });
            let is_shown = conversation == self.shown();
            let timeline = self.timeline(conversation);
            if is_first_new {
                timeline.forget_new();
            }
            timeline.append(entries, is_first_new);
            timeline.trim(is_shown);
        }
    }

    /// Does something with each timeline.
    pub(crate) fn for_each_timeline(&self, act: impl FnMut(&Timeline)) {
        self.timelines.borrow().values().for_each(act);
    }

    fn forget_conversations(&self) {
        self.timelines.borrow_mut().clear();
        self.unread.borrow_mut().clear();
        self.invitations.borrow_mut().clear();
        self.trusted.borrow_mut().clear();
        self.shown.replace(None);
    }

    /// Watches who comes and goes, from each login on. Later logins of the session itself go on with it.
    fn watch_people(&self) {
        let view = self.view.borrow();
        let is_logged_in = view.session.link == LinkState::LoggedIn;
        let me = view.session.username.clone().filter(|_| is_logged_in);
        if *self.watched.borrow() == me {
            return;
        }
        self.watched.replace(me.clone());
        if me.is_some() {
            let client = self.client().clone();
            glib::spawn_future_local(async move {
                // Without a login there is nobody to show.
                let _ = client.request(Request::Watch(true)).await;
                let _ = client.request(Request::List).await;
            });
        }
    }

    fn file_state(&self, id: MessageId) -> Option<FileState> {
        self.read(|view| view.files.get(&id).map(|file| file.state))
    }

    fn is_seen(&self, conversation: &ConversationId) -> bool {
        self.is_looked_at.get() && self.shown.borrow().as_ref() == Some(conversation)
    }

    /// Returns the client.
    pub(crate) fn client(&self) -> &Client {
        self.dispatcher.client()
    }

    /// Returns the dispatcher.
    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// Notes the conversation to which a command has gone.
    pub(crate) fn note_asked_for(&self, conversation: Option<ConversationId>) {
        self.asked_for.replace(conversation);
    }

    /// Takes that conversation, if there is one.
    pub(crate) fn take_asked_for(&self) -> Option<ConversationId> {
        self.asked_for.take()
    }

    /// Returns the plugins, if there may be any.
    pub(crate) fn plugins(&self) -> Option<&Plugins> {
        self.plugins.as_ref()
    }

    /// Reads the view.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        read(&self.view.borrow())
    }

    /// Returns the open account.
    pub(crate) fn account(&self) -> Option<Username> {
        self.view.borrow().account.clone()
    }

    /// Returns true if there is a direct chat with somebody.
    pub(crate) fn has_chat(&self, who: &Username) -> bool {
        self.view.borrow().session.chats.contains_key(who)
    }

    /// Returns the entries of a conversation, or the client's own notes.
    pub(crate) fn timeline(&self, conversation: Option<ConversationId>) -> Timeline {
        let mut timelines = self.timelines.borrow_mut();
        if timelines.len() >= MAX_TIMELINES && !timelines.contains_key(&conversation) {
            let (view, shown) = (self.view.borrow(), self.shown.borrow());
            // Those of which nothing is listed have lines of the client alone.
            timelines.retain(|one, _| match one {
                Some(one) => view.conversations.contains_key(one) || Some(one) == shown.as_ref(),
                None => true,
            });
        }
        timelines.entry(conversation).or_default().clone()
    }

    /// Returns the conversation that is shown.
    pub(crate) fn shown(&self) -> Option<ConversationId> {
        self.shown.borrow().clone()
    }

    /// Shows a conversation, or the client's own notes.
    pub(crate) fn show(&self, conversation: Option<ConversationId>) {
        if let Some(conversation) = &conversation {
            self.unread.borrow_mut().remove(conversation);
        }
        if let Some(before) = self.shown.replace(conversation.clone())
            && Some(&before) != conversation.as_ref()
        {
            let before = self.timeline(Some(before));
            before.forget_new();
            before.trim(false);
        }
    }

    /// Notes whether the user looks at the window.
    pub(crate) fn look(&self, is_looked_at: bool) {
        self.is_looked_at.set(is_looked_at);
        if let Some(shown) = self.shown().filter(|_| is_looked_at) {
            self.unread.borrow_mut().remove(&shown);
        }
    }

    /// Returns true if the user looks at the window.
    pub(crate) fn is_looked_at(&self) -> bool {
        self.is_looked_at.get()
    }

    /// Notes that the user has accepted somebody's changed key.
    pub(crate) fn note_trusted(&self, who: Username) {
        self.trusted.borrow_mut().insert(who);
    }

    /// Returns true if the user has accepted the changed key with which somebody asks.
    pub(crate) fn is_trusted(&self, who: &Username) -> bool {
        self.trusted.borrow().contains(who)
    }

    /// Returns who has invited the user to a group, if that was told in this run: the name, the fingerprint and the state
    /// of the key.
    pub(crate) fn invited_by(&self, group: &GroupName) -> Option<(Username, String, KeyState)> {
        self.invitations.borrow().get(group).cloned()
    }

    /// Returns the number of unread messages of a conversation.
    pub(crate) fn unread(&self, conversation: &ConversationId) -> u64 {
        self.unread.borrow().get(conversation).copied().unwrap_or_default()
    }

    /// Adds a line of the client itself to a conversation.
    pub(crate) fn note(&self, conversation: Option<ConversationId>, kind: Kind, text: String) {
        let new = [(conversation, vec![(clock::now().wall_ms, Body::Note(kind, text))])];
        self.add(new.into());
    }

    /// Adds the output of a plugin.
    pub(crate) fn hear(&self, plugin: &str, said: Said) {
        let (kind, text) = match said {
            Said::Log("debug", _) | Said::Bell => return,
            Said::Text(text) | Said::Log("info", text) => (Kind::Hint, text),
            Said::Log(_, text) | Said::Error(text) => (Kind::Warning, text),
        };
        self.note(self.shown(), kind, format!("{plugin}: {text}"));
    }
}

/// Returns the file that an event is about.
fn file_of(event: &Event) -> Option<MessageId> {
    match event {
        Event::FileProgress { file, .. }
        | Event::FileDone { file, .. }
        | Event::FileFailed { file, .. } => Some(file.id),
        _ => None,
    }
}

/// Returns the note for an event: its conversation, its kind and its text.
fn note(event: &Event, view: &View) -> Option<(Option<ConversationId>, Kind, String)> {
    match event {
        // The lists, the banners and the transfers show these.
        Event::Joined { .. } | Event::Left { .. } | Event::Request { group: None, .. } => {
            return None;
        }
        Event::RequestEnded { .. } | Event::FileProgress { .. } => return None,
        _ => {}
    }
    let text = render::event(event, &view.session)?;
    let (kind, _) = appearance(event);
    Some((conversation_of(event, view.session.username.as_ref()), kind, text))
}
