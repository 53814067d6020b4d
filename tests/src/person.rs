//! Somebody at a terminal: a line client, its screen, and the keys.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use serde_json::json;
use tempfile::TempDir;
use vt100::{Callbacks, Cell, Parser, Screen};

use crate::client::{PASSWORD, TestClient};
use crate::programs::{NO_SETTINGS, PATIENCE, foreign_settings, program};
use crate::server::TestServer;

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its height.
    pub rows: u16,
    /// Its width.
    pub columns: u16,
}

/// The usual size of a terminal.
pub const USUAL: Window = Window { rows: 24, columns: 80 };

/// Rows that a terminal keeps which have left its screen.
const SCROLLBACK: usize = 10_000;

/// The key Ctrl+C.
pub const CTRL_C: &str = "\x03";
/// The key Ctrl+D.
pub const CTRL_D: &str = "\x04";
/// The key Ctrl+R.
pub const CTRL_R: &str = "\x12";
/// The key Ctrl+X.
pub const CTRL_X: &str = "\x18";
/// The key Ctrl+Z.
pub const CTRL_Z: &str = "\x1a";
/// The tabulator key.
pub const TAB: &str = "\t";
/// The key Ctrl+U.
pub const CTRL_U: &str = "\x15";
/// The key Home.
pub const HOME: &str = "\x1b[H";
/// The key Up.
pub const UP: &str = "\x1b[A";

/// A person with a terminal. The client is killed when this is dropped.
pub struct Person {
    /// The username.
    pub name: String,
    /// The data folder of the client.
    pub data: TempDir,
    keys: Arc<Pty>,
    seen: Arc<Seen>,
    child: Child,
}

/// The bytes that the terminal was sent.
struct Seen {
    terminal: Mutex<Terminal>,
    changed: Condvar,
}

struct Terminal {
    parser: Parser<Bells>,
    bytes: Vec<u8>,
    is_closing: bool,
    is_over: bool,
}

/// Counts how often the bell has rung. It answers no question: a program that asks one waits for ever.
#[derive(Default)]
struct Bells(usize);

impl Callbacks for Bells {
    fn audible_bell(&mut self, _: &mut Screen) {
        self.0 += 1;
    }
}

impl Person {
    /// Sits down at a client that was never run.
    pub fn sit_down(server: &TestServer, name: &str) -> Person {
        Person::sit_down_with(server, name, tempfile::tempdir().unwrap(), &[], &[])
    }

    /// The same with a folder, flags and environment of the test's own.
    pub fn sit_down_with(
        server: &TestServer,
        name: &str,
        data: TempDir,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Person {
        Person::sit_down_at(server, name, data, USUAL, flags, environment)
    }

    /// The same at a window of that size.
    pub fn sit_down_at(
        server: &TestServer,
        name: &str,
        data: TempDir,
        window: Window,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Person {
        let fresh = foreign_settings()
            .into_iter()
            .fold(Command::new(program("letschat")), |command, name| command.env_remove(name));
        let command = fresh
            .args([server.address.ip().to_string(), server.address.port().to_string()])
            .args(["--peer-port", "0", "--data"])
            .arg(data.path())
            .args(flags)
            .env_remove("NO_COLOR")
            .env("LETSCHAT_CONFIG", NO_SETTINGS)
            .envs(environment.iter().copied());
        Person::run_at(command, name, data, window)
    }

    /// Sits down at whatever runs a client.
    pub fn run(command: Command, name: &str, data: TempDir) -> Person {
        Person::run_at(command, name, data, USUAL)
    }

    /// The same at a window of that size.
    pub fn run_at(command: Command, name: &str, data: TempDir, window: Window) -> Person {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(window.rows, window.columns)).unwrap();
        let child = command.env("TERM", "xterm-256color").spawn(pts).unwrap();
        let keys = Arc::new(pty);
        let seen = Arc::new(Seen::new(window));
        let (output, watching) = (keys.clone(), seen.clone());
        thread::spawn(move || watching.watch(&output));
        Person { name: name.to_owned(), data, keys, seen, child }
    }

    /// The same with an account, logged in by its key.
    pub fn join(server: &TestServer, name: &str) -> Person {
        Person::join_with(server, name, &[], &[])
    }

    /// The same with flags and environment of the test's own.
    pub fn join_with(
        server: &TestServer,
        name: &str,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Person {
        Person::join_at(server, name, USUAL, flags, environment)
    }

    /// The same at a window of that size.
    pub fn join_at(
        server: &TestServer,
        name: &str,
        window: Window,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Person {
        let data = tempfile::tempdir().unwrap();
        let location = server.address.to_string();
        let mut before = TestClient::start_in(data, &location, name, &["--accept-new-server"]);
        before.sign_up_and_log_in();
        before.process.end_input();
        assert_eq!(before.process.exit_code(), 0);
        let person = Person::sit_down_at(server, name, before.data, window, flags, environment);
        person.sees(&format!("Logged in as {name}, by key."));
        person.is_prompted("letschat> ");
        person
    }

    /// The program that was started.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The names of the client's threads.
    pub fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let paths = tasks.filter_map(|task| Some(task.ok()?.path().join("comm")));
        // One that ends meanwhile has no name any more.
        let names = paths.filter_map(|path| std::fs::read_to_string(path).ok());
        names.map(|name| name.trim_end().to_owned()).collect()
    }

    /// Presses keys.
    pub fn press(&self, keys: &str) {
        self.press_bytes(keys.as_bytes());
    }

    /// Sends bytes as they are, which need not be text.
    pub fn press_bytes(&self, bytes: &[u8]) {
        (&*self.keys).write_all(bytes).unwrap();
    }

    /// Types a line and sends it off.
    pub fn types(&self, line: &str) {
        self.press(&format!("{line}\r"));
    }

    /// Pastes as a terminal does that brackets what is pasted.
    pub fn pastes(&self, text: &str) {
        self.press(&format!("\x1b[200~{text}\x1b[201~"));
    }

    /// Waits until these words are on the screen. Words may be broken at its edge.
    pub fn sees(&self, words: &str) {
        self.sees_times(words, 1);
    }

    /// Waits until these words are gone from the screen.
    pub fn sees_no(&self, words: &str) {
        let is_gone = |terminal: &Terminal| !terminal.contents().contains(words);
        self.wait(&format!("screen without {words:?}"), is_gone);
    }

    /// The same, so often or more.
    pub fn sees_times(&self, words: &str, times: usize) {
        let wanted: String = words.split_whitespace().collect();
        self.wait(&format!("{times} times {words:?}"), |terminal| {
            let shown: String = terminal.contents().split_whitespace().collect();
            shown.matches(&wanted).count() >= times
        });
    }

    /// Waits until the terminal was sent these words so often or more, wherever they are now.
    pub fn is_sent_times(&self, words: &str, times: usize) {
        let count = |bytes: &[u8]| String::from_utf8_lossy(bytes).matches(words).count();
        self.wait(words, |terminal| count(&terminal.bytes) >= times);
    }

    /// Waits until the last line is this, with the cursor at its end.
    pub fn is_prompted(&self, line: &str) {
        self.wait(&format!("prompt {line:?}"), |terminal| {
            terminal.last_line() == line.trim_end() && terminal.cursor_column() == width(line)
        });
    }

    /// The same, where a hint follows the cursor.
    pub fn is_hinted(&self, line: &str, hint: &str) {
        let whole = format!("{line}{hint}");
        self.wait(&format!("hint {whole:?}"), |terminal| {
            terminal.last_line() == whole && terminal.cursor_column() == width(line)
        });
    }

    /// The same of a line that goes over the edge: waits until the last rows are these.
    pub fn is_prompted_over(&self, rows: &[&str]) {
        self.wait(&format!("prompt {rows:?}"), |terminal| {
            let shown = terminal.rows();
            let end = rows.last().map_or(0, |row| width(row));
            shown.iter().rev().take(rows.len()).eq(rows.iter().rev())
                && terminal.cursor_column() == end
        });
    }

    /// The rows of the screen, each without the blanks at its end; not those that are empty below
    /// the last.
    pub fn rows(&self) -> Vec<String> {
        self.seen.lock().rows()
    }

    /// The same with the rows that have left the screen at its top.
    pub fn all_rows(&self) -> Vec<String> {
        self.seen.lock().all_rows()
    }

    /// Expects these texts on the screen or above it, each in a row and in this order.
    pub fn keeps(&self, texts: &[String]) {
        let all = self.all_rows();
        let mut rows = all.iter();
        let lost = texts.iter().find(|text| !rows.any(|row| row.contains(text.as_str())));
        assert!(lost.is_none(), "{lost:?} is lost in\n{}", all.join("\n"));
    }

    /// Returns the text on the screen.
    pub fn screen(&self) -> String {
        self.seen.lock().contents()
    }

    /// The same, with its colours.
    pub fn looks_at_the_screen(&self) -> Screen {
        self.seen.lock().parser.screen().clone()
    }

    /// The cells that are not blank, row by row.
    pub fn all_cells(&self) -> Vec<Cell> {
        cells(&self.looks_at_the_screen())
    }

    /// Waits until these words are on the screen, and looks at their cells: the last ones, if they
    /// are there more than once.
    pub fn cells_of(&self, words: &str) -> Vec<Cell> {
        let found = RefCell::new(Vec::new());
        self.wait(words, |terminal| {
            *found.borrow_mut() = terminal.cells_of(words);
            !found.borrow().is_empty()
        });
        found.into_inner()
    }

    /// Everything that the terminal was sent, control sequences and all.
    pub fn bytes(&self) -> String {
        String::from_utf8_lossy(&self.raw_bytes()).into_owned()
    }

    /// The same, byte for byte.
    pub fn raw_bytes(&self) -> Vec<u8> {
        self.seen.lock().bytes.clone()
    }

    /// Waits until the bell has rung so often.
    pub fn hears_bells(&self, count: usize) {
        self.wait("bell", |terminal| terminal.parser.callbacks().0 == count);
    }

    /// Makes the window wider or narrower.
    pub fn resizes(&self, columns: u16) {
        self.resizes_to(columns, self.looks_at_the_screen().size().0.get());
    }

    /// Gives the window another size.
    pub fn resizes_to(&self, columns: u16, rows: u16) {
        let mut terminal = self.seen.lock();
        terminal.parser.set_size(size(rows), size(columns));
        self.keys.resize(Size::new(rows, columns)).unwrap();
    }

    /// Closes the terminal, which both the system and a shell tell; the result is the client's exit
    /// status.
    pub fn closes_the_terminal(&mut self) -> i32 {
        self.closes_the_terminal_by("x")
    }

    /// The same after these keys, of which something is shown.
    pub fn closes_the_terminal_by(&mut self, keys: &str) -> i32 {
        self.seen.lock().is_closing = true;
        // The echo wakes the watching thread, which then ends.
        self.press(keys);
        self.wait("end of the watch", |terminal| terminal.is_over);
        // Another one, at which nobody sits; with this the last hold on the old one is gone.
        self.keys = Arc::new(open().unwrap().0);
        let hang_up = format!("kill -s HUP {}", self.child.id());
        // The system's own word may have been enough.
        let _ = std::process::Command::new("sh").args(["-c", &hang_up]).output();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Waits for the client's end; the result is its exit status.
    pub fn sees_the_end(&mut self) -> i32 {
        self.wait("end of the client", |terminal| terminal.is_over);
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Takes the folder of a client that has ended.
    pub fn leaves_the_data(mut self) -> TempDir {
        std::mem::replace(&mut self.data, tempfile::tempdir().unwrap())
    }

    /// Asks somebody for a chat, who approves. The prompt then names them.
    pub fn chats_with(&self, other: &mut TestClient) {
        self.types(&format!("connect {}", other.name));
        other.wait_event_with("request", "from", &self.name);
        other.ok("approve", json!({"who": self.name}));
        other.wait_event_with("chat_opened", "with", &self.name);
        self.is_prompted(&format!("→ {}> ", other.name));
    }

    /// Answers the two questions for a new password.
    pub fn chooses_password(&self) {
        self.sees("Password for the new account:");
        self.types(PASSWORD);
        self.sees("The same password again:");
        self.types(PASSWORD);
    }

    fn wait(&self, wanted: &str, fits: impl Fn(&Terminal) -> bool) {
        let (terminal, is_missing) = (self.seen.lock(), |terminal: &mut Terminal| !fits(terminal));
        let waited = self.seen.changed.wait_timeout_while(terminal, PATIENCE, is_missing);
        let (terminal, result) = waited.unwrap();
        assert!(!result.timed_out(), "{} saw no {wanted} in\n{}", self.name, terminal.contents());
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Seen {
    fn new(window: Window) -> Seen {
        let (rows, columns) = (size(window.rows), size(window.columns));
        let parser = Parser::new_with_callbacks(rows, columns, SCROLLBACK, Bells::default());
        let terminal = Terminal { parser, bytes: Vec::new(), is_closing: false, is_over: false };
        Seen { terminal: Mutex::new(terminal), changed: Condvar::new() }
    }

    /// Is the terminal, until the program has closed it.
    fn watch(&self, mut pty: &Pty) {
        let mut bytes = [0; 4_096];
        // The end of a pseudo-terminal is an error to its reader.
        while let Ok(count @ 1..) = pty.read(&mut bytes) {
            let mut terminal = self.lock();
            if terminal.is_closing {
                break;
            }
            terminal.bytes.extend_from_slice(&bytes[..count]);
            terminal.parser.process(&bytes[..count]);
            drop(terminal);
            self.changed.notify_all();
        }
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// A test that failed while it held this lock has said all that there is to say.
    fn lock(&self) -> MutexGuard<'_, Terminal> {
        self.terminal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terminal {
    fn contents(&self) -> String {
        self.parser.screen().contents()
    }

    fn last_line(&self) -> String {
        let contents = self.contents();
        contents.lines().last().unwrap_or("").trim_end().to_owned()
    }

    fn rows(&self) -> Vec<String> {
        let screen = self.parser.screen();
        let (_, columns) = screen.size();
        let rows = screen.rows(0, columns.get()).map(|row| row.trim_end().to_owned());
        let mut rows: Vec<String> = rows.collect();
        let used = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        rows.truncate(used);
        rows
    }

    fn all_rows(&mut self) -> Vec<String> {
        let screen = self.parser.screen_mut();
        let (_, columns) = screen.size();
        screen.set_scrollback(usize::MAX);
        let mut rows = Vec::new();
        for back in (1..=screen.scrollback()).rev() {
            screen.set_scrollback(back);
            rows.extend(screen.rows(0, columns.get()).next());
        }
        screen.set_scrollback(0);
        rows.extend(screen.rows(0, columns.get()));
        rows.iter().map(|row| row.trim_end().to_owned()).collect()
    }

    fn cells_of(&self, words: &str) -> Vec<Cell> {
        let cells = cells(self.parser.screen());
        let wanted: String = words.split_whitespace().collect();
        let text: String = cells.iter().map(Cell::contents).collect();
        let Some(start) = text.rfind(&wanted) else { return Vec::new() };
        let mut next = 0;
        let is_wanted = |cell: &Cell| {
            let here = next;
            next += cell.contents().len();
            (start..start + wanted.len()).contains(&here)
        };
        cells.into_iter().filter(is_wanted).collect()
    }

    fn cursor_column(&self) -> usize {
        usize::from(self.parser.screen().cursor_position().1)
    }
}

/// Those that are not blank, row by row.
fn cells(screen: &Screen) -> Vec<Cell> {
    let (rows, columns) = screen.size();
    let places = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |at| (row, at)));
    let cells = places.filter_map(|(row, column)| screen.cell(row, column));
    cells.filter(|cell| !cell.contents().trim().is_empty()).cloned().collect()
}

/// Of a line that has no wide characters.
fn width(line: &str) -> usize {
    line.chars().count()
}

fn size(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}
