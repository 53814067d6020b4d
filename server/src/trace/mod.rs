//! What the hub was told, written down so that a developer can tell it to another hub.
//!
//! A file of lines, each a JSON object: what the hub was born with, then by turns an input with its
//! time and a hash of what came of it. It holds no password and no text: stand-ins have
//! their places, of the same length and such that the hub decides alike. It does hold names,
//! addresses, who spoke to whom and when, and the seed of the hub's random numbers, by which a
//! server that still runs could be deceived. A server that starts again goes on in the same file.
//!
//! * `Trace` – the hub's driver hands inputs through it
//! * `stand_ins` – what takes a secret's place
//! * `outline` – what came of an input, as a hash
//! * `lines`, `spelled` – what stands in a line, and how
//! * [`replay`] – a fresh hub is told the same
//! * `writer` – the thread that has time for a disk

mod lines;
mod outline;
pub mod replay;
pub(crate) mod spelled;
mod stand_ins;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{File, Permissions};
use std::io;
use std::path::Path;

use letschat_flags::files;

use crate::clock::Now;
use crate::hub::{Birth, Effect, Hub, Input, Settings};
use crate::store::StoredLog;
use lines::{Born, Line};
pub(crate) use spelled::no_text;
pub(crate) use stand_ins::StandIns;
use writer::Writer;

/// A trace that is being written.
pub(crate) struct Trace {
    stand_ins: StandIns,
    writer: Writer,
}

impl Trace {
    /// Begins a trace, or goes on with one that is there, and makes the hub that it is of.
    pub(crate) fn begin(
        path: &Path,
        stand_ins: StandIns,
        (settings, birth, log, now): (Settings, Birth, StoredLog, Now),
    ) -> io::Result<(Trace, Hub)> {
        let mut trace = Trace { stand_ins, writer: Writer::start(private_file(path)?)? };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let born = Born {
            version,
            settings: settings.clone(),
            birth: birth.clone(),
            log: trace.stand_ins.log(&log),
            now,
        };
        trace.write(&Line::Born(Box::new(born)));
        Ok((trace, Hub::new(settings, birth, log, now)))
    }

    /// Hands the hub an input. It is in the file before the hub sees it: should the hub panic, the
    /// input that it panicked at is the last of the trace.
    pub(crate) fn handle(&mut self, hub: &mut Hub, now: Now, input: Input) -> Vec<Effect> {
        if !self.writer.is_writing() {
            return hub.handle(now, input);
        }
        let input_told = hub.without_secrets(&input, &self.stand_ins);
        self.write(&Line::Heard { now, input: input_told });
        let until_it_is_done = FinishedByPanic(&mut self.writer);
        let effects = hub.handle(now, input);
        drop(until_it_is_done);
        self.write(&Line::Did(outline::hash(&effects, hub.next_deadline())));
        effects
    }

    fn write(&mut self, line: &Line) {
        match serde_json::to_string(line) {
            Ok(line) => self.writer.write(line),
            Err(error) => self.writer.give_up(&error.to_string()),
        }
    }
}

/// A panic of the hub ends the process at once; what it panicked at gets to the disk before.
struct FinishedByPanic<'a>(&'a mut Writer);

impl Drop for FinishedByPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.finish();
        }
    }
}

/// For its owner alone.
fn private_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = files::open(path, File::options().create(true).append(true).mode(0o600))?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}
