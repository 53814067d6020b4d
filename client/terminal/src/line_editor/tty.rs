//! The terminal of a line editor: reads keys, writes rows, and sends no queries.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use async_io::{Async, Timer};
use async_signal::{Signal, Signals};
use futures_lite::{FutureExt as _, StreamExt as _};
use rustix::fs::OFlags;
use rustix::termios::{tcgetwinsize, ttyname};

use super::keys::{Key, Keys};
use super::screen::{Scene, Screen, Window};

/// The size of a terminal that does not report one.
const UNKNOWN: Window = Window { rows: 24, columns: 60 };

/// The size of a read.
const READ_BYTES: usize = 4_096;

/// The maximum number of queued keys. Beyond it keys stay in the kernel's queue.
const MAX_KEYS: usize = 16_384;

/// Switches bracketed paste on.
pub(crate) const BRACKETS_ON: &str = "\x1b[?2004h";

/// Switches bracketed paste off.
pub(crate) const BRACKETS_OFF: &str = "\x1b[?2004l";

/// A terminal in raw mode.
#[derive(Debug)]
pub(crate) struct Tty {
    /// An open file description of our own, so that O_NONBLOCK does not affect the shell.
    terminal: Async<File>,
    resized: Signals,
    /// Signals that the process was continued after a stop.
    continued: Receiver<()>,
    keys: Keys,
    waiting: VecDeque<Key>,
    is_over: bool,
    screen: Screen,
    /// The sequences for the terminal at first, and after another program has used it.
    greeting: &'static str,
    output: String,
    begin: Instant,
}

/// An input from the terminal.
#[derive(Debug)]
pub(crate) enum Input {
    Key(Key),
    /// The screen has to be redrawn.
    Redraw,
    /// The terminal has closed.
    Over,
}

/// The reason why a terminal wakes its reader.
enum Wake {
    Read(io::Result<Vec<u8>>),
    Expired,
    Resized,
    Continued,
}

impl Tty {
    /// Opens the terminal of standard input, and sends it this greeting first.
    ///
    /// # Errors
    ///
    /// There is no terminal, or no file descriptor is left.
    pub(crate) fn open(continued: Receiver<()>, greeting: &'static str) -> io::Result<Tty> {
        Ok(Tty {
            terminal: Async::new(open()?)?,
            resized: Signals::new([Signal::Winch])?,
            continued,
            keys: Keys::default(),
            waiting: VecDeque::new(),
            is_over: false,
            screen: Screen::default(),
            greeting,
            output: greeting.to_owned(),
            begin: Instant::now(),
        })
    }

    /// Waits for a key or a reason to redraw. The future may be dropped.
    pub(crate) async fn next(&mut self) -> Input {
        loop {
            if let Some(key) = self.waiting.pop_front() {
                return Input::Key(key);
            }
            if self.is_over {
                return Input::Over;
            }
            match self.wake().await {
                Wake::Read(read) => self.take(read),
                Wake::Expired => {
                    let key = self.keys.flush(self.now_ms());
                    self.waiting.extend(key);
                }
                Wake::Resized => return Input::Redraw,
                Wake::Continued => {
                    self.resume();
                    return Input::Redraw;
                }
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        let due =
            self.keys.next_deadline().map(|due_ms| self.begin + Duration::from_millis(due_ms));
        let read = async { Wake::Read(self.terminal.read_with(read).await) };
        let expired = async {
            due.map_or_else(Timer::never, Timer::at).await;
            Wake::Expired
        };
        let resized = async {
            self.resized.next().await;
            Wake::Resized
        };
        let continued = async {
            match self.continued.recv().await {
                Ok(()) => Wake::Continued,
                Err(_) => std::future::pending().await,
            }
        };
        read.or(continued).or(resized).or(expired).await
    }

    /// Leaves the terminal to another program until `meanwhile` returns.
    pub(crate) async fn step_aside(&mut self, meanwhile: impl FnOnce()) {
        self.erase();
        // The next read reports a closed terminal.
        let _ = self.flush().await;
        meanwhile();
        while self.continued.try_recv().is_ok() {}
        self.resume();
    }

    fn resume(&mut self) {
        self.screen.forget();
        self.output.push_str(self.greeting);
    }

    /// Returns true if a key is queued here or in the kernel.
    pub(crate) fn has_keys(&mut self) -> bool {
        self.read_now();
        !self.waiting.is_empty() || self.keys.next_deadline().is_some()
    }

    /// Returns true if a key is queued here.
    pub(crate) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Drops all queued keys, here and in the kernel.
    pub(crate) fn discard_keys(&mut self) {
        self.read_now();
        self.waiting.clear();
        self.keys.discard();
    }

    /// Reads the available bytes without waiting.
    fn read_now(&mut self) {
        while !self.is_over && self.waiting.len() < MAX_KEYS {
            match read(self.terminal.get_ref()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                result => self.take(result),
            }
        }
    }

    fn take(&mut self, read: io::Result<Vec<u8>>) {
        match read {
            Ok(bytes) if !bytes.is_empty() => {
                let keys = self.keys.feed(&bytes, self.now_ms());
                self.waiting.extend(keys);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => self.is_over = true,
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the width of the window.
    pub(crate) fn columns(&self) -> usize {
        self.window().columns
    }

    /// Returns the columns and rows of the window.
    pub(crate) fn window_size(&self) -> (u16, u16) {
        let Window { rows, columns } = self.window();
        let short = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        (short(columns), short(rows))
    }

    fn window(&self) -> Window {
        let size =
            tcgetwinsize(&self.terminal).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(UNKNOWN, |size| Window {
            rows: size.ws_row.into(),
            columns: size.ws_col.into(),
        })
    }

    /// Replaces the drawn scene. Like all changes it is written by
    /// [`Tty::flush`].
    pub(crate) fn draw(&mut self, scene: &Scene) {
        self.screen.draw(scene, self.window(), &mut self.output);
    }

    /// Draws a whole scene and leaves it on the screen.
    pub(crate) fn leave(&mut self, scene: &Scene) {
        self.screen.leave(scene, self.window(), &mut self.output);
    }

    /// Erases the scene.
    pub(crate) fn erase(&mut self) {
        self.screen.erase(&mut self.output);
    }

    /// Erases the scene and prints lines.
    pub(crate) fn print(&mut self, text: &str) {
        self.erase();
        self.output.push_str(&text.replace('\n', "\r\n"));
        self.output.push_str("\r\n");
    }

    /// Scrolls the screen's content up.
    pub(crate) fn clear(&mut self) {
        self.erase();
        self.output.push_str(&"\r\n".repeat(self.window().rows));
    }

    /// Adds sequences of the caller's own.
    pub(crate) fn write(&mut self, sequences: &str) {
        self.output.push_str(sequences);
    }

    /// Rings the bell.
    pub(crate) fn ring(&mut self) {
        self.output.push('\u{7}');
    }

    /// Writes all changes so far.
    ///
    /// # Errors
    ///
    /// The terminal has closed.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        let mut rest = output.as_bytes();
        while !rest.is_empty() {
            let count = self.terminal.write_with(|mut terminal| terminal.write(rest)).await?;
            rest = &rest[count..];
        }
        Ok(())
    }
}

fn read(mut terminal: &File) -> io::Result<Vec<u8>> {
    let mut bytes = [0; READ_BYTES];
    let count = terminal.read(&mut bytes)?;
    Ok(bytes[..count].to_vec())
}

/// Opens the terminal by its name, or by `/dev/tty` if the user has changed since the login.
fn open() -> io::Result<File> {
    let mut options = OpenOptions::new();
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    options.read(true).write(true).custom_flags(flags.bits().cast_signed());
    let by_name = ttyname(io::stdin(), Vec::new()).map_err(io::Error::from);
    let by_name = by_name
        .and_then(|name| options.open(Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()))));
    by_name.or_else(|_| options.open("/dev/tty"))
}
