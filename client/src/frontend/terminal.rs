//! The user's terminal, asked for a password without echo.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use letschat_protocol::dialogue::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::passwords::Ask;

/// What is typed beyond this is no password.
const MAX_BYTES: usize = 1024;

/// The terminal of this process, whatever its standard streams are.
#[derive(Default)]
pub struct Terminal {
    /// How the terminal was before its echo was turned off.
    before: Mutex<Option<Termios>>,
}

impl Terminal {
    /// From now on every key is for the program to read: nothing is echoed, no key is a signal.
    pub fn take_keys(&self) -> io::Result<()> {
        let terminal = open()?;
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        // Line ends that are written stay line ends.
        raw.output_modes = before.output_modes;
        *self.lock() = Some(before);
        tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        Ok(())
    }

    /// Gives the terminal back as it was, if it was changed. To be called before the process ends.
    pub fn restore(&self) {
        if let Some(before) = self.lock().take()
            && let Ok(terminal) = open()
        {
            // A terminal that is gone needs no echo.
            let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
        }
    }

    fn turn_echo_off(&self, terminal: &File) -> io::Result<()> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        quiet.local_modes.insert(LocalModes::ECHONL);
        *self.lock() = Some(before);
        // What was typed before the question is not its answer.
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(())
    }

    /// Nobody panics while holding this lock.
    fn lock(&self) -> MutexGuard<'_, Option<Termios>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ask for Terminal {
    fn ask(&self, prompt: &str) -> io::Result<Secret> {
        let mut terminal = open()?;
        self.turn_echo_off(&terminal)?;
        let asked = terminal.write_all(prompt.as_bytes()).and_then(|()| read_line(&mut terminal));
        self.restore();
        asked
    }
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

/// A terminal hands out a line at a time, so reading byte by byte takes nothing of the next one.
fn read_line(terminal: &mut File) -> io::Result<Secret> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < MAX_BYTES && terminal.read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line)
        .map(Secret)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8 text"))
}
