//! The thread that writes a trace, so that the hub's task never waits for a disk.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

/// Lines that may wait for the disk, some 64 KiB each at the most and mostly 150 bytes. A trace with a
/// hole is of no use: with more it ends.
const QUEUE_LINES: usize = 1_024;

/// Dropping it writes what still waits.
pub(super) struct Writer {
    lines: Option<SyncSender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(file: File) -> io::Result<Writer> {
        let (lines, waiting) = sync_channel(QUEUE_LINES);
        let thread = thread::Builder::new().name("trace".into()).spawn(move || {
            if let Err(error) = write_all(file, &waiting) {
                tracing::error!("the trace ends here, the file can't be written: {error}");
            }
        })?;
        Ok(Writer { lines: Some(lines), thread: Some(thread) })
    }

    /// Whether the trace is still whole.
    pub(super) fn is_writing(&self) -> bool {
        self.lines.is_some()
    }

    pub(super) fn write(&mut self, line: String) {
        match self.lines.as_ref().map(|lines| lines.try_send(line)) {
            Some(Err(TrySendError::Full(_))) => self.give_up("the disk is too slow"),
            // The thread has said why.
            Some(Err(TrySendError::Disconnected(_))) => self.lines = None,
            Some(Ok(())) | None => {}
        }
    }

    /// Returns when all that waited is written.
    pub(super) fn finish(&mut self) {
        self.lines = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }

    pub(super) fn give_up(&mut self, why: &str) {
        tracing::error!("the trace ends here: {why}");
        self.lines = None;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Each line stands whole on the disk as soon as no other waits.
fn write_all(file: File, waiting: &Receiver<String>) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    // The last line of a server that was killed may have no end.
    writeln!(file)?;
    while let Ok(line) = waiting.recv() {
        writeln!(file, "{line}")?;
        while let Ok(line) = waiting.try_recv() {
            writeln!(file, "{line}")?;
        }
        file.flush()?;
    }
    Ok(())
}
