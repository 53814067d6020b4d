//! A screen (Xvfb), a session bus, and the bus of screen readers.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use gtk::gdk_pixbuf::{Colorspace, Pixbuf};
use gtk::glib::Bytes;
use tempfile::TempDir;

/// The size of the screen, in pixels.
const SCREEN: &str = "1280x900x24";

/// The first number of a screen. Each test takes another one.
const FIRST_SCREEN: u32 = 200;

/// A desktop for one test. Its processes end with it.
pub(crate) struct Desktop {
    folder: TempDir,
    screen: Child,
    display: String,
    bus: Child,
    address: String,
}

impl Desktop {
    pub(crate) fn start() -> Desktop {
        let folder = tempfile::tempdir().unwrap();
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = FIRST_SCREEN + STARTED.fetch_add(1, Ordering::Relaxed);
        // It tells its number once it is ready.
        let mut screen = Command::new("Xvfb")
            .arg(format!(":{number}"))
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                SCREEN,
                "-nolisten",
                "tcp",
                "-noreset",
                "-fbdir",
            ])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let display = format!(":{}", first_line(&mut screen));
        let mut bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address"])
            .env("DISPLAY", &display)
            // The bus of screen readers keeps a socket there.
            .env("XDG_RUNTIME_DIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = first_line(&mut bus);
        Desktop { folder, screen, display, bus, address }
    }

    /// Lets a program use this desktop, and nothing of the user's own.
    pub(crate) fn admit(&self, command: &mut Command) {
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
    pub(crate) fn bus(&self) -> &str {
        &self.address
    }

    /// Presses keys, as xdotool names them.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.move_as(&[&["key", "--delay", "20"], keys].concat());
    }

    /// Runs xdotool: keys, and movements of the mouse.
    pub(crate) fn move_as(&self, arguments: &[&str]) {
        let mut xdotool = Command::new("xdotool");
        self.admit(&mut xdotool);
        assert!(xdotool.args(arguments).status().unwrap().success(), "{arguments:?}");
    }

    /// Keeps a picture of the screen.
    pub(crate) fn picture(&self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.png"));
        read_screen(&self.folder.path().join("Xvfb_screen0")).savev(&path, "png", &[]).unwrap();
        path
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
    std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
    line.trim().to_owned()
}

/// Reads a picture as the program xwd writes it (X11/XWDFile.h): 25 numbers, the colours, then rows of four bytes a
/// pixel: blue, green, red, and nothing.
fn read_screen(path: &Path) -> Pixbuf {
    let all = std::fs::read(path).unwrap();
    let number = |place: usize| {
        let bytes = all[place * 4..][..4].try_into().unwrap();
        u32::from_be_bytes(bytes) as usize
    };
    let (header, width, height, row, colours) =
        (number(0), number(4), number(5), number(12), number(19));
    let pixels = &all[header + colours * 12..];
    let mut picture = Vec::with_capacity(width * height * 3);
    for line in pixels.chunks(row).take(height) {
        for pixel in line.chunks(4).take(width) {
            picture.extend([pixel[2], pixel[1], pixel[0]]);
        }
    }
    let (width, height) = (width as i32, height as i32);
    Pixbuf::from_bytes(
        &Bytes::from_owned(picture),
        Colorspace::Rgb,
        false,
        8,
        width,
        height,
        width * 3,
    )
}
