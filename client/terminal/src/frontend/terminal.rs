//! The user's terminal: asked for a password without echo, and handed back while the program is stopped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use letschat_protocol::dialogue::Secret;
use rustix::process::{Signal, getpgrp, kill_current_process_group};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use letschat_commands::passwords::Ask;

/// What is typed beyond this is no password.
const MAX_BYTES: usize = 1024;

/// A stop takes effect within this time, or none takes place: a job that nobody could continue is not
/// stopped.
const STOPPING: Duration = Duration::from_millis(300);

/// The terminal of this process, whatever its standard streams are.
#[derive(Default)]
pub struct Terminal {
    state: Mutex<State>,
    continued: Condvar,
    /// Set when the screen has to be drawn anew.
    call: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    taken: Option<Taken>,
    /// Counts how often the process was continued after a stop.
    continuations: u64,
}

/// The terminal's modes before they were changed, and now; the question that is open.
struct Taken {
    before: Termios,
    during: Termios,
    question: String,
}

impl Terminal {
    /// From now on every key is for the program to read: nothing is echoed, no key is a signal.
    pub fn take_keys(&self) -> io::Result<()> {
        let terminal = open()?;
        let before = tcgetattr(&terminal)?;
        let mut during = before.clone();
        during.make_raw();
        // Line ends that are written stay line ends.
        during.output_modes = before.output_modes;
        let taken = Taken { before, during: during.clone(), question: String::new() };
        // Before the change: whatever ends the program finds what to restore.
        self.lock().taken = Some(taken);
        Ok(tcsetattr(&terminal, OptionalActions::Now, &during)?)
    }

    /// Gives the terminal back as it was, if it was changed. To be called before the process ends.
    pub fn restore(&self) {
        if let Some(taken) = self.lock().taken.take() {
            set(&taken.before);
        }
    }

    /// Stops the program and the rest of its job, as Ctrl+Z does where keys are signals. The shell finds the
    /// terminal as it was before. Returns when the job goes on.
    pub fn suspend(&self) {
        let mut state = self.lock();
        let before = state.continuations;
        if let Some(taken) = &state.taken {
            set(&taken.before);
        }
        // Without a stop the program just goes on.
        let _ = kill_current_process_group(Signal::TSTP);
        let is_stopping = |state: &mut State| state.continuations == before;
        let waited = self.continued.wait_timeout_while(state, STOPPING, is_stopping);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.take_again();
    }

    /// The process was stopped and goes on: meanwhile a shell had the terminal, and changed it.
    pub fn note_continued(&self) {
        let mut state = self.lock();
        state.continuations += 1;
        state.take_again();
        if let Some(taken) = &state.taken
            && let Ok(mut terminal) = open()
        {
            // A terminal that is gone shows nothing.
            let _ = terminal.write_all(taken.question.as_bytes());
        }
        self.call.store(true, Ordering::SeqCst);
        self.continued.notify_all();
    }

    /// Set when the screen has to be drawn anew.
    pub(crate) fn call(&self) -> Arc<AtomicBool> {
        self.call.clone()
    }

    /// Notes the question that is shown, or by an empty text that none is.
    pub(crate) fn note_question(&self, question: &str) {
        if let Some(taken) = &mut self.lock().taken {
            question.clone_into(&mut taken.question);
        }
    }

    fn turn_echo_off(&self, terminal: &File, question: &str) -> io::Result<()> {
        let before = tcgetattr(terminal)?;
        let mut during = before.clone();
        during.local_modes.remove(LocalModes::ECHO);
        during.local_modes.insert(LocalModes::ECHONL);
        let taken = Taken { before, during: during.clone(), question: question.to_owned() };
        self.lock().taken = Some(taken);
        // What was typed before the question is not its answer.
        Ok(tcsetattr(terminal, OptionalActions::Flush, &during)?)
    }

    /// Nobody panics while holding this lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// In the background the terminal is somebody else's, and to change it would stop us.
    fn take_again(&self) {
        if let Some(taken) = &self.taken
            && open()
                .is_ok_and(|terminal| tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
        {
            set(&taken.during);
        }
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

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

fn set(modes: &Termios) {
    if let Ok(terminal) = open() {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(&terminal, OptionalActions::Now, modes);
    }
}

/// A terminal hands out a line at a time, so reading byte by byte takes nothing of the next one. The end of
/// the input, by Ctrl+D or because the terminal is gone, is no answer.
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
