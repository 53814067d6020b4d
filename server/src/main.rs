//! `letschat-server`: flags, log and signals around [`Server`], and the subcommands.
//!
//! * `config` – flags, environment and settings file
//! * `log` – the log, for people or for programs
//! * `console` – the operator's commands while the server runs
//! * `announce` – offers the server on the local network
//! * `account_admin`, `fingerprint`, `health` – the subcommands
//! * `pages` – man pages and completions
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod account_admin;
mod announce;
mod config;
mod console;
mod fingerprint;
mod health;
mod log;
mod pages;

use std::env;
use std::error::Error;
use std::future;
use std::io;
use std::net::IpAddr;
use std::process::ExitCode;

use async_signal::{Signal, Signals};
use futures_lite::{FutureExt as _, StreamExt as _};
use letschat_flags::hang_up;
use letschat_flags::output::{self, OutputError};
use letschat_server::Server;
use letschat_server::hub::Operator;
use letschat_server::open_room::OpenRoom;

use account_admin::AdminError;
use announce::Announcement;
use config::{Flags, SettingsError, Task};
use console::{Rules, Screen};
use log::Log;

fn main() -> ExitCode {
    if let Some(folder) = letschat_flags::pages::wanted(env::args_os()) {
        let failed = |error| format!("{} can't be written: {error}", folder.display()).into();
        return ended(pages::write(&folder).map_err(failed));
    }
    // Wrong usage exits here with status 2.
    let flags = match Flags::read(env::args_os()) {
        Ok(flags) => flags,
        Err(error) => return error.report("letschat-server"),
    };
    ended(run(&flags))
}

fn ended(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain("letschat-server", &error);
            ExitCode::from(if is_wrong_usage(&*error) { 2 } else { 1 })
        }
    }
}

fn run(flags: &Flags) -> Result<(), Box<dyn Error>> {
    match &flags.task {
        None => with_log(flags, || serve(flags)),
        Some(Task::Account(task)) => account_admin::run(task, flags),
        Some(Task::OpenRoom { room_port, public }) => {
            with_log(flags, || serve_open_room(flags.listen(), *room_port, *public))
        }
        Some(Task::Fingerprint) => fingerprint::print(&flags.data_folder()?),
        Some(Task::Health { address }) => {
            let here = || flags.address_here().to_string();
            match (address, &flags.metrics) {
                (None, Some(metrics)) => Ok(health::check_readiness(metrics)?),
                _ => Ok(health::check(&address.clone().unwrap_or_else(here))?),
            }
        }
    }
}

fn is_wrong_usage(error: &(dyn Error + 'static)) -> bool {
    let of_accounts = error.downcast_ref::<AdminError>();
    error.is::<SettingsError>() || of_accounts.is_some_and(AdminError::is_wrong_usage)
}

fn with_log(
    flags: &Flags,
    serve: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let log = Log::start(flags.log_level(), flags.log_format)?;
    let result = serve();
    log.flush();
    result
}

fn serve(flags: &Flags) -> Result<(), Box<dyn Error>> {
    // Read the settings before handling signals: a password file may be a pipe that blocks, and a
    // signal must still end the process at once.
    let settings = flags.settings()?;
    // Handle signals before the server is reachable, so that none arrives unhandled.
    let signals = signals()?;
    let server = Server::start(settings)?;
    if let Some(port) = server.metrics_port() {
        tracing::info!("metrics are at http://{port}/metrics");
    }
    print_start(&server)?;
    let announcement = flags.announces().then(|| Announcement::start(&server));
    let rules = if flags.is_classroom() { Rules::of_classroom() } else { Rules::Standard };
    let screen = Screen::start(server.shown())?;
    console::listen(server.controls(), rules)?;
    let result = smol::block_on(async {
        let stopped = async {
            server.stopped().await;
            Ok(())
        };
        stopped.or(obey_signals(&server, signals)).await
    });
    drop(announcement);
    if result.is_ok() {
        screen.finish();
    }
    result
}

/// Serves an open room until a signal ends it.
fn serve_open_room(
    listen: Option<IpAddr>,
    port: u16,
    is_public: bool,
) -> Result<(), Box<dyn Error>> {
    // Handle signals before the room is reachable, so that none arrives unhandled.
    let mut signals = signals()?;
    let room = OpenRoom::open(listen, port, is_public)?;
    tracing::info!("the open room is at UDP {}", room.address());
    output::print("Server Initialized...\n")?;
    let signal = async {
        signals.next().await;
    };
    smol::block_on(signal.or(room.serve()));
    Ok(())
}

/// Prints two lines at the start: the server's address and its key.
fn print_start(server: &Server) -> Result<(), OutputError> {
    let (address, fingerprint) = (server.address(), server.fingerprint());
    output::print(&format!("listening on {address}\nfingerprint {fingerprint}\n"))
}

/// Returns the signals that stop the server. SIGHUP is excluded if it was ignored at the start, as
/// with nohup(1).
fn signals() -> io::Result<Signals> {
    let hang_up = (!hang_up::is_ignored()).then_some(Signal::Hup);
    Signals::new([Signal::Term, Signal::Int].into_iter().chain(hang_up))
}

/// Stops the server on the first signal, and exits at once on a second one. A second hang-up is
/// ignored: the system and the shell may both send one for a closed terminal.
async fn obey_signals(server: &Server, mut signals: Signals) -> Result<(), Box<dyn Error>> {
    signals.next().await;
    let stopping = async {
        server.operate(Operator::Stop).await;
        future::pending::<()>().await;
    };
    let again = async { while matches!(signals.next().await, Some(Ok(Signal::Hup))) {} };
    stopping.or(again).await;
    Err("ended without waiting for the last words to go out".into())
}
