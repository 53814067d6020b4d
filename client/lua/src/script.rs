//! `--script`: a client driven by a script.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use async_channel::Receiver;
use async_executor::LocalExecutor;
use futures_lite::FutureExt as _;
use letschat_flags::output::complain;
use letschat_protocol::username::Username;
use mlua::{Function, Lua, MultiValue};

use super::api::clients::ScriptClients;
use super::api::store::Store;
use super::api::{self, clients, output, store};
use super::budget::Budget;
use super::failure::error_text;
use super::host::{End, Host};
use super::modules::{self, Place};
use super::output::{Said, Streams};
use super::script_client::ScriptClient;
use super::{queue, vm};
use letschat_commands::command::{Dispatcher, Prepared};
use letschat_commands::exit_status;
use letschat_commands::failure::Failure;
use letschat_commands::file_access::FileAccess;
use letschat_commands::passwords::Passwords;
use letschat_core::session::Request;
use letschat_engine::client::{Client, Config};
use letschat_engine::events::Events;

/// The size of a script's stack. Deep recursion in Lua needs it.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// A script and its client.
pub struct Script {
    /// The path of the script.
    pub path: PathBuf,
    /// The source.
    pub source: String,
    /// The script's arguments.
    pub arguments: Vec<String>,
    /// The config of the script's client, and the default for further ones.
    pub config: Config,
    /// The script's client.
    pub client: Client,
    /// The client's events.
    pub events: Events,
    /// The user to log in before the script starts.
    pub login: Option<Username>,
    /// The source of passwords that the script does not give.
    pub passwords: Passwords,
    /// The places where the script may read and save files.
    pub files: FileAccess,
    /// The signal to end the script.
    pub stop: Receiver<()>,
}

/// An error that prevents a script from starting.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The variants' docs name their fields.
pub enum ScriptError {
    /// The file can't be read.
    #[error("the script {path} can't be read: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// The thread can't be started.
    #[error("the script's thread can't be started: {0}")]
    Thread(#[source] std::io::Error),
}

/// Reads the source of a script.
///
/// # Errors
///
/// The file can't be read, or is not a script.
pub fn read(path: &Path) -> Result<String, ScriptError> {
    modules::read_script(path).map_err(|source| ScriptError::File { path: path.to_owned(), source })
}

/// Runs a script to its end on its own thread. Returns the exit status.
///
/// # Errors
///
/// The thread can't be started.
pub fn run(script: Script) -> Result<u8, ScriptError> {
    let running = thread::Builder::new().name("script".into()).stack_size(STACK_BYTES);
    let running = running.spawn(move || perform(script)).map_err(ScriptError::Thread)?;
    Ok(running.join().unwrap_or(exit_status::FAILED))
}

fn perform(mut script: Script) -> u8 {
    let source = std::mem::take(&mut script.source);
    let executor = Rc::new(LocalExecutor::new());
    let client = script.client.clone();
    async_io::block_on(executor.clone().run(async {
        let status = match LoadedScript::set(script, executor) {
            Ok(loaded) => loaded.play(&source).await,
            Err(error) => {
                let why = error_text(&error);
                complain("letschat", format_args!("the script can't be begun: {why}"));
                exit_status::FAILED
            }
        };
        // An error means that the client has already ended.
        let _ = client.request(Request::Quit).await;
        client.finished().await;
        status
    }))
}

/// A VM prepared for a script.
struct LoadedScript {
    lua: Lua,
    host: Rc<Host>,
    store: Arc<Store>,
    clients: Rc<ScriptClients>,
    client: Client,
    dispatcher: Dispatcher,
    login: Option<Username>,
    stop: Receiver<()>,
    name: String,
}

impl LoadedScript {
    fn set(script: Script, executor: Rc<LocalExecutor<'static>>) -> mlua::Result<LoadedScript> {
        let Script {
            path, arguments, config, client, events, login, passwords, files, stop, ..
        } = script;
        let budget = Budget::new(Arc::new(AtomicBool::new(false)));
        let (lua, runner) = vm::make(budget, Place::beside(&path))?;
        let host = Host::new(runner, executor, Box::new(Streams));
        let name = file_name(&path);
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let kept = format!("scripts/{}.json", stem.unwrap_or_default());
        let store = Store::new(config.data_folder.join(kept));
        let clients = ScriptClients::new(config, files.clone());

        let dispatcher = Dispatcher::new(client.clone(), passwords).with_files(files);
        let script_client = ScriptClient::new(&lua, host.clone(), dispatcher.clone());
        let functions = api::of_client(&lua, &host, &script_client)?;
        api::add_common(&functions, &host)?;
        // A script has no typing user.
        output::add(&functions, &host, &arguments, || 0.0)?;
        store::add(&functions, &host, &store)?;
        clients::add(&functions, &host, &clients)?;
        output::replace_print(&lua, &functions.table)?;
        vm::seal(&lua, &functions.table)?;
        queue::pump(&script_client, events);
        Ok(LoadedScript { lua, host, store, clients, client, dispatcher, login, stop, name })
    }

    async fn play(self, source: &str) -> u8 {
        let main = vm::compile(&self.lua, &self.name, source);
        let end = match main {
            Ok(main) => self.stopped().or(self.host.ended()).or(self.perform(main)).await,
            Err(error) => {
                self.host.say(Said::Error(error_text(&error)));
                End::Failed
            }
        };
        // A failure of the output may have ended the script.
        let end = self.host.end().unwrap_or(end);
        if let Err(error) = self.store.save() {
            self.host.say(Said::Error(format!("What it keeps could not be written: {error}.")));
        }
        self.host.clear();
        self.clients.dismiss().await;
        match end {
            End::Exit(status) => status,
            End::Failed => exit_status::FAILED,
        }
    }

    /// Waits for a request of the system or the user to end. The exit status is success unless there were
    /// errors.
    async fn stopped(&self) -> End {
        if self.stop.recv().await.is_err() {
            // The sender is gone, so no request can come.
            return pending().await;
        }
        let end = match self.host.has_failed() {
            true => End::Failed,
            false => End::Exit(exit_status::SUCCESS),
        };
        self.host.end_by(end);
        end
    }

    /// Runs the script, then waits until its handlers, timers and tasks have ended or the client has.
    async fn perform(&self, main: Function) -> End {
        if let Err(failure) = self.log_in().await {
            self.host.say(Said::Error(failure.message));
            return End::Exit(exit_status::of_failure(failure.code));
        }
        if let Err(trace) = self.host.runner.run(&main, MultiValue::new()).await {
            if !self.host.runner.budget.is_stopped() {
                self.host.say(Said::Error(trace));
                return End::Failed;
            }
            return self.host.ended().await;
        }
        let client_ended = async {
            self.client.finished().await;
        };
        self.host.idle().or(client_ended).await;
        if self.host.has_failed() { End::Failed } else { End::Exit(exit_status::SUCCESS) }
    }
}

impl LoadedScript {
    /// Logs in by the password file, if one is named, else by key.
    async fn log_in(&self) -> Result<(), Failure> {
        let Some(username) = &self.login else { return Ok(()) };
        self.dispatcher.run(Prepared::login(username.as_str())).await.map(drop)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
