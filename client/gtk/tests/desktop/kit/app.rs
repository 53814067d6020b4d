//! The program on a desktop.

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

/// The password of all accounts.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The program, and what a screen reader sees of it.
pub(crate) struct App {
    pub(crate) desktop: Desktop,
    pub(crate) data: TempDir,
    running: Running,
    bus: DBusConnection,
    test: &'static str,
    pictures: u32,
}

impl App {
    /// Starts the program for a server, on a desktop of its own.
    pub(crate) fn start(test: &'static str, server: &TestServer, flags: &[&str]) -> App {
        let data = tempfile::tempdir().unwrap();
        App::start_in(test, data, &[flags, &["--server", &server.location()]].concat())
    }

    /// Starts the program in a data folder.
    pub(crate) fn start_in(test: &'static str, data: TempDir, flags: &[&str]) -> App {
        let desktop = Desktop::start();
        let bus = reader::bus(&desktop);
        let mut command = Command::new(env!("CARGO_BIN_EXE_letschat-gtk"));
        without_settings(&mut command);
        desktop.admit(&mut command);
        command.env("HOME", data.path()).env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
        command.args(["--peer-port", "0", "--data"]).arg(data.path().join("data")).args(flags);
        App::run(test, data, desktop, bus, &mut command)
    }

    /// Starts the program in a home of its own, with a settings file that may not be there yet.
    pub(crate) fn start_in_home(test: &'static str, home: TempDir, flags: &[&str]) -> App {
        let desktop = Desktop::start();
        let bus = reader::bus(&desktop);
        let mut command = Command::new(env!("CARGO_BIN_EXE_letschat-gtk"));
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
        App { desktop, data, running, bus, test, pictures: 0 }
    }

    /// Starts the program, and signs up.
    pub(crate) fn join(test: &'static str, server: &TestServer, name: &str) -> App {
        let app = App::start(test, server, &[]);
        app.sign_up(name);
        app
    }

    /// Fills the assistant's page for a new account.
    pub(crate) fn sign_up(&self, name: &str) {
        self.wait("text box", "Name").write(name);
        self.wait("text box", "Password").write(PASSWORD);
        self.wait("text box", "The same password again").write(PASSWORD);
        self.click("Create the account");
        self.wait("list", "Conversations");
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
                self.desktop.picture(&format!("{}-failed", self.test));
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

    /// Waits for a button, and clicks on it.
    pub(crate) fn click(&self, name: &str) {
        self.wait("button", name).click();
    }

    /// Goes to a conversation of the list.
    pub(crate) fn open(&self, conversation: &str) {
        let (left, top, width, height) = self.wait("list item", conversation).place();
        let (x, y) = (left + width / 2, top + height / 2);
        self.desktop.move_as(&["mousemove", &x.to_string(), &y.to_string(), "click", "1"]);
    }

    /// Says something in the conversation that is shown.
    pub(crate) fn say(&self, text: &str) {
        self.wait("text box", "Message").write(text);
        self.click("Send");
    }

    /// Keeps a picture of this step.
    pub(crate) fn picture(&mut self, step: &str) {
        self.pictures += 1;
        self.desktop.picture(&format!("{}-{}-{step}", self.test, self.pictures));
    }

    /// Closes the window, and returns the data for another start.
    pub(crate) fn close(mut self) -> TempDir {
        self.desktop.press(&["ctrl+q"]);
        assert_eq!(self.running.exit_code(), 0, "{}", self.running.errors());
        self.data
    }

    /// Makes friends with somebody, who asks for a chat.
    pub(crate) fn befriend(&mut self, own: &str, other: &mut TestClient) {
        let asked = other.tell("connect", serde_json::json!({"who": own}));
        self.click("Approve");
        let reply = other.reply(asked);
        assert_eq!(reply["with"], own, "{reply}");
    }
}
