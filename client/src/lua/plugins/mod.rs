//! Plugins of an interactive client: which there are, and what they have registered.
//!
//! * `instance` – a running plugin, on a thread of its own
//! * `measured` – what a plugin says, as far as a user can read it
//! * [`declared`] – commands and filters as plugins declare them

pub mod declared;
pub(super) mod instance;
mod measured;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use event_listener::Event as Wakeup;
use futures_lite::FutureExt as _;
use serde_json::{Value, json};

use self::declared::{FilterKind, PluginCommand, PluginFilter, is_word};
use self::instance::{Ask, Birth, Book, Filtered, Instance, unanswered};
use super::failure::{Outcome, misuse};
use super::limits::{FILTER_TIME, MAX_ERRORS};
use super::voice::Said;
use super::{modules, queue};
use crate::client::Client;
use crate::clock;
use crate::command::Dispatcher;
use crate::event::Event;
use crate::passwords::Passwords;
use crate::session::Failure;

/// A plugin that is not ready after this long is given up.
const LOADING_TIME: Duration = Duration::from_secs(5);

/// What plugins say waits here until it is shown; then the rest is left out.
const MAX_WAITING_LINES: usize = 256;

/// All plugins of a client. A handle: clones are the same plugins.
#[derive(Clone)]
pub struct Plugins(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    store: PathBuf,
    client: Client,
    heard: Sender<(String, Said)>,
    typed_ms: AtomicU64,
    loaded: Mutex<BTreeMap<String, Loaded>>,
    /// Whether all of the folder have been tried.
    is_ready: AtomicBool,
    made_ready: Wakeup,
}

struct Loaded {
    /// `None`: it has ended, by itself or after too many errors.
    instance: Option<Arc<Instance>>,
    /// Filters that did not answer in time, since it was loaded.
    late: usize,
}

impl Loaded {
    fn running(&self) -> Option<&Arc<Instance>> {
        self.instance.as_ref().filter(|instance| !instance.has_ended())
    }
}

/// What plugins say, and which of them.
pub(crate) type Heard = Receiver<(String, Said)>;

impl Plugins {
    /// The plugins of a folder for a client, none of them loaded yet. What they keep is in the
    /// client's data folder.
    pub(crate) fn new(folder: PathBuf, data: &Path, client: Client) -> (Plugins, Heard) {
        let (heard, hearing) = async_channel::bounded(MAX_WAITING_LINES);
        let inner = Inner {
            folder,
            store: data.join("plugins"),
            client,
            heard,
            typed_ms: AtomicU64::new(clock::now().boot_ms),
            loaded: Mutex::default(),
            is_ready: AtomicBool::new(false),
            made_ready: Wakeup::new(),
        };
        (Plugins(Arc::new(inner)), hearing)
    }

    /// Loads every plugin of the folder, in the order of their names. Errors are said.
    pub(crate) async fn load_all(&self) {
        let mut names: Vec<String> = self.available();
        names.sort_unstable();
        for name in names {
            if let Err(failure) = self.load(&name).await {
                // A queue that is full has lines enough to read.
                let _ = self.0.heard.try_send((name, Said::Error(failure.message)));
            }
        }
        self.0.is_ready.store(true, Ordering::SeqCst);
        self.0.made_ready.notify(usize::MAX);
    }

    /// Returns when the folder's plugins have been loaded.
    pub(crate) async fn ready(&self) {
        loop {
            let made_ready = self.0.made_ready.listen();
            if self.0.is_ready.load(Ordering::SeqCst) {
                return;
            }
            made_ready.await;
        }
    }

    /// The plugins that the folder has.
    fn available(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.0.folder) else { return Vec::new() };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_lua = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "lua");
        let names = paths.filter(is_lua).filter_map(|p| Some(p.file_stem()?.to_str()?.to_owned()));
        names.filter(|name| is_word(name)).collect()
    }

    /// Loads a plugin that is not loaded.
    pub(crate) async fn load(&self, name: &str) -> Outcome<()> {
        if self.lock().get(name).is_some_and(|loaded| loaded.running().is_some()) {
            return Err(misuse(format!(
                "{name} is loaded; `/plugin reload {name}` loads it anew."
            )));
        }
        let instance = self.start(name).await?;
        self.lock().insert(name.to_owned(), Loaded { instance: Some(instance), late: 0 });
        Ok(())
    }

    /// Ends a plugin and removes all that it has registered.
    pub(crate) fn unload(&self, name: &str) -> Outcome<()> {
        let removed = self.lock().remove(name);
        removed.map(drop).ok_or_else(|| not_loaded(name))
    }

    /// Loads a plugin anew. The old one stays if the new one can't be run.
    pub(crate) async fn reload(&self, name: &str) -> Outcome<()> {
        let old = match self.lock().get(name) {
            Some(loaded) => loaded.running().cloned(),
            None => return Err(not_loaded(name)),
        };
        let new = self.start(name).await?;
        if let Some(old) = old {
            let (answer, answered) = async_channel::bounded(1);
            let state = async {
                old.asks.send(Ask::Save { answer }).await.ok()?;
                answered.recv().await.ok()?
            };
            if let Some(state) = within(LOADING_TIME, state).await.flatten() {
                // A plugin that has ended meanwhile restores nothing.
                let _ = new.asks.send(Ask::Restore { state }).await;
            }
        }
        self.lock().insert(name.to_owned(), Loaded { instance: Some(new), late: 0 });
        Ok(())
    }

    async fn start(&self, name: &str) -> Outcome<Arc<Instance>> {
        if !is_word(name) {
            return Err(misuse(
                "A plugin is named by its file in the plugin folder, without .lua.",
            ));
        }
        let failed =
            |why: String| Failure::new("plugin", format!("The plugin {name} is not loaded: {why}"));
        let path = self.0.folder.join(format!("{name}.lua"));
        let source = modules::read(&path).map_err(|error| failed(format!("{error}.")))?;
        let dispatcher = Dispatcher::new(self.0.client.clone(), Passwords::new(None, None));
        let birth = Birth {
            name: name.to_owned(),
            source,
            dispatcher: dispatcher.below_plugins(self.clone()),
            plugins: self.clone(),
            store: self.0.store.join(format!("{name}.json")),
            folder: self.0.folder.clone(),
            heard: self.0.heard.clone(),
        };
        let started = within(LOADING_TIME, Instance::start(birth)).await;
        let started = started.unwrap_or_else(|| Err("it is not ready in time.".into()));
        started.map_err(failed)
    }

    /// How the plugins are, a line each.
    pub(crate) fn list(&self) -> String {
        let loaded = self.lock();
        let mut lines: Vec<String> = loaded
            .iter()
            .map(|(name, plugin)| match plugin.running() {
                Some(instance) => format!("{name}: loaded{}", registered(&lock(&instance.book))),
                None => format!("{name}: ended"),
            })
            .collect();
        let others = self.available().into_iter().filter(|name| !loaded.contains_key(name));
        lines.extend(others.map(|name| format!("{name}: not loaded")));
        if lines.is_empty() {
            return format!("There are no plugins in {}.", self.0.folder.display());
        }
        lines.sort_unstable();
        lines.join("\n")
    }

    /// The names of all plugins, loaded or not.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = self.available();
        names.extend(self.lock().keys().cloned());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A plugin's thread has come to its end by itself.
    fn note_end(&self, name: &str, book: &Arc<Mutex<Book>>) {
        let mut loaded = self.lock();
        if let Some(plugin) = loaded.get_mut(name)
            && plugin.instance.as_ref().is_some_and(|instance| Arc::ptr_eq(&instance.book, book))
        {
            plugin.instance = None;
        }
    }

    /// All commands of plugins, by their names.
    pub(crate) fn commands(&self) -> Vec<PluginCommand> {
        let books = self.instances().into_iter().map(|(_, instance)| instance.book.clone());
        let mut commands: Vec<PluginCommand> =
            books.flat_map(|book| lock(&book).commands.clone()).collect();
        commands.sort_by(|one, other| one.name.cmp(&other.name));
        commands
    }

    /// The command of this name.
    pub(crate) fn command(&self, name: &str) -> Option<PluginCommand> {
        self.commands().into_iter().find(|command| command.name.eq_ignore_ascii_case(name))
    }

    /// Which other plugin has a command of this name.
    pub(super) fn owner(&self, command: &str, but: &str) -> Option<String> {
        let has = |instance: &Instance| {
            lock(&instance.book).commands.iter().any(|known| known.name == command)
        };
        let owner = self.instances().into_iter().find(|(name, i)| name != but && has(i));
        owner.map(|(name, _)| name)
    }

    /// Runs a plugin's command; the answer is shown.
    pub(crate) async fn run(&self, name: &str, line: &str) -> Outcome<Option<String>> {
        let command = self.command(name).ok_or_else(|| {
            Failure::new("unknown_command", "There is no such command; `/help` lists them.")
        })?;
        let arguments = Value::Object(command.read(line)?);
        let has = |instance: &Instance| {
            lock(&instance.book).commands.iter().any(|known| known.name == command.name)
        };
        let owner = self.instances().into_iter().find(|(_, instance)| has(instance));
        let Some((_, instance)) = owner else { return unanswered() };
        let asks = instance.asks.clone();
        drop(instance);
        let (answer, answered) = async_channel::bounded(1);
        if asks.try_send(Ask::Command { name: command.name, arguments, answer }).is_err() {
            return unanswered();
        }
        answered.recv().await.unwrap_or_else(|_| unanswered())
    }

    /// Tells every plugin an event.
    pub(crate) fn tell(&self, event: &Event) {
        for (name, instance) in self.instances() {
            if let Some(warning) = instance.tell(queue::to_value(event)) {
                let _ = self.0.heard.try_send((name, Said::Log("warn", warning)));
            }
        }
    }

    /// What is to be sent instead of this text; `None`: nothing.
    pub(crate) async fn filter_sent(&self, to: Option<&str>, text: &str) -> Option<String> {
        let message = json!({"text": text, "to": to});
        self.filter(FilterKind::Send, message).await
    }

    /// An event as it is to be shown; `None`: not at all.
    pub(crate) async fn filter_shown(&self, event: &Event) -> Option<Event> {
        let (Event::Message { .. } | Event::Broadcast { .. }) = event else {
            return Some(event.clone());
        };
        let shown = self.filter(FilterKind::Show, queue::to_value(event)).await?;
        let mut event = event.clone();
        if let Event::Message { text, .. } | Event::Broadcast { text, .. } = &mut event {
            *text = shown;
        }
        Some(event)
    }

    async fn filter(&self, kind: FilterKind, mut message: Value) -> Option<String> {
        let mut filters: Vec<(PluginFilter, Arc<Instance>)> = Vec::new();
        for (_, instance) in self.instances() {
            let registered = lock(&instance.book).filters.clone();
            let meant = registered.into_iter().filter(|filter| filter.kind == kind);
            filters.extend(meant.map(|filter| (filter, instance.clone())));
        }
        filters.sort_by(|(one, _), (other, _)| one.order(other));
        for (filter, instance) in filters {
            let (answer, answered) = async_channel::bounded(1);
            let ask = Ask::Filter { id: filter.id, message: message.clone(), answer };
            let answer = async {
                instance.asks.try_send(ask).ok()?;
                answered.recv().await.ok()
            };
            match within(FILTER_TIME, answer).await {
                Some(Some(Filtered::Dropped)) => return None,
                Some(Some(Filtered::Replaced(Value::Object(fields)))) => {
                    if let Some(text @ Value::String(_)) = fields.get("text") {
                        message["text"] = text.clone();
                    }
                }
                Some(_) => {}
                None => self.note_late(&filter.plugin),
            }
        }
        message["text"].as_str().map(str::to_owned)
    }

    /// A filter that is late again and again costs every message its time: the plugin ends.
    fn note_late(&self, name: &str) {
        let mut plugins = self.lock();
        let Some(plugin) = plugins.get_mut(name) else { return };
        plugin.late += 1;
        if plugin.late >= MAX_ERRORS {
            plugin.instance = None;
            let ms = FILTER_TIME.as_millis();
            let message = format!("{MAX_ERRORS} times its filter took more than {ms} ms: the end.");
            let _ = self.0.heard.try_send((name.to_owned(), Said::Error(message)));
        }
    }

    /// The user has typed something.
    pub(crate) fn note_typing(&self) {
        self.0.typed_ms.store(clock::now().boot_ms, Ordering::SeqCst);
    }

    /// For how long the user has typed nothing.
    pub(super) fn idle_seconds(&self) -> f64 {
        let typed_ms = self.0.typed_ms.load(Ordering::SeqCst);
        clock::now().boot_ms.saturating_sub(typed_ms) as f64 / 1000.0
    }

    /// Ends them all.
    pub(crate) fn finish(&self) {
        let loaded = std::mem::take(&mut *self.lock());
        drop(loaded);
    }

    fn instances(&self) -> Vec<(String, Arc<Instance>)> {
        let loaded = self.lock();
        let running = loaded.iter().filter_map(|(name, plugin)| {
            plugin.running().map(|instance| (name.clone(), instance.clone()))
        });
        running.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Loaded>> {
        lock(&self.0.loaded)
    }
}

/// For people, after the name of a plugin.
fn registered(book: &Book) -> String {
    if book.commands.is_empty() {
        return String::new();
    }
    let names: Vec<String> = book.commands.iter().map(|c| format!("/{}", c.name)).collect();
    format!(", {}", names.join(" "))
}

fn not_loaded(name: &str) -> Failure {
    misuse(format!("No plugin {name} is loaded; `/plugin list` shows which there are."))
}

async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let expired = async {
        Timer::after(time).await;
        None
    };
    async { Some(future.await) }.or(expired).await
}

/// Nobody panics while holding one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Plugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugins").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}
