//! The log, on standard error.
//!
//! A separate thread writes it, so that a stopped terminal or a full pipe blocks the log and not
//! the server. Lines that don't fit into the queue are dropped and counted.

mod json;

use std::fmt::{self, Debug};
use std::io::{self, IsTerminal as _, Write};
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use letschat_flags::output::Stream;
use letschat_protocol::printable::Printable;
use letschat_protocol::rows::wrap;
use tracing::Level;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use self::json::JsonLines;

/// The capacity of the queue, in lines.
const QUEUE_LINES: usize = 4_096;

/// The pause after a write. Otherwise each line of a busy server would wake the thread, which costs
/// more than the line.
const PAUSE: Duration = Duration::from_millis(2);

/// The longest wait for the last lines when the program exits.
const FLUSH: Duration = Duration::from_millis(500);

/// The format of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// JSON lines for programs
    Json,
}

/// The sending end of the log thread's queue.
#[derive(Clone)]
pub(crate) struct Log {
    lines: SyncSender<Item>,
    lost: Arc<AtomicU64>,
}

enum Item {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Log {
    /// Starts the log at this level. Libraries log only warnings and errors.
    pub(crate) fn start(level: Level, format: LogFormat) -> io::Result<Log> {
        let (lines, queue) = sync_channel(QUEUE_LINES);
        let log = Log { lines, lost: Arc::default() };
        let lost = log.lost.clone();
        // Never joined: it may block in a write forever. `flush` waits for it with a timeout.
        thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(&queue, &lost, format))?;
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(format!("warn,letschat_server={level}")))
            .with_writer(log.clone());
        match format {
            LogFormat::Text => subscriber
                .with_ansi(has_colours())
                .with_target(false)
                .fmt_fields(debug_fn(write_field).delimited(" "))
                .init(),
            LogFormat::Json => subscriber.event_format(JsonLines).init(),
        }
        Ok(log)
    }

    /// Waits a moment for the queued lines to be written.
    pub(crate) fn flush(&self) {
        let (done, flushed) = sync_channel(1);
        // If the queue is full or the thread is stuck, the last lines are lost.
        if self.lines.try_send(Item::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(FLUSH);
        }
    }
}

/// Writes a field with escapes, since an error's text may come from elsewhere, such as a database.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let value = format!("{value:?}");
    match field.name() {
        "message" => write!(writer, "{}", Printable(&value)),
        name => write!(writer, "{name}={}", Printable(&value)),
    }
}

fn has_colours() -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !is_unwanted
}

/// Writes the lines of the queue, those that have gathered with one call.
fn write_all(queue: &Receiver<Item>, lost: &AtomicU64, format: LogFormat) {
    while let Ok(first) = queue.recv() {
        let (mut bytes, mut flushes) = (Vec::new(), Vec::new());
        for item in iter::once(first).chain(queue.try_iter().take(QUEUE_LINES)) {
            match item {
                Item::Line(line) => bytes.extend(in_rows(line, format)),
                Item::Flush(done) => flushes.push(done),
            }
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            bytes.extend(gap(lost, format).as_bytes());
        }
        // A failure of standard error can't be reported anywhere.
        let _ = io::stderr().lock().write_all(&bytes);
        for done in flushes {
            let _ = done.try_send(());
        }
        thread::sleep(PAUSE);
    }
}

/// Indents the continuation rows of a line for people at a terminal.
fn in_rows(line: Vec<u8>, format: LogFormat) -> Vec<u8> {
    match (format, Stream::Error.columns(), str::from_utf8(&line)) {
        (LogFormat::Text, columns @ 1.., Ok(text)) => wrap(text, columns).into_bytes(),
        _ => line,
    }
}

/// Returns the line that reports dropped lines.
fn gap(lost: u64, format: LogFormat) -> String {
    let message = format!("{lost} lines of the log were lost: too many at once");
    match format {
        LogFormat::Text => format!("({message})\n"),
        LogFormat::Json => json::line(Level::WARN, &message, &[]),
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = &'a Log;

    fn make_writer(&'a self) -> &'a Log {
        self
    }
}

/// Takes one line per call, which is how `tracing-subscriber` writes.
impl Write for &Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Item::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// The output of the test's log.
    #[derive(Clone, Default)]
    struct LogBuffer(Arc<Mutex<Vec<u8>>>);

    impl Write for LogBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whatever_is_said_stays_on_its_line_and_steers_no_terminal() {
        let paper = LogBuffer::default();
        let written = paper.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_target(false)
            .with_ansi(false)
            .fmt_fields(debug_fn(write_field).delimited(" "))
            .with_writer(move || paper.clone())
            .finish();
        let said = "a\nb\r\u{1b}[2J\u{9b}2J\0\u{202e}\u{200b}";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(error = %said, count = 3, "so {said}");
        });
        let line = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let tamed = r"a\nb\r\u{1b}[2J\u{9b}2J\u{0}\u{202e}\u{200b}";
        assert!(line.ends_with(&format!("WARN so {tamed} error={tamed} count=3\n")), "{line:?}");
    }
}
