//! The server returns, and contacts its clients.

use std::time::{Duration, Instant};

use super::*;

/// Lets the server start again. Returns the time until all clients were logged in.
fn all_return(server: &mut TestServer, class: &mut [Classmate]) -> Duration {
    let begun = Instant::now();
    server.start_again();
    for mate in class.iter_mut() {
        let is_return = |line: &Value| line["event"] == "connected" && line["returned"] == true;
        let connected = mate.client.wait("return", is_return);
        assert_eq!(connected["fingerprint"], server.fingerprint);
        mate.client.wait_event("logged_in");
    }
    begun.elapsed()
}

/// Waits until the clients' own next attempts come late, so that the server has to call them.
fn wait_long(class: &mut [Classmate]) {
    for mate in class {
        mate.client.wait("a long wait", |line| {
            line["event"] == "retrying" && line["in_ms"].as_u64().is_some_and(|ms| ms > 3_000)
        });
    }
}

#[test]
fn five_clients_are_back_within_two_seconds() {
    let (mut server, mut class) = class_of(5);
    exit(&mut server, &mut class);
    all_talk(&mut class, "alone");
    wait_long(&mut class);
    let took = all_return(&mut server, &mut class);
    assert!(took < Duration::from_secs(2), "{took:?}");
    for id in 1..=5 {
        server_shows(&mut server, &format!("Client {id}: reconnected"));
    }
    all_talk(&mut class, "together");
    for mate in &class {
        let told = mate.client.all(|line| line["event"] == "initiated");
        assert!(told.len() <= 5, "a return is announced to nobody: {told:?}");
        let heard = server.process.heard.iter().filter(|line| line.contains("reconnected"));
        assert_eq!(heard.count(), 5, "one line each");
    }
}

#[test]
fn fifty_clients_are_back_within_five_seconds() {
    let (mut server, mut class) = class_of(50);
    exit(&mut server, &mut class);
    wait_long(&mut class);
    let took = all_return(&mut server, &mut class);
    assert!(took < Duration::from_secs(5), "{took:?}");
    for id in 1..=50 {
        server_shows(&mut server, &format!("Client {id}: reconnected"));
    }
    let initiated = server.process.heard.iter().filter(|line| line.contains("initiated"));
    assert_eq!(initiated.count(), 0);
    class[0].says("all here?");
    for mate in &mut class[1..] {
        mate.hears("1", "all here?");
    }
}

#[test]
fn killed_server_finds_its_clients_again() {
    let (mut server, mut class) = class_of(3);
    server.kill();
    for mate in &mut class {
        mate.client.wait_event("disconnected");
    }
    all_talk(&mut class, "alone");
    all_return(&mut server, &mut class);
    all_talk(&mut class, "together");
}

#[test]
fn client_that_quit_is_new_when_it_comes_again() {
    let (mut server, mut class) = class_of(2);
    let Classmate { client, ports } = class.pop().unwrap();
    let TestClient { mut process, data, .. } = client;
    process.end_input();
    assert_eq!(process.exit_code(), 0);
    let again = Classmate::start(&server, "2", ports, data);
    class[0].client.wait_event_with("initiated", "username", "2");
    server_shows(&mut server, "Client 2: initiated");
    drop(again);
}

#[test]
fn broken_lines_of_the_file_are_passed_over() {
    let (mut server, mut class) = class_of(2);
    exit(&mut server, &mut class);
    let lines = "\u{1b}[2J\n3 10.255.255.1 6003\n4 127.0.0.1\n5 127.0.0.1 0\n6 ::1 99999\n../7 127.0.0.1 7\n";
    let file = server.data.path().join("clients.txt");
    let mut bytes =
        [lines.as_bytes(), clients_file(&server).as_bytes(), b"\xff\xfe 1 2\n"].concat();
    bytes.extend(vec![b'x'; 300_000]);
    fs::write(file, bytes).unwrap();
    let took = all_return(&mut server, &mut class);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let errors = server.process.errors();
    let warnings = errors.lines().filter(|line| line.contains("clients.txt")).count();
    assert_eq!(warnings, 1, "{errors}");
    all_talk(&mut class, "here");
}
