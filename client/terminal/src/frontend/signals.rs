//! An orderly end on request of the system or the user.

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

/// The time for telling chats and the server of the end. The process then exits.
const GRACE: Duration = Duration::from_secs(8);

/// The interval of checks for the end of a terminal, where the system does not report it.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Quits at the first SIGTERM, SIGINT or SIGHUP that is not ignored, and when the user's terminal is gone.
pub fn quit_on_signals(client: Client, terminal: Arc<Terminal>) -> io::Result<()> {
    let quit = async move {
        let _ = client.request(Request::Quit).await;
    };
    on_signals(end_of_terminal()?, quit, terminal)
}

/// Reports the first SIGTERM, SIGINT or SIGHUP. A script stops before its client does. Otherwise it would see the
/// end of the client as a failure.
pub fn told_of_signals(terminal: Arc<Terminal>) -> io::Result<Receiver<()>> {
    let (teller, told) = async_channel::bounded(1);
    let tell = async move {
        let _ = teller.send(()).await;
    };
    // A script reads no terminal.
    on_signals(pending(), tell, terminal).map(|()| told)
}

/// Reports the first signal, and the end of the user's terminal.
pub fn told_of_end(terminal: Arc<Terminal>) -> io::Result<Receiver<()>> {
    let (teller, told) = async_channel::bounded(1);
    let tell = async move {
        let _ = teller.send(()).await;
    };
    on_signals(end_of_terminal()?, tell, terminal).map(|()| told)
}

/// Runs an action at the first signal or at this end. Ends the process at another signal except SIGHUP, or if it
/// has not ended in time. It uses a separate thread, so that blocked output can't keep the process alive.
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
            // The front end ends the process by itself, and this thread with it.
            Timer::after(GRACE).await;
        };
        let again = async {
            // The system and the shell may both report a closed terminal.
            while next_end(&mut signals, &terminal).await == Signal::Hup {}
        };
        end.or(again).await;
        terminal.restore();
        std::process::exit(i32::from(exit_status::FAILED));
    };
    // The thread lasts as long as the process, so it is not joined.
    thread::Builder::new().name("signals".into()).spawn(|| async_io::block_on(watch)).map(drop)
}

/// Returns the next signal that asks for the end. Meanwhile it stops the process and takes the terminal again when
/// signals ask for that.
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
            // Without SIGTSTP the process was not stopped, so there is nothing to continue.
            Some(Signal::Cont) | None => {
                is_stopping = false;
                terminal.note_continued();
            }
            Some(signal) => return signal,
        }
    }
}

/// Returns when the terminal on standard input is gone, or never without one. Under nohup(1) no signal reports
/// that, and nobody reads the terminal while a command runs.
fn end_of_terminal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (gone, is_gone) = async_channel::bounded::<()>(1);
    let is_terminal = io::stdin().is_terminal();
    if is_terminal {
        let watch = move || {
            wait_for_hang_up();
            drop(gone);
        };
        // The thread lasts as long as the process, so it is not joined.
        thread::Builder::new().name("terminal".into()).spawn(watch)?;
    }
    Ok(async move {
        // The reader of another kind of input detects its end.
        if !is_terminal {
            pending::<()>().await;
        }
        let _ = is_gone.recv().await;
    })
}

fn wait_for_hang_up() {
    let input = io::stdin();
    loop {
        // A hang-up is reported without a request.
        let mut polled = [PollFd::new(&input, PollFlags::empty())];
        match poll(&mut polled, Some(&LOOK_AGAIN)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return,
            Err(_) => thread::park(),
        }
    }
}
