//! The scripts behind `make chat` and `make stop`, with a home folder of their own.

use std::net::TcpStream;
use std::path::Path;
use std::process::Output;
use std::rc::Rc;

use letschat_tests::person::{CTRL_D, Person};
use letschat_tests::ports::free_port;
use letschat_tests::programs::program;
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/chat.sh");

/// A user's home, and a free port. Its server is stopped at the end.
struct Home {
    folder: Rc<TempDir>,
    port: u16,
}

impl Home {
    fn new() -> Home {
        Home { folder: Rc::new(tempfile::tempdir().unwrap()), port: free_port() }
    }

    /// The same home, with a server on another port.
    fn on_another_port(&self) -> Home {
        Home { folder: self.folder.clone(), port: free_port() }
    }

    fn variables(&self) -> [(&'static str, String); 5] {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        [
            ("HOME", path("")),
            ("XDG_DATA_HOME", path("data")),
            ("XDG_STATE_HOME", path("state")),
            ("XDG_CONFIG_HOME", path("config")),
            ("PORT", self.port.to_string()),
        ]
    }

    fn chat(&self, name: &str) -> Person {
        let programs = program("letschat");
        let command = pty_process::blocking::Command::new("bash")
            .arg(SCRIPT)
            .arg("open")
            .arg(programs.parent().unwrap_or(Path::new("")))
            .envs(self.variables());
        Person::run(command, name, tempfile::tempdir().unwrap())
    }

    fn stop(&self) -> Output {
        let mut script = std::process::Command::new("bash");
        script.arg(SCRIPT).arg("stop").envs(self.variables()).output().unwrap()
    }

    fn is_served(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn two_terminals_by_make_chat_are_two_people_on_one_server() {
    let home = Home::new();
    let mut alice = home.chat("alice");
    alice.sees("A server was started; its log is");
    alice.sees("Do you have an account here (y/n)?");
    alice.types("n");
    alice.sees("The name you want");
    alice.types("alice");
    alice.chooses_password();
    alice.is_prompted("letschat> ");

    let bob = home.chat("bob");
    bob.sees("Do you have an account here (y/n)?");
    assert!(!bob.bytes().contains("A server was started"), "a second server was started");

    alice.press(CTRL_D);
    assert_eq!(alice.sees_the_end(), 0);
    assert!(home.is_served(), "the server ended with its first client");
    let stopped = home.stop();
    assert!(String::from_utf8_lossy(&stopped.stdout).contains("The server has stopped."));
    assert!(!home.is_served());
    let again = home.stop();
    assert!(String::from_utf8_lossy(&again.stdout).contains("No server runs"));
}

#[test]
fn a_server_on_another_port_has_a_folder_of_its_own() {
    let home = Home::new();
    let other = home.on_another_port();
    let both = [&home, &other].map(|home| {
        let somebody = home.chat("somebody");
        somebody.sees("A server was started; its log is");
        somebody.sees(&format!("'make stop PORT={}' ends it", home.port));
        somebody.sees("Do you have an account here (y/n)?");
        assert!(home.is_served());
        somebody
    });
    // The client that started the server may still run when it is stopped.
    let stopped = other.stop();
    assert!(String::from_utf8_lossy(&stopped.stdout).contains("The server has stopped."));
    assert!(!other.is_served() && home.is_served());
    drop(both);
}

/// Returns the commands that make would run for these words and variables.
fn would_run(words: &[&str], variables: &[(&str, &Path)]) -> String {
    let mut make = std::process::Command::new("make");
    make.args(["--dry-run", "--no-print-directory", "--directory"]);
    make.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).args(words);
    for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR", "MAKEFLAGS"] {
        make.env_remove(name);
    }
    let output = make.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn make_chat_builds_both_programs_and_runs_that_script() {
    let commands = would_run(&["chat", "PORT=5511"], &[]);
    let [build, chat] = commands.lines().collect::<Vec<_>>()[..] else { panic!("{commands}") };
    assert_eq!(
        build.split_whitespace().collect::<Vec<_>>().join(" "),
        "cargo build --locked --release --bins"
    );
    assert!(chat.contains("PORT=5511 "), "{chat}");
    assert!(chat.contains(" scripts/chat.sh open \"") && chat.ends_with("/release\""), "{chat}");
}

#[test]
fn make_uninstall_takes_the_folders_of_make_install() {
    for target in ["install", "install-gtk", "uninstall"] {
        let commands = would_run(&[target, "PREFIX=/opt/chat", "DESTDIR=/somewhere"], &[]);
        let script = "PREFIX=\"/opt/chat\" DESTDIR=\"/somewhere\" scripts/install.sh ";
        let (_, words) = commands.split_once(script).unwrap_or_else(|| panic!("{commands}"));
        assert_eq!(words.starts_with("--remove"), target == "uninstall", "{commands}");
    }
}

#[test]
fn make_finds_the_programs_where_cargo_builds_them() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("a shared folder");
    let home = folder.path().join("cargo");
    std::fs::create_dir(&home).unwrap();
    let setting = format!("[build]\ntarget-dir = '{}'\n", elsewhere.display());
    std::fs::write(home.join("config.toml"), setting).unwrap();
    let by_variable = [("CARGO_TARGET_DIR", elsewhere.as_path())];
    let by_setting = [("CARGO_HOME", home.as_path())];
    for variables in [&by_variable, &by_setting] {
        for (target, profile, program) in [
            ("chat", "release", ""),
            ("run", "release", "/letschat-server"),
            ("install", "release", ""),
            ("deb", "package", ""),
            ("demo-local", "release", ""),
            ("bench", "release", "/letschat-bench"),
            ("test", "debug", ""),
        ] {
            let commands = would_run(&[target, "LETSCHAT_TEST_MYSQL=none"], variables);
            let place = format!("\"{}/{profile}{program}\"", elsewhere.display());
            assert!(commands.contains(&place), "make {target}: no {place} in\n{commands}");
        }
    }
}
