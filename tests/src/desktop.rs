//! A desktop of a test's own: a screen (Xvfb) and a session bus (dbus-daemon).

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use tempfile::TempDir;

/// The size of the screen, in pixels, and the bits of each.
const SCREEN: &str = "2100x1500x24";

/// The first number of a screen. Each desktop of each process takes another one.
const FIRST_SCREEN: u32 = 1_000;
const SCREENS: u32 = 100;
const PROCESSES: u32 = 500;

/// The bytes of a pixel.
const PIXEL: usize = 4;

/// A desktop. Its processes end with it.
pub struct Desktop {
    folder: TempDir,
    screen: Child,
    display: String,
    bus: Child,
    address: String,
}

/// The pixels of a screen.
pub struct Picture {
    /// The size, in pixels.
    pub width: usize,
    /// The size, in pixels.
    pub height: usize,
    /// Red, green and blue of each pixel, row by row.
    pub pixels: Vec<u8>,
}

/// The place of rows in the file of a screen (X11/XWDFile.h): 25 numbers, the colours, then rows of four bytes a pixel:
/// blue, green, red, and nothing.
struct Layout {
    start: usize,
    row: usize,
    width: usize,
    height: usize,
}

impl Desktop {
    /// Starts a desktop.
    pub fn start() -> Desktop {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        let ours = FIRST_SCREEN + std::process::id() % PROCESSES * SCREENS;
        let number = ours + STARTED.fetch_add(1, Ordering::Relaxed) % SCREENS;
        // It tells its number once it is ready. By -noreset it goes on after its last program has disconnected.
        let mut screen = Command::new("Xvfb")
            .arg(format!(":{number}"))
            .args(["-displayfd", "1", "-screen", "0", SCREEN, "-nolisten", "tcp", "-noreset"])
            .arg("-fbdir")
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let display = format!(":{}", first_line(&mut screen));
        let mut bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address"])
            .env("DISPLAY", &display)
            // The bus of screen readers keeps a socket there.
            .env("XDG_RUNTIME_DIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon starts");
        let address = first_line(&mut bus);
        Desktop { folder, screen, display, bus, address }
    }

    /// Lets a program use this desktop, and nothing of the user's own.
    pub fn admit(&self, command: &mut Command) {
        command
            .env("DISPLAY", &self.display)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("GDK_BACKEND", "x11")
            .env("GSK_RENDERER", "cairo")
            .env("GSETTINGS_BACKEND", "memory")
            .env("GTK_A11Y", "atspi")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("GTK_THEME");
    }

    /// Returns the address of the session bus.
    pub fn bus(&self) -> &str {
        &self.address
    }

    /// Presses keys, as xdotool names them.
    pub fn press(&self, keys: &[&str]) {
        self.move_as(&[&["key", "--delay", "20"], keys].concat());
    }

    /// Runs xdotool: keys, and movements of the mouse.
    pub fn move_as(&self, arguments: &[&str]) {
        let mut xdotool = Command::new("xdotool");
        self.admit(&mut xdotool);
        let is_done = xdotool.args(arguments).stdout(Stdio::null()).status().unwrap().success();
        assert!(is_done, "xdotool {arguments:?}");
    }

    /// Returns what the screen shows.
    pub fn picture(&self) -> Picture {
        let Layout { start, row, width, height } = self.layout();
        let all = std::fs::read(self.file()).unwrap();
        let mut pixels = Vec::with_capacity(width * height * 3);
        for line in all[start..].chunks(row).take(height) {
            for pixel in line.chunks(PIXEL).take(width) {
                pixels.extend([pixel[2], pixel[1], pixel[0]]);
            }
        }
        Picture { width, height, pixels }
    }

    /// Returns some bytes of a row of the screen, from a pixel on. That takes much less time than a picture.
    pub fn row(&self, left: usize, top: usize, pixels: usize) -> Vec<u8> {
        let Layout { start, row, .. } = self.layout();
        let mut file = File::open(self.file()).unwrap();
        file.seek(SeekFrom::Start((start + row * top + left * PIXEL) as u64)).unwrap();
        let mut bytes = vec![0; pixels * PIXEL];
        file.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn layout(&self) -> Layout {
        let mut header = [0; 100];
        File::open(self.file()).unwrap().read_exact(&mut header).unwrap();
        let number = |place: usize| {
            let bytes = header[place * 4..][..4].try_into().unwrap();
            u32::from_be_bytes(bytes) as usize
        };
        // A colour has twelve bytes.
        let start = number(0) + number(19) * 12;
        Layout { start, row: number(12), width: number(4), height: number(5) }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("Xvfb_screen0")
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for child in [&mut self.bus, &mut self.screen] {
            // By SIGTERM, so that the screen removes its socket. It may have ended already.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    // The program may write more, which nobody needs.
    thread::spawn(move || output.read_to_end(&mut Vec::new()));
    line.trim().to_owned()
}
