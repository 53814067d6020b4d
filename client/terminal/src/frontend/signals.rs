//! Orderly shutdown on signals, and job control.

use std::future::{Future, pending};
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_channel::Receiver;
use async_io::Timer;
use async_signal::{Signal, Signals};
use futures_lite::{FutureExt as _, StreamExt as _};
use letschat_flags::hang_up;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Terminal;
use super::terminal::STOPPING;
use letschat_commands::exit_status;
use letschat_core::session::Request;
use letschat_engine::client::Client;

/// The time for the farewells to peers and the server.
const GRACE: Duration = Duration::from_secs(8);

/// The interval of checks for a closed terminal, where no signal reports it.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Quits at the first SIGTERM, SIGINT or SIGHUP (unless SIGHUP is ignored), and when the user's terminal
/// closes.
pub fn quit_on_signals(client: Client, terminal: Arc<Terminal>) -> io::Result<()> {
    let quit = async move {
        let _ = client.request(Request::Quit).await;
    };
    on_signals(end_of_terminal()?, quit, terminal)
}

/// Returns a receiver that reports the first SIGTERM, SIGINT or SIGHUP. A script stops before its client,
/// or it would take the end of the client for a failure.
pub fn told_of_signals(terminal: Arc<Terminal>) -> io::Result<Receiver<()>> {
    let (teller, told) = async_channel::bounded(1);
    let tell = async move {
        let _ = teller.send(()).await;
    };
    // A script reads no terminal.
    on_signals(pending(), tell, terminal).map(|()| told)
}

/// Returns a receiver that also reports the close of the user's terminal.
pub fn told_of_end(terminal: Arc<Terminal>) -> io::Result<Receiver<()>> {
    let (teller, told) = async_channel::bounded(1);
    let tell = async move {
        let _ = teller.send(()).await;
    };
    on_signals(end_of_terminal()?, tell, terminal).map(|()| told)
}

/// Runs `first` at the first signal or after `end`. Exits the process at a second signal other than SIGHUP, or after
/// [`GRACE`]. It has a thread of its own, so that a blocked output can't keep
/// the process alive.
fn on_signals(
    end: impl Future<Output = ()> + Send + 'static,
    first: impl Future<Output = ()> + Send + 'static,
    terminal: Arc<Terminal>,
) -> io::Result<()> {
    let hang_up = (!hang_up::is_ignored()).then_some(Signal::Hup);
    let wanted = [Signal::Term, Signal::Int, Signal::Tstp, Signal::Cont];
    let mut signals = Signals::new(wanted.into_iter().chain(hang_up))?;
    let watch = async move {
        let signal = async {
            next_end(&mut signals, &terminal).await;
        };
        signal.or(end).await;
        let end = async {
            first.await;
            // Usually the front end exits first, and this thread with it.
            Timer::after(GRACE).await;
        };
        let again = async {
            // The system and the shell may both send SIGHUP for a closed terminal.
            while next_end(&mut signals, &terminal).await == Signal::Hup {}
        };
        end.or(again).await;
        terminal.restore();
        std::process::exit(i32::from(exit_status::FAILED));
    };
    // The thread lasts as long as the process, so nobody waits for it.
    thread::Builder::new().name("signals".into()).spawn(|| async_io::block_on(watch)).map(drop)
}

/// Returns at the next signal that ends the program. Until then it handles SIGTSTP and SIGCONT: it gives the terminal
/// back and takes it again.
async fn next_end(signals: &mut Signals, terminal: &Terminal) -> Signal {
    let mut is_stopping = false;
    loop {
        let next = async {
            match signals.next().await {
                Some(Ok(signal)) => Some(signal),
                // No more signals can be received.
                Some(Err(_)) | None => pending().await,
            }
        };
        let expired = async {
            if !is_stopping {
                pending::<()>().await;
            }
            Timer::after(STOPPING).await;
            None
        };
        match next.or(expired).await {
            Some(Signal::Tstp) => {
                terminal.stop();
                is_stopping = true;
            }
            // Without SIGCONT the process was not stopped: it has no shell that could continue it.
            Some(Signal::Cont) | None => {
                is_stopping = false;
                terminal.note_continued();
            }
            Some(signal) => return signal,
        }
    }
}

/// Returns when the terminal on standard input has closed, or never if there is none. Under nohup(1) no signal
/// reports it, and no read does while a command runs.
fn end_of_terminal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (gone, is_gone) = async_channel::bounded::<()>(1);
    let is_terminal = io::stdin().is_terminal();
    if is_terminal {
        let watch = move || {
            wait_for_hang_up();
            drop(gone);
        };
        // The thread lasts as long as the process, so nobody waits for it.
        thread::Builder::new().name("terminal".into()).spawn(watch)?;
    }
    Ok(async move {
        // The reader of any other input notices its end.
        if !is_terminal {
            pending::<()>().await;
        }
        let _ = is_gone.recv().await;
    })
}

fn wait_for_hang_up() {
    let input = io::stdin();
    loop {
        // poll(2) reports a hang-up without being asked.
        let mut polled = [PollFd::new(&input, PollFlags::empty())];
        match poll(&mut polled, Some(&LOOK_AGAIN)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return,
            Err(_) => thread::park(),
        }
    }
}
