//! Irregular files in place of a program's files, and files that block it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::operator::{letschat_server, run};
use letschat_tests::programs::{Running, program, without_settings};
use letschat_tests::server::TestServer;
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;
use serde_json::json;

fn make_fifo(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

#[test]
fn server_does_not_wait_for_a_fifo_in_place_of_a_file() {
    for (name, status) in [
        ("server-key.pem", 1),
        ("server.lock", 1),
        ("letschat.sqlite", 1),
        ("letschat.sqlite-journal", 1),
        ("letschat.sqlite-wal", 1),
        ("letschat.sqlite-shm", 1),
        ("config/letschat-server/settings.toml", 2),
    ] {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(name);
        make_fifo(&path);
        let mut command = letschat_server(data.path());
        command.args(["--listen", "127.0.0.1", "--port", "0"]);
        if status == 2 {
            command.env_remove("LETSCHAT_SERVER_CONFIG");
            command.env("XDG_CONFIG_HOME", data.path().join("config"));
        }
        let told = run(&mut command, "").refused(status);
        let path = path.to_str().unwrap();
        assert!(told.contains(path) && told.contains(" is no regular file"), "{name}: {told}");
    }
    let data = tempfile::tempdir().unwrap();
    make_fifo(&data.path().join("letschat.sqlite"));
    let told = run(letschat_server(data.path()).args(["account", "list"]), "").refused(1);
    assert!(told.contains("it is no regular file"), "{told}");
}

#[test]
fn client_does_not_wait_for_a_fifo_in_place_of_a_file() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    alice.process.end_input();
    assert_eq!(alice.process.exit_code(), 0);
    let mut data = alice.data;
    let servers = fs::read_dir(data.path().join("servers")).unwrap();
    let accounts = servers.last().unwrap().unwrap().path().join("accounts");
    for file in ["identity.key", "peers.json", "blocked.json", "lock", "position.json"] {
        let path = accounts.join("alice").join(file);
        let before = fs::read(&path);
        let _ = fs::remove_file(&path);
        make_fifo(&path);
        let mut alice = TestClient::start_in(data, &server.location(), "alice", &[]);
        let login = json!({"username": "alice", "password": PASSWORD});
        if file == "position.json" {
            alice.ok("login", login);
            alice.wait_event_with("notice", "code", "position_lost");
            alice.process.end_input();
            assert_eq!(alice.process.exit_code(), 0);
            return;
        }
        let (_, why) = alice.refused("login", login);
        assert!(why.contains(file) && why.contains("is no regular file"), "{why}");
        alice.process.signal("TERM");
        assert_eq!(alice.process.exit_code(), 1);
        fs::remove_file(&path).unwrap();
        if let Ok(content) = before {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        data = alice.data;
    }
}

#[test]
fn signal_ends_a_program_that_reads_from_a_fifo() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    make_fifo(&fifo);
    let mut server = letschat_server(folder.path());
    server.args(["--store", "mysql://chat@127.0.0.1:1/letschat", "--store-password-file"]);
    let mut script = std::process::Command::new(program("letschat"));
    without_settings(&mut script);
    script.args(["--peer-port", "0", "--server", "127.0.0.1:1", "--data"]);
    script.arg(folder.path().join("client")).arg("--script");
    for mut command in [server, script] {
        let mut program = Running::start(command.arg(&fifo));
        // This returns when the program has opened it too.
        let _writer = File::options().write(true).open(&fifo).unwrap();
        program.signal("TERM");
        assert_eq!(program.wait_exit().signal(), Some(Signal::TERM.as_raw()));
    }
}

#[test]
fn fingerprint_in_a_folder_of_everybody_is_not_shown() {
    let server = TestServer::start(&[]);
    let data = server.data.path();
    run(letschat_server(data).arg("fingerprint"), "").ok();
    fs::set_permissions(data, fs::Permissions::from_mode(0o777)).unwrap();
    let told = run(letschat_server(data).arg("fingerprint"), "").refused(1);
    assert!(told.contains(&format!("`chmod go-w {}`", data.display())), "{told}");
}
