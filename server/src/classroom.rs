//! The driver's part for a classroom: the clients' file, the screen, and the knocks after a restart.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use async_channel::{Receiver, Sender, TrySendError};
use async_executor::Task;

use crate::clients_file::{self, ClientEntry, Parsed};
use crate::hub::{Input, Shown};
use crate::net::Event;
use crate::net::knock::Knocker;
use crate::runtime::Spawner;

/// The parts that carry out a classroom's effects. Outside of a classroom there is only the screen,
/// and it stays empty.
pub(crate) struct Classroom {
    screen: Screen,
    writer: Option<ClientsWriter>,
    /// Dropped with the driver.
    _knocks: Vec<Task<()>>,
}

impl Classroom {
    /// Starts the writer of the file `path` and the knocks at the `known` clients. Outside of a
    /// classroom `known` is `None`, and neither is started. Also returns the lines of the screen.
    pub(crate) fn start(
        known: Option<&[ClientEntry]>,
        path: PathBuf,
        server: SocketAddr,
        spawner: &Spawner,
        events: &Sender<Event>,
    ) -> (Classroom, Receiver<Shown>) {
        let (screen, shown) = Screen::new();
        let writer = known.map(|_| ClientsWriter::start(path, spawner));
        let knocks = known.map(|entries| knock_at_all(entries, server, spawner, events));
        (Classroom { screen, writer, _knocks: knocks.unwrap_or_default() }, shown)
    }

    /// Shows a line on the screen.
    pub(crate) fn show(&mut self, line: Shown) {
        self.screen.show(line);
    }

    /// Replaces the file soon.
    pub(crate) fn write(&self, entries: Vec<ClientEntry>) {
        if let Some(writer) = &self.writer {
            writer.write(entries);
        }
    }

    /// Waits until the last list is written.
    pub(crate) async fn finish(self) {
        if let Some(writer) = self.writer {
            writer.finish().await;
        }
    }
}

/// The most lines that wait for the screen. Further ones are dropped and counted.
const QUEUE_LINES: usize = 4_096;

/// The screen of the server. It never blocks the hub.
struct Screen {
    lines: Sender<Shown>,
    /// The number of lines that were dropped and not reported yet.
    lost: u64,
}

impl Screen {
    fn new() -> (Screen, Receiver<Shown>) {
        let (lines, shown) = async_channel::bounded(QUEUE_LINES);
        (Screen { lines, lost: 0 }, shown)
    }

    /// Shows a line, unless the screen is far behind.
    fn show(&mut self, line: Shown) {
        if self.lost > 0 && self.lines.try_send(Shown::Lost { lines: self.lost }).is_ok() {
            self.lost = 0;
        }
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            self.lost += 1;
        }
    }
}

/// Reads at most `most` clients at the start. Skips bad lines with one warning. Also returns true if all lines are bad.
pub(crate) fn read_clients(path: &Path, most: usize) -> (Vec<ClientEntry>, bool) {
    let Parsed { entries, skipped } = match clients_file::read(path, most) {
        Ok(parsed) => parsed,
        Err(error) => {
            tracing::warn!("{} can't be read, so no client is known: {error}", path.display());
            return (Vec::new(), false);
        }
    };
    let is_other = entries.is_empty() && skipped.is_some();
    if let Some(skipped) = skipped {
        tracing::warn!(
            "skipped {} of {}, first line {}: expected `ID ADDRESS PORT`, each ID once, at most {most}",
            lines(skipped.lines),
            path.display(),
            skipped.first,
        );
    }
    (entries, is_other)
}

fn lines(count: usize) -> String {
    if count == 1 { "1 line".into() } else { format!("{count} lines") }
}

/// A writer of the clients' file. It writes the latest list. Older lists that still wait are dropped.
struct ClientsWriter {
    lists: Sender<Vec<ClientEntry>>,
    task: Option<Task<()>>,
}

impl ClientsWriter {
    fn start(path: PathBuf, spawner: &Spawner) -> ClientsWriter {
        let (lists, latest) = async_channel::bounded(1);
        ClientsWriter { lists, task: spawner.spawn(write_all(path, latest)) }
    }

    fn write(&self, entries: Vec<ClientEntry>) {
        // The queue is closed only when the server ends.
        let _ = self.lists.force_send(entries);
    }

    async fn finish(self) {
        self.lists.close();
        if let Some(task) = self.task {
            task.await;
        }
    }
}

async fn write_all(path: PathBuf, latest: Receiver<Vec<ClientEntry>>) {
    while let Ok(entries) = latest.recv().await {
        let to = path.clone();
        let written = smol::unblock(move || clients_file::write(&to, &entries)).await;
        if let Err(error) = written {
            tracing::warn!("can't write {}: {error}", path.display());
        }
    }
}

/// Knocks at each address once, all at the same time. A server on a loopback address knocks only at
/// loopback addresses.
fn knock_at_all(
    entries: &[ClientEntry],
    server: SocketAddr,
    spawner: &Spawner,
    events: &Sender<Event>,
) -> Vec<Task<()>> {
    let knocker = match Knocker::new() {
        Ok(knocker) => knocker,
        Err(error) => {
            tracing::warn!("the clients are not told that the server is back: {error}");
            return Vec::new();
        }
    };
    let mut receivers: Vec<SocketAddr> = entries.iter().map(|entry| entry.receiver).collect();
    receivers.retain(|receiver| !server.ip().is_loopback() || receiver.ip().is_loopback());
    receivers.sort_unstable();
    receivers.dedup();
    let knock = |receiver| {
        let (knocker, events) = (knocker.clone(), events.clone());
        spawner.spawn(async move { knock_at(&knocker, receiver, &events).await })
    };
    receivers.into_iter().filter_map(knock).collect()
}

/// Knocks at an address. Tells the hub if nobody listens there. After another failure the client may
/// still be there, on a slow machine or a bad network.
async fn knock_at(knocker: &Knocker, receiver: SocketAddr, events: &Sender<Event>) {
    let Err(error) = knocker.knock(receiver).await else {
        return;
    };
    tracing::info!("no client answers at {receiver}: {error}");
    if error.kind() == io::ErrorKind::ConnectionRefused {
        // Without a driver there is nobody to notify.
        let _ = events.send(Event::Input(Input::KnockRefused { receiver })).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_net::TcpListener;
    use futures_lite::future;

    fn said(text: String) -> Shown {
        Shown::Said { client: "bob".parse().unwrap(), text }
    }

    /// Knocks at an address. Returns the addresses that the hub removes.
    async fn refused(receiver: SocketAddr) -> Vec<SocketAddr> {
        let (events, inbox) = async_channel::unbounded();
        knock_at(&Knocker::new().unwrap(), receiver, &events).await;
        let refused = |event| match event {
            Event::Input(Input::KnockRefused { receiver }) => receiver,
            _ => panic!("another event"),
        };
        std::iter::from_fn(|| inbox.try_recv().ok()).map(refused).collect()
    }

    #[test]
    fn only_a_refused_knock_removes_a_client() {
        smol::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let receiver = listener.local_addr().unwrap();
            let hang_up = async { drop(listener.accept().await.unwrap()) };
            let (after_hang_up, ()) = future::zip(refused(receiver), hang_up).await;
            assert_eq!(after_hang_up, []);
            // The system accepts the connection, and nobody answers.
            assert_eq!(refused(receiver).await, []);
            drop(listener);
            assert_eq!(refused(receiver).await, [receiver]);
        });
    }

    #[test]
    fn lines_that_the_screen_is_too_slow_for_are_counted() {
        let (mut screen, lines) = Screen::new();
        for number in 0..QUEUE_LINES + 5 {
            screen.show(said(number.to_string()));
        }
        for _ in 0..2 {
            lines.try_recv().unwrap();
        }
        screen.show(said("later".into()));
        let mut rest = Vec::new();
        while let Ok(line) = lines.try_recv() {
            rest.push(line);
        }
        assert_eq!(rest.len(), QUEUE_LINES);
        assert_eq!(rest[QUEUE_LINES - 2..], [Shown::Lost { lines: 5 }, said("later".into())]);
    }
}
