//! The classroom's share of the driver: the file of its clients, the screen, and the knocks after a
//! restart.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use async_channel::{Receiver, Sender, TrySendError};
use async_executor::Task;

use crate::clients_file::{self, ClientEntry, Parsed};
use crate::hub::{Input, Shown};
use crate::net::Event;
use crate::net::knock::Knocker;
use crate::runtime::Spawner;

/// The parts that carry out a classroom's effects. A server without a classroom has only the screen,
/// on which nothing is shown.
pub(crate) struct Classroom {
    screen: Screen,
    writer: Option<ClientsWriter>,
    /// Dropped with the driver.
    _knocks: Vec<Task<()>>,
}

impl Classroom {
    /// Starts the writer of the file `path` and the knocks at the `known` clients, unless these are
    /// `None`. Returns the lines of the screen as well, which end with the server.
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

/// Reads the file of the clients at the start, at most so many. What can't be read is skipped with
/// one warning.
pub(crate) fn read_clients(path: &Path, most: usize) -> Vec<ClientEntry> {
    let Parsed { entries, skipped } = match clients_file::read(path, most) {
        Ok(parsed) => parsed,
        Err(error) => {
            tracing::warn!("{} can't be read, so no client is known: {error}", path.display());
            return Vec::new();
        }
    };
    if let Some(skipped) = skipped {
        tracing::warn!(
            "skipped {} of {}, first line {}: expected `ID ADDRESS PORT`, each ID once, at most {most}",
            lines(skipped.lines),
            path.display(),
            skipped.first,
        );
    }
    entries
}

fn lines(count: usize) -> String {
    if count == 1 { "1 line".into() } else { format!("{count} lines") }
}

/// A writer of the clients' file. It writes the latest list and skips those that it is too slow for.
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

/// Tells each client that the server is back, and the hub which of them did not answer. Each address
/// is knocked at once. A server that only this machine reaches contacts only this machine.
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
        spawner.spawn(async move {
            if let Err(error) = knocker.knock(receiver).await {
                tracing::info!("no client answers at {receiver}: {error}");
                // Without a driver there is nobody to notify.
                let _ = events.send(Event::Input(Input::KnockFailed { receiver })).await;
            }
        })
    };
    receivers.into_iter().filter_map(knock).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: String) -> Shown {
        Shown::Said { client: "bob".parse().unwrap(), text }
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
