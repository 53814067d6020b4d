//! The settings file of `letschat`.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use letschat_tests::programs::{foreign_settings, program};
use serde_json::Value;
use tempfile::TempDir;

/// A home folder with the default folders for settings and data.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Home {
        Home { folder: tempfile::tempdir().unwrap() }
    }

    /// Creates a home with this settings file.
    fn with(settings: &str) -> Home {
        let home = Home::new();
        let path = home.settings();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, settings).unwrap();
        home
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("config/letschat/settings.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("letschat"));
        for name in foreign_settings() {
            command.env_remove(name);
        }
        command
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .args(["--json", "--no-login", "--peer-port", "0"])
            .args(arguments);
        command
    }
}

/// Runs the program on one command.
fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The program may end before it has read anything.
    let _ = child.stdin.take().unwrap().write_all(b"status\n");
    child.wait_with_output().unwrap()
}

/// Returns the server that the program would use.
fn server(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{output:?}");
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    status["server"].as_str().unwrap().to_owned()
}

/// Returns the standard error of a program that refuses to start.
fn refusal(command: &mut Command) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn flags_win_over_environment_then_file_then_default() {
    let home = Home::with("server = '127.0.0.1:3'");
    let variable = |command: &mut Command| server(command.env("LETSCHAT_SERVER", "127.0.0.1:2"));
    let flag = ["--server", "127.0.0.1:1"];
    assert_eq!(variable(&mut home.command(&flag)), "127.0.0.1:1");
    assert_eq!(variable(&mut home.command(&[])), "127.0.0.1:2");
    assert_eq!(server(&mut home.command(&[])), "127.0.0.1:3");
    assert_eq!(server(&mut Home::new().command(&[])), "127.0.0.1:4400");
}

#[test]
fn a_file_is_named_by_flag_or_variable() {
    let (home, other) = (Home::with("server = '127.0.0.1:3'"), Home::with("server = 'there:4'"));
    let path = other.settings();
    assert_eq!(server(&mut home.command(&["--config", path.to_str().unwrap()])), "there:4");
    assert_eq!(server(home.command(&[]).env("LETSCHAT_CONFIG", &path)), "there:4");
    let missing = other.folder.path().join("missing.toml");
    let said = refusal(home.command(&[]).env("LETSCHAT_CONFIG", &missing));
    assert!(said.contains(missing.to_str().unwrap()), "{said}");
}

#[test]
fn a_wrong_setting_is_told_in_one_line_with_file_and_key() {
    for (settings, told) in [
        ("tries = 0", "`tries`"),
        ("colour = 'never'", "`colour`"),
        ("server = 'a b'", "`server`"),
        ("as = alice", "line 1"),
    ] {
        let home = Home::with(settings);
        let said = refusal(&mut home.command(&[]));
        assert!(said.starts_with("letschat: the settings file "), "{said}");
        for words in [home.settings().to_str().unwrap(), told] {
            assert!(said.contains(words), "{said}");
        }
    }
}

#[test]
fn empty_variable_counts_as_unset() {
    let home = Home::with("server = '127.0.0.1:3'");
    let mut command = home.command(&[]);
    for name in ["SERVER", "CONFIG", "DATA", "AS", "PEER_LISTEN", "PLAIN", "COLOR", "TRIES"] {
        command.env(format!("LETSCHAT_{name}"), "");
    }
    assert_eq!(server(&mut command), "127.0.0.1:3");
}

/// Returns the answer to `status` of a program with only these variables.
fn answer(variables: &[(&str, &str)]) -> Output {
    let home = Home::with("json = false");
    let mut command = Command::new(program("letschat"));
    command.env_clear().env("XDG_CONFIG_HOME", home.folder.path().join("config"));
    command.env("XDG_DATA_HOME", home.folder.path().join("data"));
    command.args(["--peer-port", "0"]).envs(variables.iter().copied());
    run(&mut command)
}

#[test]
fn variable_of_a_switch_takes_yes_and_no() {
    for (value, is_json) in
        [("1", true), ("true", true), ("Yes", true), ("0", false), ("false", false), ("no", false)]
    {
        let output = answer(&[("LETSCHAT_JSON", value)]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout.starts_with(b"{"), is_json, "{value}: {output:?}");
    }
}

#[test]
fn wrong_variable_is_told_by_its_name() {
    for (name, value, why) in [
        ("LETSCHAT_JSON", "maybe", "expected true or false, yes or no, 1 or 0"),
        ("LETSCHAT_TRIES", "many", "must be a number from 1 to 4294967295"),
        ("LETSCHAT_SERVER", "a b", "\"a b\" is not a host name or an address"),
        ("LETSCHAT_COLOR", "red", "expected one of "),
    ] {
        let output = answer(&[(name, value)]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("letschat: the variable {name}: {why}")), "{said}");
        assert!(!said.contains("--"), "{said}");
    }
    let both = answer(&[("LETSCHAT_JSON", "1"), ("LETSCHAT_PLAIN", "1")]);
    let said = String::from_utf8(both.stderr).unwrap();
    assert!(said.contains("LETSCHAT_PLAIN: it can't be combined with LETSCHAT_JSON"), "{said}");
}

#[test]
fn variable_gives_way_to_the_command_line() {
    let home = Home::new();
    // The tests' usual flags contain --json.
    assert_eq!(server(home.command(&[]).env("LETSCHAT_PLAIN", "1")), "127.0.0.1:4400");
}
