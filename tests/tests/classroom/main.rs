//! The classroom: `letschat ID PORT1 PORT2`, and the clients go on when the server is gone.

#![allow(clippy::unwrap_used)]

mod returning;
mod screens;
mod strangers;
mod talk;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::ports::free_port;
use letschat_tests::programs::PATIENCE;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A client of the class, and all that another run of it needs.
struct Classmate {
    client: TestClient,
    ports: (u16, u16),
}

impl Classmate {
    fn join(server: &TestServer, id: &str) -> Classmate {
        let (ports, data) = ((free_port(), free_port()), tempfile::tempdir().unwrap());
        let mut classmate = Classmate::start(server, id, ports, data);
        classmate.client.wait_event("logged_in");
        classmate
    }

    fn start(server: &TestServer, id: &str, ports: (u16, u16), data: TempDir) -> Classmate {
        Classmate { client: TestClient::start_in_class(server, id, ports, data), ports }
    }

    /// Kills the client and starts it again.
    fn killed_and_back(self, server: &TestServer) -> Classmate {
        let TestClient { mut process, name, data, .. } = self.client;
        process.kill();
        Classmate::start(server, &name, self.ports, data)
    }

    fn says(&mut self, text: &str) {
        self.client.ok("say", json!({ "text": text }));
    }

    /// Waits until a text of that author appears, with or without the server.
    fn hears(&mut self, from: &str, text: &str) -> Value {
        self.client.wait(&format!("{text} of {from}"), |line| {
            let is_talk = line["event"] == "broadcast" || line["event"] == "message";
            is_talk && line["own"] == false && line["from"] == from && line["text"] == text
        })
    }

    /// Waits until the client has recorded that a broadcast was shown. Nothing reports it, so the file is polled.
    fn has_saved(&self, server: &TestServer, number: &Value) {
        let folder = format!("servers/{}/accounts/{}", server.fingerprint, self.client.name);
        let file = self.client.data.path().join(folder).join("position.json");
        let until = Instant::now() + PATIENCE;
        let is_saved = || {
            let position = fs::read(&file).unwrap_or_default();
            serde_json::from_slice::<Value>(&position)
                .is_ok_and(|position| position["through"] == *number)
        };
        while !is_saved() {
            assert!(Instant::now() < until, "{number} is not recorded");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns how often a text of others has appeared.
    fn count(&self, text: &str) -> usize {
        let is_text = |line: &Value| line["text"] == text && line["own"] == false;
        self.client.all(is_text).len()
    }
}

/// Starts a server with a class of clients 1 to this number.
fn class_of(count: usize) -> (TestServer, Vec<Classmate>) {
    let server = TestServer::start(&["--classroom"]);
    let mut class: Vec<Classmate> =
        (1..=count).map(|id| Classmate::join(&server, &id.to_string())).collect();
    let last = count.to_string();
    for mate in &mut class {
        mate.client.wait_event_with("initiated", "username", &last);
    }
    (server, class)
}

/// Ends the server by its console, and waits until all know.
fn exit(server: &mut TestServer, class: &mut [Classmate]) {
    server.process.type_line("Exit");
    assert_eq!(server.process.exit_code(), 0);
    for mate in class {
        let ended = mate.client.wait_event("disconnected");
        assert_eq!(ended["message"], "Server: terminated.");
    }
}

/// Each says a text, and each of the others hears it once.
fn all_talk(class: &mut [Classmate], round: &str) {
    let ids: Vec<String> = class.iter().map(|mate| mate.client.name.clone()).collect();
    for mate in class.iter_mut() {
        let text = format!("{round} of {}", mate.client.name);
        mate.says(&text);
    }
    for mate in class.iter_mut() {
        let own = mate.client.name.clone();
        for id in ids.iter().filter(|id| **id != own) {
            mate.hears(id, &format!("{round} of {id}"));
        }
    }
    for mate in class.iter() {
        for id in ids.iter().filter(|id| **id != mate.client.name) {
            assert_eq!(mate.count(&format!("{round} of {id}")), 1, "{}", mate.client.name);
        }
    }
}

fn clients_file(server: &TestServer) -> String {
    fs::read_to_string(server.data.path().join("clients.txt")).unwrap()
}

/// Waits for a line on the server's screen.
fn server_shows(server: &mut TestServer, line: &str) {
    if !server.process.heard.iter().any(|shown| shown == line) {
        server.process.wait_line(line, |shown| shown == line);
    }
}
