//! The program on a desktop.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use gtk::gio::DBusConnection;
use letschat_tests::client::TestClient;
use letschat_tests::programs::{PATIENCE, Running, without_settings};
use letschat_tests::server::TestServer;
use tempfile::TempDir;

use super::desktop::Desktop;
use super::reader::{self, Control};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(30);

/// The size of the pictures of steps, in pixels.
const STEP: [i32; 2] = [1_280, 900];

/// The size of the window, in points.
const WINDOW: [i32; 2] = [1_000, 680];

/// The password of all accounts.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The look of the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// The pixels of a point, in each direction.
    pub(crate) scale: i32,
    pub(crate) is_dark: bool,
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_letschat-gtk");

/// Returns the command that starts the program by another one.
fn command_by(by: &[String]) -> Command {
    let words = [by, &[PROGRAM.to_owned()]].concat();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// The look of most tests.
const USUAL: Look = Look { scale: 1, is_dark: false };

/// The program, and what a screen reader sees of it.
pub(crate) struct App {
    pub(crate) desktop: Desktop,
    pub(crate) data: TempDir,
    running: Running,
    bus: DBusConnection,
    test: &'static str,
    pictures: u32,
    scale: i32,
}

impl App {
    /// Starts the program for a server, on a desktop of its own.
    pub(crate) fn start(test: &'static str, server: &TestServer, flags: &[&str]) -> App {
        let data = tempfile::tempdir().unwrap();
        let location = server.location();
        let flags = [flags, &["--server", &location]].concat();
        App::start_in(test, data, &flags, USUAL)
    }

    /// Starts the program again, with the data of an earlier run.
    pub(crate) fn start_again(
        test: &'static str,
        server: &TestServer,
        data: TempDir,
        flags: &[&str],
    ) -> App {
        let location = server.location();
        App::start_in(test, data, &[flags, &["--server", &location]].concat(), USUAL)
    }

    /// Starts the program for a server, with a look.
    pub(crate) fn start_with(test: &'static str, server: &TestServer, look: Look) -> App {
        let data = tempfile::tempdir().unwrap();
        App::start_in(test, data, &["--server", &server.location()], look)
    }

    /// Starts the program in a data folder.
    fn start_in(test: &'static str, data: TempDir, flags: &[&str], look: Look) -> App {
        let desktop = Desktop::start();
        let bus = reader::bus(&desktop);
        let mut command = Command::new(PROGRAM);
        without_settings(&mut command);
        desktop.admit(&mut command);
        desktop.colours.prefer_dark(look.is_dark);
        command.env("GDK_SCALE", look.scale.to_string());
        command.env("HOME", data.path()).env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
        command.args(["--peer-port", "0", "--data"]).arg(data.path().join("data")).args(flags);
        App { scale: look.scale, ..App::run(test, data, desktop, bus, &mut command) }
    }

    /// Starts the program in a home of its own, with a settings file that may not be there yet.
    pub(crate) fn start_in_home(test: &'static str, home: TempDir, flags: &[&str]) -> App {
        App::start_by(test, home, &[], flags)
    }

    /// Starts the program in a home of its own by another one, which becomes it.
    pub(crate) fn start_by(
        test: &'static str,
        home: TempDir,
        by: &[String],
        flags: &[&str],
    ) -> App {
        let desktop = Desktop::start();
        let bus = reader::bus(&desktop);
        let mut command = command_by(by);
        without_settings(&mut command);
        command.env_remove("LETSCHAT_CONFIG");
        desktop.admit(&mut command);
        command.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
        command.args(["--peer-port", "0"]).args(flags);
        App::run(test, home, desktop, bus, &mut command)
    }

    fn run(
        test: &'static str,
        data: TempDir,
        desktop: Desktop,
        bus: DBusConnection,
        command: &mut Command,
    ) -> App {
        let running = Running::start(command);
        App { desktop, data, running, bus, test, pictures: 0, scale: 1 }
    }

    /// Starts the program a second time, on the same desktop and with the same data, and waits for its end.
    pub(crate) fn start_beside(&self, flags: &[&str]) {
        let mut command = Command::new(PROGRAM);
        without_settings(&mut command);
        self.desktop.admit(&mut command);
        command.args(["--peer-port", "0", "--data"]).arg(self.data.path().join("data")).args(flags);
        let mut second = Running::start(&mut command);
        assert_eq!(second.exit_code(), 0, "{}", second.errors());
    }

    /// Waits for the end of the program, and returns its status.
    pub(crate) fn exit_code(&mut self) -> i32 {
        self.running.exit_code()
    }

    /// Waits until the window is as bright as this asks.
    pub(crate) fn wait_brightness(&self, wanted: &str, fits: impl Fn(u64) -> bool) {
        let [width, height] = WINDOW.map(|points| points as usize);
        self.wait_until(wanted, |_| fits(self.desktop.brightness(width, height)).then_some(()));
    }

    /// Presses a key until a label has exactly these words.
    pub(crate) fn press_until(&self, key: &str, words: &str) {
        self.wait_until(&format!("label {words:?}"), |all| {
            let is_there = all.iter().any(|one| one.is_called("label", words));
            if !is_there {
                self.desktop.press(&[key]);
            }
            is_there.then_some(())
        });
    }

    /// Gives the keyboard to the window with this title: there is no window manager that would do it.
    pub(crate) fn focus(&self, title: &str) {
        let title = format!("^{title}$");
        let search = ["search", "--sync", "--onlyvisible", "--name", &title];
        self.desktop.move_as(&[&search[..], &["windowfocus"]].concat());
    }

    /// Starts the program, and signs up.
    pub(crate) fn join(test: &'static str, server: &TestServer, name: &str) -> App {
        let app = App::start(test, server, &[]);
        app.sign_up(name);
        app
    }

    /// Fills the assistant's page for a new account.
    pub(crate) fn sign_up(&self, name: &str) {
        self.write("text box", "Name", name);
        self.write("text box", "Password", PASSWORD);
        self.write("text box", "The same password again", PASSWORD);
        self.click("Create the account");
        self.wait("list", "Conversations");
        self.focus("Let's Chat");
    }

    /// Returns the program, once it has told of itself.
    pub(crate) fn program(&self) -> Option<Control> {
        reader::program(&self.bus, self.running.pid())
    }

    /// Returns all controls.
    pub(crate) fn all(&self) -> Vec<Control> {
        self.program().map(|program| program.all()).unwrap_or_default()
    }

    /// Waits for a control with this role and name.
    pub(crate) fn wait(&self, role: &str, name: &str) -> Control {
        self.wait_until(&format!("{role} {name:?}"), |all| {
            all.iter().find(|one| one.is_called(role, name)).cloned()
        })
    }

    /// Waits until the controls have something. If they do not, the panic tells what there is.
    fn wait_until<T>(&self, wanted: &str, look: impl Fn(&[Control]) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let all = self.all();
            if let Some(found) = look(&all) {
                return found;
            }
            if Instant::now() > until {
                let names = all.iter().filter(|one| !one.name.is_empty());
                let names: Vec<String> =
                    names.map(|one| format!("{} {:?}", one.role, one.name)).collect();
                self.desktop.keep_picture(&format!("{}-failed", self.test), STEP[0], STEP[1]);
                let (there, errors) = (names.join("\n"), self.running.errors());
                panic!("there is no {wanted}; there is:\n{there}\nerrors: {errors}");
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits for a window or a dialog with this title.
    pub(crate) fn wait_window(&self, title: &str) {
        self.wait_until(&format!("window {title:?}"), |_| self.has_window(title).then_some(()));
    }

    /// Waits until no window has this title.
    pub(crate) fn wait_no_window(&self, title: &str) {
        let wanted = format!("end of window {title:?}");
        self.wait_until(&wanted, |_| (!self.has_window(title)).then_some(()));
    }

    fn has_window(&self, title: &str) -> bool {
        let windows = self.program().map(|program| program.children()).unwrap_or_default();
        windows.iter().any(|window| window.name == title)
    }

    /// Waits until a label with this text is between the conversation's name and the field for messages.
    pub(crate) fn wait_in_view(&self, text: &str) {
        self.wait_until(&format!("label {text:?} in view"), |all| {
            let place = |role, name| all.iter().find(|one| one.is_called(role, name))?.place();
            let (_, top, _, height) = place("label", text)?;
            let (_, above, _, _) = place("button", "Verify")?;
            let (_, below, _, _) = place("text box", "Message")?;
            (top > above && top + height <= below).then_some(())
        });
    }

    /// Waits until a label has these words.
    pub(crate) fn wait_label(&self, words: &str) {
        self.wait_until(&format!("label with {words:?}"), |all| {
            let mut labels = all.iter().filter(|one| one.role == "label");
            labels.any(|one| one.name.contains(words)).then_some(())
        });
    }

    /// Waits until no control has this role and name.
    pub(crate) fn wait_gone(&self, role: &str, name: &str) {
        self.wait_until(&format!("end of {role} {name:?}"), |all| {
            (!all.iter().any(|one| one.is_called(role, name))).then_some(())
        });
    }

    /// Waits for a control and does something with it. A control that is replaced meanwhile is sought again.
    pub(crate) fn with<T>(&self, role: &str, name: &str, act: impl Fn(&Control) -> Option<T>) -> T {
        self.wait_until(&format!("{role} {name:?} that takes it"), |all| {
            all.iter().filter(|one| one.is_called(role, name)).find_map(&act)
        })
    }

    /// Waits for a button, and clicks on it.
    pub(crate) fn click(&self, name: &str) {
        self.with("button", name, Control::click);
    }

    /// Waits for a field, and replaces its text.
    pub(crate) fn write(&self, role: &str, name: &str, text: &str) {
        self.with(role, name, |field| field.write(text));
    }

    /// Clicks on a button of the window with this title.
    pub(crate) fn click_in(&self, title: &str, name: &str) {
        self.wait_until(&format!("button {name:?} in {title:?}"), |_| {
            let windows = self.program()?.children();
            let all = windows.into_iter().find(|window| window.name == title)?.all();
            all.iter().find(|one| one.is_called("button", name))?.click()
        });
    }

    /// Goes to a conversation of the list.
    pub(crate) fn open(&self, conversation: &str) {
        self.click_row(conversation);
        self.wait_until(&format!("selected row {conversation:?}"), |all| {
            let mut rows = all.iter().filter(|one| one.is_called("list item", conversation));
            rows.any(Control::is_selected).then_some(())
        });
    }

    /// Clicks on the row of a list with these words.
    pub(crate) fn click_row(&self, words: &str) {
        let place = self.wait_until(&format!("list item with {words:?}"), |all| {
            let mut rows = all.iter().filter(|one| one.role == "list item");
            rows.find(|one| one.name.contains(words))?.place()
        });
        self.click_at(place);
    }

    /// Clicks on a control with the mouse. GTK 4.8 lets screen readers click on buttons alone.
    pub(crate) fn point_at(&self, role: &str, name: &str) {
        self.click_at(self.with(role, name, Control::place));
    }

    fn click_at(&self, (left, top, width, height): (i32, i32, i32, i32)) {
        let [x, y] = [left + width / 2, top + height / 2].map(|points| points * self.scale);
        self.desktop.move_as(&["mousemove", &x.to_string(), &y.to_string(), "click", "1"]);
    }

    /// Drags a file from another program's window into the messages. That program has to live until the file was taken.
    pub(crate) fn drag_to_messages(&self, file: &Path) -> Running {
        let programs = Path::new(PROGRAM).parent().unwrap();
        // It is there already, unless this suite runs alone.
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--workspace", "--example", "drag"]);
        assert!(build.status().unwrap().success(), "the example does not build");
        let mut drag = Command::new(programs.join("examples/drag"));
        self.desktop.admit(&mut drag);
        let source = Running::start(drag.arg(file));
        let [x, y] = [WINDOW[0] / 2, WINDOW[1] / 2];
        // Without a window manager it is in the corner, above the other window.
        self.desktop.move_as(&["search", "--sync", "--onlyvisible", "--name", "^drag$"]);
        let from = ["mousemove", "100", "50", "sleep", "0.5", "mousedown", "1", "sleep", "0.1"];
        self.desktop.move_as(&from);
        // Each movement is noticed by itself, as that of a hand is.
        for step in 1..=10 {
            let (x, y) = (100 + (x - 100) * step / 10, 50 + (y - 50) * step / 10);
            self.desktop.move_as(&["mousemove", &x.to_string(), &y.to_string(), "sleep", "0.05"]);
        }
        self.desktop.move_as(&["sleep", "0.3", "mouseup", "1"]);
        source
    }

    /// Says something in the conversation that is shown.
    pub(crate) fn say(&self, text: &str) {
        self.write("text box", "Message", text);
        self.click("Send");
    }

    /// Keeps a picture of this step.
    pub(crate) fn picture(&mut self, step: &str) {
        self.pictures += 1;
        let name = format!("{}-{}-{step}", self.test, self.pictures);
        self.desktop.keep_picture(&name, STEP[0], STEP[1]);
    }

    /// Keeps a picture of the window alone.
    pub(crate) fn picture_of_window(&self, step: &str) {
        // Away from the window, whose last movement ends meanwhile.
        self.desktop.move_as(&["mousemove", "2099", "1499", "sleep", "0.7"]);
        let [width, height] = WINDOW.map(|points| points * self.scale);
        self.desktop.keep_picture(&format!("{}-{step}", self.test), width, height);
    }

    /// Returns the folder of the program: its data, or its home.
    pub(crate) fn folder(&self) -> &Path {
        self.data.path()
    }

    /// Waits until a file has these words.
    pub(crate) fn wait_file(&self, file: &Path, words: &str) {
        self.wait_until(&format!("{words:?} in {}", file.display()), |_| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            text.contains(words).then_some(())
        });
    }

    /// Closes the window, and returns the data for another start.
    pub(crate) fn close(mut self) -> TempDir {
        self.desktop.press(&["ctrl+q"]);
        assert_eq!(self.running.exit_code(), 0, "{}", self.running.errors());
        self.data
    }

    /// Ends the program by a signal.
    pub(crate) fn end_by(mut self, signal: &str) {
        self.running.signal(signal);
        assert_eq!(self.running.exit_code(), 0, "{}", self.running.errors());
    }

    /// Makes friends with somebody, who asks for a chat.
    pub(crate) fn befriend(&mut self, own: &str, other: &mut TestClient) {
        let asked = other.tell("connect", serde_json::json!({"who": own}));
        self.click("Approve");
        let reply = other.reply(asked);
        assert_eq!(reply["with"], own, "{reply}");
        // The next one's button has the same name.
        self.wait_gone("button", "Approve");
    }
}
