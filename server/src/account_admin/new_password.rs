//! Sources of a new password: a file, standard input or a terminal. It is never taken from an
//! argument, which other users can read.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read, Write as _};
use std::path::Path;

use async_signal::Signals;
use futures_lite::StreamExt as _;
use letschat_protocol::dialogue::Secret;
use letschat_protocol::password::{self, WeakPassword};
use letschat_protocol::username::Username;
use rustix::process::{Signal, getpgrp, kill_current_process_group};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use smol::Task;
use zeroize::Zeroizing;

/// The largest password file, in bytes.
const MAX_BYTES: u64 = 4 * 1024;

/// The reason why there is no new password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("can't read the password from {from}: {source}")]
    Unreadable { from: String, source: io::Error },
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    #[error("the two passwords are not the same; nothing was changed")]
    Differ,
    #[error("no password was given; nothing was changed")]
    Cancelled,
    #[error(
        "without a terminal to ask at, the password has to come from --password-file FILE, or from \
         standard input by --password-file -"
    )]
    NobodyToAsk,
}

/// Reads a password that is valid for this account from the file (`-` is standard input), or asks
/// for it twice. Uses a prompt for any terminal, which would otherwise echo the password.
pub(super) fn read(name: &Username, file: Option<&Path>) -> Result<Secret, PasswordError> {
    let is_terminal = io::stdin().is_terminal();
    let secret = match file.filter(|path| !(is_terminal && *path == "-")) {
        Some(path) if path == "-" => first_line(io::stdin().lock()).map_err(|source| {
            PasswordError::Unreadable { from: "standard input".into(), source }
        })?,
        Some(path) => File::open(path).and_then(first_line).map_err(|source| {
            PasswordError::Unreadable { from: path.display().to_string(), source }
        })?,
        None => return ask(name),
    };
    password::check(&secret.0, name)?;
    Ok(secret)
}

fn first_line(source: impl Read) -> io::Result<Secret> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_BYTES as usize));
    BufReader::new(source.take(MAX_BYTES)).read_line(&mut line)?;
    Ok(Secret(password::of_file(&line).to_owned()))
}

fn ask(name: &Username) -> Result<Secret, PasswordError> {
    if !io::stdin().is_terminal() {
        return Err(PasswordError::NobodyToAsk);
    }
    let answer = |question: &str| match hidden_line(question) {
        Ok(Some(line)) => Ok(line),
        Ok(None) => Err(PasswordError::Cancelled),
        Err(source) => Err(PasswordError::Unreadable { from: "the terminal".into(), source }),
    };
    let secret = answer(&format!("New password for {name}: "))?;
    password::check(&secret.0, name)?;
    let repeated = answer("The same password again: ")?;
    if !password::are_same(&repeated.0, &secret.0) {
        return Err(PasswordError::Differ);
    }
    Ok(secret)
}

/// Asks a question and hides the answer. Returns `None` for Ctrl+C or Ctrl+D.
fn hidden_line(question: &str) -> io::Result<Option<Secret>> {
    let keys = TakenKeys::new(question)?;
    show(question)?;
    let answer = edited_line(io::stdin().lock().bytes(), || keys.suspend());
    drop(keys);
    show("\n")?;
    answer
}

/// Writes a text to the terminal, even if standard error is redirected.
fn show(text: &str) -> io::Result<()> {
    match OpenOptions::new().write(true).open("/dev/tty") {
        Ok(mut terminal) => terminal.write_all(text.as_bytes()),
        Err(_) => io::stderr().write_all(text.as_bytes()),
    }
}

/// The terminal in raw mode without echo. Dropping it restores the previous mode, also after
/// Ctrl+C, which is read as a key here.
struct TakenKeys {
    before: Termios,
    during: Termios,
    /// Restores raw mode when a stopped process is continued by SIGCONT.
    _continuing: Task<()>,
}

impl TakenKeys {
    fn new(question: &str) -> io::Result<TakenKeys> {
        // Register signals before changing the terminal: a failure must leave it unchanged.
        let mut signals = Signals::new([async_signal::Signal::Cont])?;
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        raw.output_modes = before.output_modes;
        // Flush the input: keys typed before the question are not its answer.
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw)?;
        let (during, question) = (raw.clone(), question.to_owned());
        let _continuing = smol::spawn(async move {
            while signals.next().await.is_some() {
                // A background process must not change the terminal.
                if tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp()) {
                    let _ = tcsetattr(io::stdin(), OptionalActions::Now, &raw);
                    let _ = show(&question);
                }
            }
        });
        Ok(TakenKeys { before, during, _continuing })
    }

    /// Stops this process and its job, as Ctrl+Z does in a cooked terminal.
    fn suspend(&self) {
        let set = |modes| tcsetattr(io::stdin(), OptionalActions::Now, modes);
        // If stopping fails, the question continues.
        let _ = set(&self.before);
        let _ = kill_current_process_group(Signal::TSTP);
        let _ = set(&self.during);
    }
}

impl Drop for TakenKeys {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const CTRL_Z: u8 = 0x1a;
const DELETE: u8 = 0x7f;

fn edited_line(
    keys: impl Iterator<Item = io::Result<u8>>,
    suspend: impl Fn(),
) -> io::Result<Option<Secret>> {
    // Growing the buffer would leave copies of the password in memory.
    let mut line = Vec::with_capacity(MAX_BYTES as usize);
    for key in keys.take(MAX_BYTES as usize) {
        match key? {
            b'\r' | b'\n' => {
                let invalid = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
                return String::from_utf8(line).map(|line| Some(Secret(line))).map_err(invalid);
            }
            CTRL_C | CTRL_D => return Ok(None),
            BACKSPACE | DELETE => {
                // Remove all bytes of one character.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            CTRL_U => line.clear(),
            CTRL_Z => suspend(),
            byte => line.push(byte),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Option<String> {
        let keys = keys.iter().copied().map(Ok);
        edited_line(keys, || ()).unwrap().map(|secret| secret.0)
    }

    #[test]
    fn a_hidden_line_can_be_corrected() {
        assert_eq!(typed(b"horse\r").as_deref(), Some("horse"));
        assert_eq!(typed("hörs\u{7f}se\n".as_bytes()).as_deref(), Some("hörse"));
        assert_eq!(typed("hö\u{7f}orse\n".as_bytes()).as_deref(), Some("horse"));
        assert_eq!(typed(b"\x7f\x7fhorse\n").as_deref(), Some("horse"));
        assert_eq!(typed(b"cow\x15horse\n").as_deref(), Some("horse"));
        assert_eq!(typed(b"hor\x1ase\n").as_deref(), Some("horse"));
    }

    #[test]
    fn whoever_breaks_off_has_given_no_password() {
        for keys in [&b"hor\x03se\n"[..], b"horse\x04", b"horse", b""] {
            assert_eq!(typed(keys), None, "{keys:?}");
        }
        assert!(edited_line([Ok(0xff), Ok(b'\n')].into_iter(), || ()).is_err());
    }

    #[test]
    fn only_the_first_line_of_a_file_counts() {
        for (text, password) in [
            ("a b \nc", "a b "),
            ("a\r\n", "a"),
            ("\u{feff}\u{feff}a\n", "a"),
            ("a", "a"),
            ("", ""),
        ] {
            assert_eq!(first_line(text.as_bytes()).unwrap(), Secret(password.into()), "{text:?}");
        }
    }
}
