//! The user's terminal: raw mode, passwords without echo, and job control.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use letschat_protocol::dialogue::Secret;
use rustix::fs::OFlags;
use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group, kill_process};
use rustix::termios::{
    LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr, ttyname,
};

use letschat_commands::passwords::Ask;

/// The maximum length of a password.
const MAX_BYTES: usize = 1024;

/// The time within which a stop takes effect.
pub(super) const STOPPING: Duration = Duration::from_millis(300);

/// The terminal of this process, whatever its standard streams are.
pub struct Terminal {
    state: Mutex<State>,
    continued: Condvar,
    /// Requests to redraw the screen.
    redraw: (Sender<()>, Receiver<()>),
}

#[derive(Default)]
struct State {
    taken: Option<Taken>,
    /// The number of continuations after a stop.
    continuations: u64,
}

/// The terminal's modes before they were changed, and now.
struct Taken {
    before: Termios,
    during: Termios,
    /// The sequence that undoes other changes to the terminal.
    farewell: &'static str,
    /// The question that is open.
    question: String,
}

impl Default for Terminal {
    fn default() -> Terminal {
        let (state, continued) = Default::default();
        Terminal { state, continued, redraw: async_channel::bounded(1) }
    }
}

impl Terminal {
    /// Switches to raw mode: no echo, and no key is a signal. The farewell undoes other changes to the terminal.
    pub(crate) fn take_keys(&self, farewell: &'static str) -> io::Result<()> {
        let terminal = open()?;
        let before = tcgetattr(&terminal)?;
        let mut during = before.clone();
        during.make_raw();
        // Keep the translation of line ends in output.
        during.output_modes = before.output_modes;
        let question = String::new();
        let taken = Taken { before, during: during.clone(), farewell, question };
        // Before the change, so that any exit restores the terminal.
        self.lock().taken = Some(taken);
        Ok(tcsetattr(&terminal, OptionalActions::Now, &during)?)
    }

    /// Restores the terminal if it was changed. Call it before the process exits.
    pub fn restore(&self) {
        if let Some(taken) = self.lock().taken.take() {
            taken.give_back();
        }
    }

    /// Stops the program and the rest of its job, as Ctrl+Z does outside raw mode. Returns when the job
    /// continues.
    pub(crate) fn suspend(&self) {
        let state = self.lock();
        let before = state.continuations;
        // The thread that watches the signals receives this one and calls `stop`.
        let _ = kill_current_process_group(Signal::TSTP);
        let is_stopping = |state: &mut State| state.continuations == before;
        drop(self.continued.wait_timeout_while(state, 2 * STOPPING, is_stopping));
    }

    /// Restores the terminal and stops this process. The kernel does not stop an orphaned process group
    /// by SIGTTOU, nor by SIGTSTP, which is caught here.
    pub(crate) fn stop(&self) {
        if let Some(taken) = &self.lock().taken {
            taken.give_back();
        }
        let _ = kill_process(getpid(), Signal::TTOU);
    }

    /// Takes the terminal again after a stop, since the shell has changed its modes.
    pub(crate) fn note_continued(&self) {
        let mut state = self.lock();
        state.continuations += 1;
        if let Some(taken) = &state.taken {
            set(&taken.during, &taken.question);
        }
        // One pending request is enough.
        let _ = self.redraw.0.try_send(());
        self.continued.notify_all();
    }

    /// Returns the requests to redraw the screen.
    pub(crate) fn redraws(&self) -> Receiver<()> {
        self.redraw.1.clone()
    }

    fn turn_echo_off(&self, terminal: &File, question: &str) -> io::Result<()> {
        let before = tcgetattr(terminal)?;
        let mut during = before.clone();
        during.local_modes.remove(LocalModes::ECHO);
        during.local_modes.insert(LocalModes::ECHONL);
        let question = question.to_owned();
        let taken = Taken { before, during: during.clone(), farewell: "", question };
        self.lock().taken = Some(taken);
        // Keys from before the question are not its answer.
        Ok(tcsetattr(terminal, OptionalActions::Flush, &during)?)
    }

    /// Locks the state. No code panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn give_back(&self) {
        set(&self.before, self.farewell);
    }
}

impl Ask for Terminal {
    fn ask(&self, prompt: &str) -> io::Result<Secret> {
        let mut terminal = open()?;
        self.turn_echo_off(&terminal, prompt)?;
        let asked = terminal.write_all(prompt.as_bytes()).and_then(|()| read_line(&mut terminal));
        self.restore();
        asked
    }
}

/// Opens the controlling terminal or, without one, the terminal of standard input.
fn open_with(flags: OFlags) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let flags = flags | OFlags::NOCTTY;
    options.read(true).write(true).custom_flags(flags.bits().cast_signed());
    options.open("/dev/tty").or_else(|_| {
        let name = ttyname(io::stdin(), Vec::new())?;
        options.open(OsStr::from_bytes(name.as_bytes()))
    })
}

fn open() -> io::Result<File> {
    open_with(OFlags::empty())
}

/// Sets modes and writes a text, unless the process is in the background, where a change would stop
/// it.
fn set(modes: &Termios, text: &str) {
    // Without job control no process group is in the background.
    if let Ok(mut terminal) = open_with(OFlags::NONBLOCK)
        && tcgetpgrp(&terminal).map_or(true, |group| group == getpgrp())
    {
        // Errors mean that the terminal is closed or blocked.
        let _ = tcsetattr(&terminal, OptionalActions::Now, modes);
        let _ = terminal.write_all(text.as_bytes());
    }
}

/// Reads a line. A terminal returns a line at a time, so reading byte by byte takes nothing of the next one. The end of
/// the input, by Ctrl+D or a closed terminal, is an error.
fn read_line(terminal: &mut impl io::Read) -> io::Result<Secret> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < MAX_BYTES {
        match terminal.read(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(0) => {
                let why = "the question was not answered";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
            }
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => line.push(byte[0]),
        }
    }
    String::from_utf8(line)
        .map(Secret)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_line_and_the_end_of_input_is_none() {
        let read = |input: &[u8]| read_line(&mut &*input).map(|secret| secret.0);
        assert_eq!(read(b"horse\nmore").unwrap(), "horse");
        assert_eq!(read(b"\n").unwrap(), "");
        for input in [&b""[..], b"hor"] {
            assert_eq!(read(input).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
