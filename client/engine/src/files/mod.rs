//! Files: read in order to offer them, sent, and received. Each transfer has a thread and a link of its own, so that
//! no message waits for it.
//!
//! * `source` – a file on this machine that is offered
//! * `part` – a file that is being received, in a folder that others may write to
//! * `link` – lines and bytes of a link that carries a file
//! * `serving`, `fetching` – the two sides of a transfer

mod fetching;
mod link;
mod part;
mod serving;
mod source;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt as _;
use letschat_core::session::MeetingAnswer;
use rustix::io::Errno;

pub(crate) use fetching::{Fetch, fetch};
pub(crate) use link::Patience;
pub(crate) use part::delete as delete_part;
pub(crate) use serving::serve;
pub(crate) use source::{Source, read};

/// The shortest interval of news of progress: five a second.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// A running transfer. It ends when this is dropped.
pub(crate) struct Transfer {
    _stop: Sender<()>,
    /// Takes the answers to wishes for a meeting with the side that has the file.
    meetings: Option<Sender<MeetingAnswer>>,
}

impl Transfer {
    /// Starts a transfer on a thread of its own. `None` means that the system has no thread.
    pub(crate) fn start<F: Future<Output = ()>>(
        run: impl FnOnce() -> F + Send + 'static,
    ) -> Option<Transfer> {
        let (stop, stopped) = async_channel::bounded(1);
        let thread = thread::Builder::new().name("file".into());
        let run = move || async_io::block_on(until_dropped(stopped).or(run()));
        thread.spawn(run).ok().map(|_| Transfer { _stop: stop, meetings: None })
    }

    /// Returns the transfer, which gets answers to its wishes for a meeting over this channel.
    pub(crate) fn with_meetings(self, meetings: Sender<MeetingAnswer>) -> Transfer {
        Transfer { meetings: Some(meetings), ..self }
    }

    /// Gives the transfer the answer to its wish for a meeting.
    pub(crate) fn meet(&self, answer: MeetingAnswer) {
        if let Some(give) = &self.meetings {
            // A transfer that is under way needs it no more.
            let _ = give.try_send(answer);
        }
    }
}

async fn until_dropped(stopped: Receiver<()>) {
    // Nothing is ever sent.
    let _ = stopped.recv().await;
}

/// The pace of news of progress.
struct Pace {
    last: Instant,
}

impl Pace {
    fn new() -> Pace {
        Pace { last: Instant::now() }
    }

    /// Returns true if it is time for news.
    fn is_due(&mut self) -> bool {
        let is_due = self.last.elapsed() >= PROGRESS_INTERVAL;
        if is_due {
            self.last = Instant::now();
        }
        is_due
    }
}

/// Returns true if a disk, or a share of it, is full.
fn is_full(error: &io::Error) -> bool {
    let full = [Errno::NOSPC, Errno::DQUOT];
    full.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
