//! A running client as its window sees it: its view, the entries of its conversations, and the task that takes its
//! events.
//!
//! Events are taken in batches, so that a flood of messages changes the window twenty times a second at most.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use adw::glib;
use async_channel::{Receiver, Sender};
use letschat_commands::appearance::{Kind, appearance, conversation_of};
use letschat_commands::command::{Command, Dispatcher, Prepared, Role, parse_object};
use letschat_commands::failure::Failure;
use letschat_commands::file_access::FileAccess;
use letschat_commands::passwords::{Ask, Passwords};
use letschat_commands::render;
use letschat_core::conversation::ConversationId;
use letschat_core::event::Event;
use letschat_core::history::HistoryMessage;
use letschat_core::session::{Reply, Request};
use letschat_core::view::{LinkState, RecentMessage, View};
use letschat_engine::Client;
use letschat_engine::client::Config;
use letschat_engine::events::{Events, Told};
use letschat_flags::clock;
use letschat_lua::Said;
use letschat_lua::plugins::{Heard, Plugins};
use letschat_protocol::dialogue::Secret;
use letschat_protocol::username::Username;
use serde_json::{Map, Value};

use crate::timeline::{Body, Timeline};

/// The least time between two batches of events.
const BATCH: Duration = Duration::from_millis(50);

/// The most events of a batch. Others wait for the next one.
const MAX_BATCH: usize = 256;

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
    /// Warnings that belong to no conversation.
    pub(crate) warnings: Vec<String>,
    /// The user has logged in.
    pub(crate) has_logged_in: bool,
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
            is_looked_at: Cell::new(true),
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
    pub(crate) async fn run(self: Rc<Self>, events: Events, mut show: impl FnMut(Changes)) {
        while let Ok(first) = events.recv().await {
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH
                && let Ok(next) = events.try_recv()
            {
                batch.push(next);
            }
            let mut changes = Changes::default();
            let mut new: BTreeMap<Option<ConversationId>, Vec<(u64, Body)>> = BTreeMap::new();
            let mut last = None;
            for Told { event, receipt } in batch {
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
        let is_other_account = {
            let mut view = self.view.borrow_mut();
            let account = view.account.clone();
            view.apply(&event);
            view.account != account
        };
        if is_other_account {
            self.forget_conversations();
            new.clear();
            changes.is_other_account = true;
        }
        changes.has_logged_in |= matches!(event, Event::LoggedIn { .. });
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
            Event::History(messages) => self.remember(messages),
            Event::MessageState { conversation, id, state, .. } => {
                self.add(std::mem::take(new));
                self.timeline(Some(conversation.clone())).set_state(*id, *state);
            }
            Event::FileDone { file, .. } | Event::FileFailed { file, .. } => {
                self.add(std::mem::take(new));
                self.timeline(Some(file.conversation.clone())).show_again(file.id);
            }
            Event::Request { .. } => changes.heard.push(event.clone()),
            _ => {}
        }
        let note = self.read(|view| note(&event, view));
        if let Some((conversation, kind, text)) = note {
            if conversation.is_none() && kind == Kind::Warning {
                changes.warnings.push(text.clone());
            }
            changes.conversations.extend(conversation.clone());
            let time_ms = clock::now().wall_ms;
            new.entry(conversation).or_default().push((time_ms, Body::Note(kind, text)));
        }
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
            let timeline = self.timeline(conversation);
            if is_first_new {
                timeline.forget_new();
            }
            timeline.append(entries, is_first_new);
        }
    }

    /// Adds messages of the history, which are older than those that have come.
    fn remember(&self, messages: &[HistoryMessage]) {
        let mut by_conversation: BTreeMap<&ConversationId, Vec<RecentMessage>> = BTreeMap::new();
        for HistoryMessage { conversation, message } in messages {
            by_conversation.entry(conversation).or_default().push(message.clone());
        }
        for (conversation, messages) in by_conversation {
            self.timeline(Some(conversation.clone())).prepend(&messages);
        }
    }

    fn forget_conversations(&self) {
        self.timelines.borrow_mut().clear();
        self.unread.borrow_mut().clear();
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

    fn is_seen(&self, conversation: &ConversationId) -> bool {
        self.is_looked_at.get() && self.shown.borrow().as_ref() == Some(conversation)
    }

    /// Returns the client.
    pub(crate) fn client(&self) -> &Client {
        self.dispatcher.client()
    }

    /// Returns the plugins, if there may be any.
    pub(crate) fn plugins(&self) -> Option<&Plugins> {
        self.plugins.as_ref()
    }

    /// Reads the view.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        read(&self.view.borrow())
    }

    /// Returns the entries of a conversation, or the client's own notes.
    pub(crate) fn timeline(&self, conversation: Option<ConversationId>) -> Timeline {
        self.timelines.borrow_mut().entry(conversation).or_default().clone()
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
            self.timeline(Some(before)).forget_new();
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

    /// Returns the number of unread messages of a conversation.
    pub(crate) fn unread(&self, conversation: &ConversationId) -> u64 {
        self.unread.borrow().get(conversation).copied().unwrap_or_default()
    }

    /// Adds a line of the client itself to the conversation that is shown.
    pub(crate) fn note(&self, kind: Kind, text: String) {
        let new = [(self.shown(), vec![(clock::now().wall_ms, Body::Note(kind, text))])];
        self.add(new.into());
    }

    /// Adds the output of a plugin.
    pub(crate) fn hear(&self, plugin: &str, said: Said) {
        let (kind, text) = match said {
            Said::Log("debug", _) | Said::Bell => return,
            Said::Text(text) | Said::Log("info", text) => (Kind::Hint, text),
            Said::Log(_, text) | Said::Error(text) => (Kind::Warning, text),
        };
        self.note(kind, format!("{plugin}: {text}"));
    }

    /// Runs the command of a role with these arguments.
    pub(crate) async fn run_role<const N: usize>(
        &self,
        role: Role,
        arguments: [(&str, String); N],
    ) -> Result<Reply, Failure> {
        let arguments = arguments.map(|(name, value)| (name.to_owned(), Value::String(value)));
        self.run_object(Command::of(role).name, &arguments.into_iter().collect()).await
    }

    /// Runs a command with the arguments of an object.
    pub(crate) async fn run_object(
        &self,
        name: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Reply, Failure> {
        let call = parse_object(name, arguments).map_err(|rejection| rejection.failure)?;
        let call = self.dispatcher.prepare(call).await?;
        self.dispatcher.run(call).await
    }

    /// Runs a typed line, which is a command.
    pub(crate) async fn run_line(&self, line: &str) -> Result<Reply, Failure> {
        let call = self.dispatcher.parse_line(line).map_err(|rejection| rejection.failure)?;
        let call = match self.shown() {
            Some(shown) => call.aimed_at(&shown),
            None => call,
        };
        let call = self.dispatcher.prepare(call).await?;
        self.dispatcher.run(call).await
    }

    /// Logs in by key or by the password file, without a question.
    pub(crate) async fn log_in(&self, username: &Username) -> Result<Reply, Failure> {
        self.dispatcher.run(Prepared::login(username.as_str())).await
    }

    /// Runs a request.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        Ok(self.client().request(request).await?)
    }
}

/// Returns the line of the client itself that an event needs, and its conversation.
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
