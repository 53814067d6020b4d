//! Chats and files between clients behind NATs and firewalls.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::nat::Between::{self, Cone, None, Resetting, Restricted, Shared, Symmetric};
use letschat_tests::nat::Nats;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

/// The number of links between each two clients.
const TRIES: usize = 20;

/// The size of a file that takes a while.
const FILM_BYTES: usize = 200_000_000;

/// The time in which a direct link comes about.
const DIRECT: Duration = Duration::from_secs(2);

/// A server, and two friends behind NATs.
struct Scene {
    server: TestServer,
    alice: TestClient,
    bob: TestClient,
    nats: Nats,
}

/// The links that came about.
#[derive(Debug, Default)]
struct Links {
    direct: Vec<Duration>,
    relayed: Vec<Duration>,
}

impl Scene {
    fn between(kinds: [Between; 2], test: &str, flags: &[&str]) -> Option<Scene> {
        Scene::at(Nats::SERVER, kinds, test, flags)
    }

    fn at(address: &str, kinds: [Between; 2], test: &str, flags: &[&str]) -> Option<Scene> {
        let nats = Nats::between(kinds, test)?;
        let flags = [&["--listen", address], flags].concat();
        let server = TestServer::start_by(&nats.server(), &flags);
        let [mut alice, mut bob] = [(1, "alice"), (2, "bob")].map(|(n, name)| {
            let (by, data) = (nats.client(n), tempfile::tempdir().unwrap());
            let flags = ["--peer-port", "4401"];
            let mut client = TestClient::start_in_by(&by, data, &server.location(), name, &flags);
            client.sign_up_and_log_in();
            client
        });
        alice.befriend(&mut bob);
        Some(Scene { server, alice, bob, nats })
    }

    /// Opens a chat and says something on both sides. Returns how it is linked.
    fn open_chat(&mut self) -> Value {
        let (alice, bob) = (&mut self.alice, &mut self.bob);
        let id = alice.tell("connect", json!({"who": "bob"}));
        bob.wait_event_with("request", "from", "alice");
        bob.ok("approve", json!({"who": "alice"}));
        assert!(alice.reply(id).get("error").is_none());
        let opened = alice.wait_event("chat_opened");
        assert_eq!(bob.wait_event("chat_opened")["link"], opened["link"]);
        alice.says_to(bob, "hello");
        bob.says_to(alice, "hello yourself");
        for one in [&mut *alice, &mut *bob] {
            assert_eq!(one.ok("status", json!({}))["chats"][0]["link"], opened["link"]);
        }
        opened["link"].clone()
    }

    /// Opens a chat and closes it. Returns how it was linked.
    fn chat(&mut self) -> Value {
        let link = self.open_chat();
        self.alice.ok("disconnect", json!({"who": "bob"}));
        self.bob.wait_event("chat_closed");
        link
    }

    /// Waits until the chat goes on after a break, and says something on both sides. Returns how it is linked.
    fn chat_again(&mut self) -> Value {
        let (alice, bob) = (&mut self.alice, &mut self.bob);
        let link = alice.wait_event("chat_resumed")["link"].clone();
        bob.wait_event_with("chat_resumed", "link", link.as_str().unwrap());
        alice.says_to(bob, "where were we?");
        bob.says_to(alice, "here");
        link
    }

    /// Fetches many small files, one after the other, each over a link of its own.
    fn links(&mut self) -> Links {
        let mut links = Links::default();
        for n in 0..TRIES {
            let path = self.bob.data.path().join(format!("file {n}"));
            fs::write(&path, format!("content {n}")).unwrap();
            self.bob.ok("file", json!({"action": "send", "to": "alice", "path": path}));
            let id = self.alice.wait_event("file_offered")["id"].clone();
            let begun = Instant::now();
            self.alice.ok("file", json!({"action": "get", "id": id}));
            let progress = self.alice.wait_event_with("file_progress", "id", id.as_str().unwrap());
            let time = begun.elapsed();
            self.alice.wait_event_with("file_done", "id", id.as_str().unwrap());
            self.bob.wait_event_with("file_done", "id", id.as_str().unwrap());
            match progress["link"].as_str().unwrap() {
                "direct" => links.direct.push(time),
                _ => links.relayed.push(time),
            }
        }
        links
    }
}

/// Expects direct links, nearly all of them within two seconds.
fn expect_direct(kinds: [Between; 2], test: &str) {
    expect_direct_at(Nats::SERVER, kinds, test);
}

fn expect_direct_at(server: &str, kinds: [Between; 2], test: &str) {
    let Some(mut scene) = Scene::at(server, kinds, test, &[]) else { return };
    assert_eq!(scene.chat(), "direct");
    let links = scene.links();
    let quick = links.direct.iter().filter(|time| **time <= DIRECT).count();
    assert!(quick * 100 >= TRIES * 95, "{kinds:?}: {links:?}");
}

/// Expects relayed links.
fn expect_relayed(kinds: [Between; 2], test: &str) {
    let Some(mut scene) = Scene::between(kinds, test, &[]) else { return };
    assert_eq!(scene.chat(), "relay");
    let links = scene.links();
    assert_eq!((links.direct.len(), links.relayed.len()), (0, TRIES), "{kinds:?}: {links:?}");
    scene.server.wait_log("is relayed to");
}

#[test]
fn cones_reach_each_other() {
    expect_direct([Cone, Cone], "cones_reach_each_other");
}

#[test]
fn cone_and_restricted_cone_reach_each_other() {
    expect_direct([Cone, Restricted], "cone_and_restricted_cone_reach_each_other");
}

#[test]
fn restricted_cones_reach_each_other() {
    expect_direct([Restricted, Restricted], "restricted_cones_reach_each_other");
}

#[test]
fn client_without_a_nat_reaches_a_restricted_cone() {
    expect_direct([None, Restricted], "client_without_a_nat_reaches_a_restricted_cone");
}

#[test]
fn client_without_a_nat_reaches_a_cone() {
    expect_direct([None, Cone], "client_without_a_nat_reaches_a_cone");
}

#[test]
fn symmetric_nat_and_cone_reach_each_other() {
    expect_direct([Symmetric, Cone], "symmetric_nat_and_cone_reach_each_other");
}

#[test]
fn client_without_a_nat_reaches_a_symmetric_nat() {
    expect_direct([None, Symmetric], "client_without_a_nat_reaches_a_symmetric_nat");
}

#[test]
fn symmetric_nat_and_restricted_cone_are_relayed() {
    expect_relayed([Symmetric, Restricted], "symmetric_nat_and_restricted_cone_are_relayed");
}

#[test]
fn symmetric_nats_are_relayed() {
    expect_relayed([Symmetric, Symmetric], "symmetric_nats_are_relayed");
}

#[test]
fn clients_behind_one_nat_reach_each_other() {
    expect_direct([Restricted, Shared], "clients_behind_one_nat_reach_each_other");
}

#[test]
fn nats_that_answer_with_rst_keep_nobody_apart() {
    let test = "nats_that_answer_with_rst_keep_nobody_apart";
    expect_direct([Resetting, Resetting], test);
}

#[test]
fn firewalls_of_ipv6_let_both_sides_through() {
    let test = "firewalls_of_ipv6_let_both_sides_through";
    expect_direct_at(Nats::SERVER_IPV6, [Restricted, Restricted], test);
}

#[test]
fn chat_goes_on_directly_when_its_way_is_open_again() {
    let test = "chat_goes_on_directly_when_its_way_is_open_again";
    let Some(mut scene) = Scene::between([Restricted, Restricted], test, &[]) else { return };
    assert_eq!(scene.open_chat(), "direct");
    scene.nats.forbid_direct_links();
    scene.alice.tell("say", json!({"text": "does this arrive?"}));
    scene.alice.wait_event("chat_interrupted");
    scene.nats.allow_direct_links();
    assert_eq!(scene.chat_again(), "direct");
}

#[test]
fn chat_goes_on_relayed_when_its_direct_way_is_closed() {
    let test = "chat_goes_on_relayed_when_its_direct_way_is_closed";
    let Some(mut scene) = Scene::between([Restricted, Restricted], test, &[]) else { return };
    assert_eq!(scene.open_chat(), "direct");
    scene.nats.forbid_direct_links();
    scene.alice.ok("say", json!({"text": "does this arrive?"}));
    assert_eq!(scene.chat_again(), "relay");
    scene.bob.wait_event_with("message", "text", "does this arrive?");
}

#[test]
fn file_goes_on_relayed_when_its_direct_way_is_closed() {
    let test = "file_goes_on_relayed_when_its_direct_way_is_closed";
    let flags = ["--relay-rate", "100000000", "--relay-rate-total", "100000000"];
    let Some(mut scene) = Scene::between([Restricted, Restricted], test, &flags) else { return };
    let (alice, bob) = (&mut scene.alice, &mut scene.bob);
    let path = bob.data.path().join("film");
    let content: Vec<u8> = (0..FILM_BYTES).map(|n| (n / 1_000 % 251) as u8).collect();
    fs::write(&path, &content).unwrap();
    bob.ok("file", json!({"action": "send", "to": "alice", "path": path}));
    let id = alice.wait_event("file_offered")["id"].clone();
    alice.ok("file", json!({"action": "get", "id": id}));
    assert_eq!(alice.wait_event("file_progress")["link"], "direct");
    scene.nats.forbid_direct_links();
    let relayed = alice.wait_event_with("file_progress", "link", "relay");
    assert!(relayed["bytes"].as_u64().unwrap() > 0, "it begins where the direct link ended");
    let saved = alice.wait_event("file_done")["path"].clone();
    assert!(fs::read(saved.as_str().unwrap()).unwrap() == content);
}

#[test]
fn relayed_chat_goes_on_when_its_server_is_back() {
    let test = "relayed_chat_goes_on_when_its_server_is_back";
    let Some(mut scene) = Scene::between([Symmetric, Symmetric], test, &[]) else { return };
    assert_eq!(scene.open_chat(), "relay");
    scene.server.kill();
    scene.alice.wait_event("chat_interrupted");
    scene.server.start_again();
    assert_eq!(scene.chat_again(), "relay");
}

#[test]
fn nobody_is_reached_where_relays_are_turned_off() {
    let test = "nobody_is_reached_where_relays_are_turned_off";
    let kinds = [Symmetric, Symmetric];
    let Some(mut scene) = Scene::between(kinds, test, &["--relays", "0"]) else { return };
    assert_eq!(scene.alice.fails("connect", json!({"who": "bob"})), "unreachable");
    assert!(scene.bob.all(|line| line["kind"] == "chat").is_empty(), "bob was asked");
}
