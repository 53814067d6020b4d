//! The plugins of an interactive client, and their registrations.
//!
//! * `instance` – a running plugin, on a thread of its own
//! * `extension` – the dispatcher's view of them
//! * `filtering` – filters for sent and shown text
//! * `measured` – rate-limited output
//! * [`declared`] – the commands and filters that plugins declare

pub mod declared;
mod extension;
mod filtering;
pub(super) mod instance;
mod measured;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_io::Timer;
use event_listener::Event as Wakeup;
use futures_lite::FutureExt as _;
use serde_json::Value;

use self::declared::{is_word, read_arguments};
use self::instance::{Ask, Instance, PluginSetup, Registrations, unanswered};
use super::api::store::Store;
use super::failure::{LuaResult, misuse};
use super::output::{Said, bounded};
use super::{modules, queue};
use letschat_commands::command::Dispatcher;
use letschat_commands::extension::Extension as _;
use letschat_commands::failure::Failure;
use letschat_commands::file_access::FileAccess;
use letschat_commands::passwords::Passwords;
use letschat_core::codes::FailureCode;
use letschat_core::event::Event;
use letschat_engine::client::Client;
use letschat_flags::clock;

/// The deadline for a plugin to become ready.
const LOADING_TIME: Duration = Duration::from_secs(5);

/// The deadline for writing the stores at unload and at the client's end.
const SAVING_TIME: Duration = Duration::from_secs(5);

/// The size of the output queue of all plugins. Lines that find it full are dropped.
const MAX_WAITING_LINES: usize = 256;

/// All plugins of a client. Clones share the same state.
#[derive(Clone)]
pub struct Plugins {
    inner: Arc<Inner>,
    /// True for a plugin's own handle, which must not wait until all plugins are loaded.
    is_inside: bool,
}

struct Inner {
    folder: PathBuf,
    store: PathBuf,
    client: Client,
    /// The places where plugins may read and save files.
    files: FileAccess,
    heard: Sender<(String, Said)>,
    typed_ms: AtomicU64,
    loaded: Mutex<BTreeMap<String, Loaded>>,
    /// The plugins that are now being loaded or unloaded.
    changing: Mutex<BTreeSet<String>>,
    /// The stores in use, by the plugin's name.
    stores: Mutex<BTreeMap<String, Weak<Store>>>,
    /// True once every plugin of the folder has been tried.
    is_ready: AtomicBool,
    made_ready: Wakeup,
}

struct Loaded {
    /// `None` once the plugin has ended, by itself or after too many errors.
    instance: Option<Arc<Instance>>,
    /// The number of consecutive messages for which its filters missed the deadline.
    late: usize,
}

impl Loaded {
    fn running(&self) -> Option<&Arc<Instance>> {
        self.instance.as_ref().filter(|instance| !instance.has_ended())
    }
}

/// The output of plugins, with the plugin's name.
pub type Heard = Receiver<(String, Said)>;

impl Plugins {
    /// Creates the plugins of a folder for a client. None is loaded yet. Their stores are in the client's
    /// data folder.
    pub fn new(
        folder: PathBuf,
        data: &Path,
        client: Client,
        files: FileAccess,
    ) -> (Plugins, Heard) {
        let (heard, hearing) = async_channel::bounded(MAX_WAITING_LINES);
        let inner = Inner {
            folder,
            store: data.join("plugins"),
            client,
            files,
            heard,
            typed_ms: AtomicU64::new(clock::now().boot_ms),
            loaded: Mutex::default(),
            changing: Mutex::default(),
            stores: Mutex::default(),
            is_ready: AtomicBool::new(false),
            made_ready: Wakeup::new(),
        };
        (Plugins { inner: Arc::new(inner), is_inside: false }, hearing)
    }

    /// Returns a handle for a plugin.
    fn inside(&self) -> Plugins {
        Plugins { inner: self.inner.clone(), is_inside: true }
    }

    /// Loads every plugin of the folder, by name. Errors go to the output queue.
    pub async fn load_all(&self) {
        let mut names: Vec<String> = self.available();
        names.sort_unstable();
        for name in names {
            // An earlier plugin may have loaded it.
            if self.is_loaded(&name) {
                continue;
            }
            if let Err(failure) = self.load_one(&name).await {
                // If the queue is full, the user already has enough lines to read.
                let _ = self.inner.heard.try_send((name, Said::Error(bounded(failure.message))));
            }
        }
        self.inner.is_ready.store(true, Ordering::SeqCst);
        self.inner.made_ready.notify(usize::MAX);
    }

    /// Waits until the folder's plugins have been loaded. A plugin does not wait, since it may be one of
    /// them.
    async fn all_loaded(&self) {
        if self.is_inside {
            return;
        }
        loop {
            let made_ready = self.inner.made_ready.listen();
            if self.inner.is_ready.load(Ordering::SeqCst) {
                return;
            }
            made_ready.await;
        }
    }

    /// Lists the plugins in the folder.
    fn available(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.inner.folder) else { return Vec::new() };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_lua = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "lua");
        let names = paths.filter(is_lua).filter_map(|p| Some(p.file_stem()?.to_str()?.to_owned()));
        names.filter(|name| is_word(name)).collect()
    }

    /// Loads a plugin that is not loaded.
    async fn load_one(&self, name: &str) -> LuaResult<()> {
        let _change = self.begin_change(name)?;
        if self.is_loaded(name) {
            return Err(misuse(format!(
                "{name} is loaded; `/plugin reload {name}` loads it anew."
            )));
        }
        let instance = self.start(name).await?;
        self.lock().insert(name.to_owned(), Loaded { instance: Some(instance), late: 0 });
        Ok(())
    }

    /// Ends a plugin, removes its registrations and writes its store.
    async fn unload_one(&self, name: &str) -> LuaResult<()> {
        let _change = self.begin_change(name)?;
        let removed = self.lock().remove(name).ok_or_else(|| not_loaded(name))?;
        let Some(instance) = removed.instance else { return Ok(()) };
        instance.end();
        let store = instance.store.clone();
        drop(instance);
        match within(SAVING_TIME, smol::unblock(move || store.save())).await {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(not_written(name, &error.to_string())),
            None => Err(not_written(name, "it takes too long")),
        }
    }

    /// Loads a plugin again. The old instance stays if the new one fails.
    async fn load_anew(&self, name: &str) -> LuaResult<()> {
        let _change = self.begin_change(name)?;
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
                // This fails if the new instance has already ended.
                let _ = new.asks.send(Ask::Restore { state }).await;
            }
        }
        self.lock().insert(name.to_owned(), Loaded { instance: Some(new), late: 0 });
        Ok(())
    }

    /// Locks a plugin against other loading or unloading until the guard is dropped. It also stops a plugin
    /// from reloading itself, which would deadlock or never end.
    fn begin_change(&self, name: &str) -> LuaResult<Change> {
        if !lock(&self.inner.changing).insert(name.to_owned()) {
            let why = format!("{name} is being loaded or unloaded; try it when that is done.");
            return Err(Failure::new(FailureCode::Plugin, why));
        }
        Ok(Change { plugins: self.clone(), name: name.to_owned() })
    }

    fn is_loaded(&self, name: &str) -> bool {
        self.lock().get(name).is_some_and(|loaded| loaded.running().is_some())
    }

    /// Returns the store of a plugin. An instance that is ending and one that is being loaded share it.
    fn store(&self, name: &str) -> Arc<Store> {
        let mut stores = lock(&self.inner.stores);
        stores.retain(|_, store| store.strong_count() > 0);
        if let Some(store) = stores.get(name).and_then(Weak::upgrade) {
            return store;
        }
        let store = Store::new(self.inner.store.join(format!("{name}.json")));
        stores.insert(name.to_owned(), Arc::downgrade(&store));
        store
    }

    async fn start(&self, name: &str) -> LuaResult<Arc<Instance>> {
        if !is_word(name) {
            return Err(misuse(
                "A plugin is named by its file in the plugin folder, without .lua.",
            ));
        }
        let failed = |why: String| {
            Failure::new(FailureCode::Plugin, format!("The plugin {name} is not loaded: {why}"))
        };
        let path = self.inner.folder.join(format!("{name}.lua"));
        let source = modules::read(&path).map_err(|error| failed(format!("{error}.")))?;
        let dispatcher = Dispatcher::new(self.inner.client.clone(), Passwords::new(None, None));
        let setup = PluginSetup {
            name: name.to_owned(),
            source,
            dispatcher: dispatcher
                .with_files(self.inner.files.clone())
                .below_extension(Arc::new(self.inside())),
            plugins: self.inside(),
            store: self.store(name),
            folder: self.inner.folder.clone(),
            heard: self.inner.heard.clone(),
        };
        let started = within(LOADING_TIME, Instance::start(setup)).await;
        let started = started.unwrap_or_else(|| Err("it is not ready in time.".into()));
        started.map_err(failed)
    }

    /// Records that a plugin's thread has ended by itself.
    fn note_end(&self, name: &str, registrations: &Arc<Mutex<Registrations>>) {
        let mut loaded = self.lock();
        if let Some(plugin) = loaded.get_mut(name)
            && plugin
                .instance
                .as_ref()
                .is_some_and(|instance| Arc::ptr_eq(&instance.registrations, registrations))
        {
            plugin.instance = None;
        }
    }

    /// Returns the name of another plugin that has this command.
    pub(super) fn owner(&self, command: &str, but: &str) -> Option<String> {
        let has = |instance: &Instance| {
            lock(&instance.registrations).commands.iter().any(|known| known.name == command)
        };
        let owner = self.instances().into_iter().find(|(name, i)| name != but && has(i));
        owner.map(|(name, _)| name)
    }

    /// Runs a plugin's command and returns the answer to show.
    async fn run_command(&self, name: &str, line: &str) -> LuaResult<Option<String>> {
        let command = self.command(name).ok_or_else(|| {
            Failure::new(
                FailureCode::UnknownCommand,
                "There is no such command; `/help` lists them.",
            )
        })?;
        let arguments = Value::Object(read_arguments(&command, line)?);
        let has = |instance: &Instance| {
            lock(&instance.registrations).commands.iter().any(|known| known.name == command.name)
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

    /// Sends an event to every plugin.
    pub fn tell(&self, event: &Event) {
        for (name, instance) in self.instances() {
            if let Some(warning) = instance.tell(queue::to_value(event)) {
                let _ = self.inner.heard.try_send((name, Said::Log("warn", warning)));
            }
        }
    }

    /// Records that the user has typed something.
    pub fn note_typing(&self) {
        self.inner.typed_ms.store(clock::now().boot_ms, Ordering::SeqCst);
    }

    /// Returns the seconds since the user last typed.
    pub(super) fn idle_seconds(&self) -> f64 {
        let typed_ms = self.inner.typed_ms.load(Ordering::SeqCst);
        clock::now().boot_ms.saturating_sub(typed_ms) as f64 / 1000.0
    }

    /// Ends all plugins and writes their stores within five seconds. Returns the errors.
    pub fn finish(&self) -> Vec<String> {
        let loaded = std::mem::take(&mut *self.lock());
        drop(loaded);
        let stores = lock(&self.inner.stores).clone();
        let (written, all_written) = mpsc::channel();
        let write = move || {
            for (name, store) in stores {
                let saved = store.upgrade().map_or(Ok(()), |store| store.save());
                // The receiver is gone after the deadline.
                let _ = written.send(saved.map_err(|error| (name, error.to_string())));
            }
        };
        // The client does not join the thread, since a disk that hangs must not block its exit.
        let thread = thread::Builder::new().name("stores".into()).spawn(write);
        let mut wrong: Vec<String> =
            thread.err().map(|error| error.to_string()).into_iter().collect();
        let until = Instant::now() + SAVING_TIME;
        loop {
            match all_written.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Ok(())) => {}
                Ok(Err((name, why))) => wrong.push(not_written(&name, &why).message),
                Err(RecvTimeoutError::Disconnected) => return wrong,
                Err(RecvTimeoutError::Timeout) => {
                    wrong.push("What the plugins keep could not all be written in time.".into());
                    return wrong;
                }
            }
        }
    }

    fn instances(&self) -> Vec<(String, Arc<Instance>)> {
        let loaded = self.lock();
        let running = loaded.iter().filter_map(|(name, plugin)| {
            plugin.running().map(|instance| (name.clone(), instance.clone()))
        });
        running.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Loaded>> {
        lock(&self.inner.loaded)
    }
}

/// A guard for a change to one plugin.
struct Change {
    plugins: Plugins,
    name: String,
}

impl Drop for Change {
    fn drop(&mut self) {
        lock(&self.plugins.inner.changing).remove(&self.name);
    }
}

/// Returns a plugin's commands and filters as text for people.
fn registered(registrations: &Registrations) -> String {
    if registrations.commands.is_empty() {
        return String::new();
    }
    let names: Vec<String> =
        registrations.commands.iter().map(|c| format!("/{}", c.name)).collect();
    format!(", {}", names.join(" "))
}

fn not_loaded(name: &str) -> Failure {
    misuse(format!("No plugin {name} is loaded; `/plugin list` shows which there are."))
}

fn not_written(name: &str, why: &str) -> Failure {
    Failure::new(FailureCode::Store, format!("What {name} keeps could not be written: {why}."))
}

async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let expired = async {
        Timer::after(time).await;
        None
    };
    async { Some(future.await) }.or(expired).await
}

/// Locks a mutex. No code panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Plugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugins").field("folder", &self.inner.folder).finish_non_exhaustive()
    }
}
