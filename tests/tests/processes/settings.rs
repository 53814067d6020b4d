//! The settings of `letschat-server` by flag, variable and file, and its logging.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use chrono::DateTime;
use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::operator::{letschat_server, run};
use letschat_tests::programs::Running;
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;
use serde_json::Value;
use tempfile::TempDir;

/// Folders for settings files and data.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Machine {
        Machine { folder: tempfile::tempdir().unwrap() }
    }

    /// Writes a settings file. The default is the user's own.
    fn with(self, place: &str, settings: &str) -> Machine {
        let path = self.path(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, settings).unwrap();
        self
    }

    fn path(&self, place: &str) -> PathBuf {
        self.folder.path().join(place)
    }

    fn command(&self) -> Command {
        let mut command = letschat_server(&self.path("data"));
        command.env("XDG_CONFIG_HOME", self.path("config"));
        if self.path(USERS_OWN).exists() {
            command.env_remove("LETSCHAT_SERVER_CONFIG");
        }
        command.args(["--listen", "127.0.0.1", "--port", "0"]);
        command
    }
}

const USERS_OWN: &str = "config/letschat-server/settings.toml";

/// Starts a server and returns its number of places, from its console.
fn places(command: &mut Command) -> String {
    let mut server = Running::start(command);
    server.type_line("list");
    let line = server.wait_line("places", |line| line.contains(" places taken"));
    let words: Vec<&str> = line.split_whitespace().collect();
    words[2].to_owned()
}

#[test]
fn flags_win_over_environment_then_file_then_default() {
    let machine = Machine::new().with(USERS_OWN, "places = 3");
    let mut flag = machine.command();
    flag.env("LETSCHAT_SERVER_PLACES", "2").args(["--places", "1"]);
    assert_eq!(places(&mut flag), "1");
    assert_eq!(places(machine.command().env("LETSCHAT_SERVER_PLACES", "2")), "2");
    assert_eq!(places(&mut machine.command()), "3");
    assert_eq!(places(&mut Machine::new().command()), "50");
}

#[test]
fn empty_variables_count_as_unset_and_wrong_ones_are_named() {
    let machine = Machine::new().with(USERS_OWN, "places = 3");
    let mut command = machine.command();
    for name in ["PLACES", "LISTEN", "STORE", "LOG", "LOG_FORMAT", "STORE_CA"] {
        command.env(format!("LETSCHAT_SERVER_{name}"), "");
    }
    assert_eq!(places(&mut command), "3");
    for (name, value) in [("PLACES", "many"), ("LOG", "loud"), ("STORE", "file"), ("PORT", "x")] {
        let name = format!("LETSCHAT_SERVER_{name}");
        let mut command = letschat_server(&machine.path("data"));
        let said = run(command.env(&name, value), "").refused(2);
        assert!(said.starts_with(&format!("letschat-server: the variable {name}: ")), "{said}");
    }
}

#[test]
fn a_file_is_named_by_flag_or_variable() {
    let machine = Machine::new().with(USERS_OWN, "places = 3").with("other.toml", "places = 4");
    let other = machine.path("other.toml");
    assert_eq!(places(machine.command().arg("--config").arg(&other)), "4");
    assert_eq!(places(machine.command().env("LETSCHAT_SERVER_CONFIG", &other)), "4");
    let missing = run(machine.command().args(["--config", "/no/such.toml"]), "").refused(2);
    assert!(missing.contains("/no/such.toml"), "{missing}");
}

#[test]
fn a_wrong_setting_is_one_sentence_with_file_and_key() {
    for (settings, told) in [
        ("places = 0", "at `places`: must be a number from 1 to 1000000"),
        ("places = 'many'", "at `places`: must be a number from 1 to 1000000"),
        ("place = 50", "at `place`: there is no such setting"),
        ("idle_seconds = 5", "at `idle_seconds`: it is written `idle-seconds`"),
        ("log = 'loud'", "at `log`: "),
        ("log-format = 'xml'", "at `log-format`: expected one of text, json"),
        ("[server]\nplaces = 5", "at `server`: expected a text, a number, true or false"),
        ("config = 'other.toml'", "at `config`: this is said on the command line only"),
        ("places = 5\nport = \n", "is not TOML at line 2"),
        ("store = 'mysql://a:hunter2@b/c'", "at `store`: a password does not belong there"),
    ] {
        let machine = Machine::new().with(USERS_OWN, settings);
        let mut commands = [machine.command(), machine.command()];
        commands[1].args(["account", "list"]);
        for command in &mut commands {
            let said = run(command, "").refused(2);
            let file = machine.path(USERS_OWN);
            assert!(said.contains(file.to_str().unwrap()) && said.contains(told), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
        assert!(!machine.path("data").exists(), "{settings}");
    }
}

#[test]
fn subcommands_go_by_the_same_settings() {
    let machine = Machine::new();
    let store = machine.path("elsewhere.sqlite");
    let machine = machine.with(USERS_OWN, &format!("store = 'sqlite:{}'", store.display()));
    let add = ["account", "add", "alice", "--password-file", "-"];
    run(machine.command().args(add), PASSWORD).ok();
    assert!(store.exists());
    let listed = run(machine.command().args(["account", "list"]), "").ok();
    assert!(listed.contains("alice"), "{listed}");
    for before in [true, false] {
        let mut command = machine.command();
        let flag = format!("--store=sqlite:{}", machine.path("another.sqlite").display());
        let arguments = ["account", "list"].map(str::to_owned);
        if before {
            command.arg(flag).args(arguments);
        } else {
            command.args(arguments).arg(flag);
        }
        let said = run(&mut command, "").refused(1);
        assert!(said.contains("another.sqlite") && said.contains("no database yet"), "{said}");
    }
}

/// Parses a log of JSON objects.
fn objects(log: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    log.lines().map(parse).collect()
}

#[test]
fn a_log_for_programs_is_an_object_on_each_line() {
    let mut server = TestServer::start(&["--log-format", "json"]);
    let mut alice = TestClient::join(&server, "alice");
    alice.ok("broadcast", serde_json::json!({"text": "a secret surprise"}));
    let _harry = Typist::joins(server.address, "harry");
    server.wait_log("harry logged in");
    server.stop();
    let log = server.process.errors();
    let lines = objects(&log);
    assert!(lines.len() > 5, "{log}");
    for line in &lines {
        let time = line["time"].as_str().unwrap();
        assert!(DateTime::parse_from_rfc3339(time).is_ok(), "{line}");
        let level = line["level"].as_str().unwrap();
        assert!(["ERROR", "WARN", "INFO", "DEBUG"].contains(&level), "{line}");
        assert!(!line["message"].as_str().unwrap().is_empty(), "{line}");
    }
    for secret in ["secret surprise", PASSWORD] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_log_for_people_is_no_object_and_has_no_colours_in_a_file() {
    let mut server = TestServer::start(&[]);
    TestClient::join(&server, "alice").quits();
    server.wait_log("alice left");
    server.stop();
    let log = server.process.errors();
    let line = log.lines().find(|line| line.contains("alice logged in")).unwrap();
    assert!(line.contains(" INFO ") && !line.contains('{'), "{line}");
    assert!(!log.contains('\u{1b}'), "{log}");
}

#[test]
fn the_units_name_flags_and_files_that_there_are() {
    let [service, socket] = [
        include_str!("../../../server/letschat-server.service"),
        include_str!("../../../server/letschat-server.socket"),
    ];
    let help = run(Machine::new().command().arg("--help"), "").ok();
    let words = service.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    let variables: Vec<&str> = words.filter(|word| word.starts_with("LETSCHAT_")).collect();
    assert!(variables.len() >= 2, "{variables:?}");
    for variable in variables {
        assert!(help.contains(variable), "{variable}");
    }
    let fifo = socket.lines().find_map(|line| line.strip_prefix("ListenFIFO=")).unwrap();
    assert!(service.contains(&format!(">{fifo}")), "{fifo}");
    assert!(service.contains("\nRequires=letschat-server.socket\n"));
    assert!(socket.contains("\nService=letschat-server.service\n"));
}
