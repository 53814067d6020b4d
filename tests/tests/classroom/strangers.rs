//! Names of others, ports of others, and another server.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use letschat_protocol::identity::Identity;
use letschat_protocol::peer::PeerMessage;

use super::*;
use letschat_tests::pace::Pace;
use letschat_tests::programs::{Running, program_by, without_settings};
use letschat_tests::rogue::RogueLink;

fn run_in_class(server: &TestServer, id: &str, ports: (u16, u16), data: &TempDir) -> Running {
    let mut command = program_by(&[], "letschat");
    without_settings(&mut command);
    command.args([id, &ports.0.to_string(), &ports.1.to_string(), "--plain"]);
    command.args(["--server", &server.location(), "--data"]).arg(data.path());
    Running::start(&mut command)
}

#[test]
fn name_that_belongs_to_another_key_is_refused() {
    let (server, mut class) = class_of(2);
    let data = tempfile::tempdir().unwrap();
    let mut impostor = Classmate::start(&server, "2", (free_port(), free_port()), data);
    let refused = impostor.client.wait("refusal", |line| line["error"]["code"] == "key_refused");
    assert!(refused["error"]["message"].as_str().unwrap().contains("another client"), "{refused}");
    assert_eq!(impostor.client.process.exit_code(), 4);
    all_talk(&mut class, "undisturbed");
}

#[test]
fn used_id_on_the_same_account_is_refused() {
    let (server, class) = class_of(1);
    let mut second = run_in_class(&server, "1", (free_port(), free_port()), &class[0].client.data);
    second.wait_errors("uses the account 1");
    assert_eq!(second.exit_code(), 1);
}

#[test]
fn taken_ports_are_named() {
    let server = TestServer::start(&["--classroom"]);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    let port = taken.local_addr().unwrap().port();
    for ports in [(port, free_port()), (free_port(), port)] {
        let data = tempfile::tempdir().unwrap();
        let mut client = run_in_class(&server, "1", ports, &data);
        assert_eq!(client.exit_code(), 1);
        assert!(
            client.errors().contains(&format!("port {port} can't be used")),
            "{}",
            client.errors()
        );
    }
}

#[test]
fn file_of_something_else_is_not_replaced() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("notes");
    fs::write(&file, "dear diary\n").unwrap();
    let mut command = program_by(&[], "letschat-server");
    without_settings(&mut command);
    command.args(["--classroom", "--port", "0", "--data"]).arg(data.path());
    let mut server = Running::start(command.arg("--clients-file").arg(&file));
    assert_eq!(server.exit_code(), 1);
    assert!(server.errors().contains("--clients-file chooses another"), "{}", server.errors());
    assert_eq!(fs::read_to_string(&file).unwrap(), "dear diary\n");
}

#[test]
fn another_server_on_the_port_gets_nobody() {
    let (mut server, mut class) = class_of(2);
    exit(&mut server, &mut class);
    let port = server.address.port().to_string();
    let data = tempfile::tempdir().unwrap();
    let mut command = program_by(&[], "letschat-server");
    without_settings(&mut command);
    command.args(["--classroom", "--listen", "127.0.0.1", "--port", &port, "--data"]);
    let mut other = Running::start(command.arg(data.path()));
    other.wait_line("address", |line| line.starts_with("listening on "));
    for mate in &mut class {
        let error = mate.client.wait_event_with("error", "code", "server_key_changed");
        assert!(error["message"].as_str().unwrap().contains("key"), "{error}");
    }
    all_talk(&mut class, "alone");
    let joined = other.heard.iter().filter(|line| line.starts_with("Client"));
    assert_eq!(joined.count(), 0);
    other.kill();
    server.start_again();
    for mate in &mut class {
        mate.client
            .wait_within(Duration::from_secs(10), |line| line["event"] == "logged_in")
            .unwrap();
    }
}

#[test]
fn stranger_who_knocks_causes_few_dials_and_no_word() {
    let (mut server, mut class) = class_of(1);
    exit(&mut server, &mut class);
    // Whoever listens in the server's place proves no key.
    let listener = TcpListener::bind(server.address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let receiver = SocketAddr::from((Ipv4Addr::LOCALHOST, class[0].ports.1));
    let began = Instant::now();
    let (mut dials, mut pace) = (0, Pace::every(Duration::from_millis(50)));
    while began.elapsed() < Duration::from_secs(4) {
        let identity = Identity::generate().unwrap();
        RogueLink::dial(receiver, &identity).says([PeerMessage::Knock]);
        while let Ok((link, _)) = listener.accept() {
            drop(link);
            dials += 1;
        }
        pace.wait();
    }
    // One dial a second by KNOCK, and the attempts of the client itself.
    assert!((3..=10).contains(&dials), "{dials} dials");
    let client = &mut class[0].client;
    client.ok("status", json!({}));
    let told: Vec<Value> = client.all(|line| line.get("event").is_some());
    let told: Vec<&str> = told.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let end = told.iter().position(|event| *event == "disconnected").unwrap();
    assert!(told[end + 1..].iter().all(|event| *event == "retrying"), "{told:?}");
}
