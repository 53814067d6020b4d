//! An orderly end when the system or the user asks for one.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_channel::Receiver;
use async_io::Timer;
use async_signal::{Signal, Signals};
use futures_lite::{FutureExt as _, StreamExt as _};
use letschat_flags::hang_up;

use super::Terminal;
use crate::client::Client;
use crate::exit_status;
use crate::session::Request;

/// Chats and the server are told of the end; what takes longer is cut short.
const GRACE: Duration = Duration::from_secs(8);

/// Quits at the first SIGTERM, SIGINT or SIGHUP, if that is not to mean nothing.
pub fn quit_on_signals(client: Client, terminal: Arc<Terminal>) -> io::Result<()> {
    let quit = async move {
        let _ = client.request(Request::Quit).await;
    };
    on_signals(quit, terminal)
}

/// Says at the first SIGTERM, SIGINT or SIGHUP that one has come. A script stops before its client
/// does, or it would see the end of the client and take that for a failure.
pub fn told_of_signals(terminal: Arc<Terminal>) -> io::Result<Receiver<()>> {
    let (teller, told) = async_channel::bounded(1);
    let tell = async move {
        let _ = teller.send(()).await;
    };
    on_signals(tell, terminal).map(|()| told)
}

/// Does this at the first signal, and ends the process at another one but SIGHUP, or if the process has not
/// ended by itself. On a thread of its own, so that an output that nobody reads can't keep the
/// process alive.
fn on_signals(
    first: impl Future<Output = ()> + Send + 'static,
    terminal: Arc<Terminal>,
) -> io::Result<()> {
    let hang_up = (!hang_up::is_ignored()).then_some(Signal::Hup);
    let mut signals = Signals::new([Signal::Term, Signal::Int].into_iter().chain(hang_up))?;
    let watch = async move {
        if signals.next().await.is_none() {
            return;
        }
        let end = async {
            first.await;
            // The end itself is the front end's: this thread goes with the process.
            Timer::after(GRACE).await;
        };
        let again = async {
            // A terminal that is closed may say so twice, by the system and by the shell.
            while matches!(signals.next().await, Some(Ok(Signal::Hup))) {}
        };
        end.or(again).await;
        terminal.restore();
        std::process::exit(i32::from(exit_status::FAILED));
    };
    // The thread lasts as long as the process, so nobody waits for it.
    thread::Builder::new().name("signals".into()).spawn(|| async_io::block_on(watch)).map(drop)
}
