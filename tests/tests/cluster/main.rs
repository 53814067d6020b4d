//! Several servers as one service.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod whole;

use std::path::PathBuf;

use letschat_tests::client::TestClient;
use letschat_tests::cluster::{Bell, TestCluster};
use letschat_tests::mysql_server::{MysqlServer, Throwaway, make_certificates};
use letschat_tests::programs::{Running, program_by, without_settings};
use letschat_tests::project::root;
use letschat_tests::server::TestServer;
use letschat_tests::typist::{NO_RECEIVER, Typist};
use serde_json::{Value, json};

/// Waits until a client's list has these names. It changes with each notice of arrivals and departures.
fn sees(client: &mut TestClient, names: &[&str]) {
    client.ok("watch", json!({}));
    loop {
        let reply = client.ok("list", json!({}));
        let users = reply["users"].as_array().unwrap().iter();
        let mut listed: Vec<&str> = users.map(|user| user["username"].as_str().unwrap()).collect();
        listed.sort_unstable();
        if listed == names {
            return;
        }
        let is_change = |line: &Value| line["event"] == "joined" || line["event"] == "left";
        client.wait(&format!("{names:?} instead of {listed:?}"), is_change);
    }
}

#[test]
fn people_at_two_servers_are_in_one_place() {
    let cluster = TestCluster::start(2);
    let mut alice = TestClient::join(&cluster.servers[0], "alice");
    let mut bob = TestClient::join(&cluster.servers[1], "bob");
    sees(&mut alice, &["alice", "bob"]);
    sees(&mut bob, &["alice", "bob"]);
    // Broadcasts have one order for all.
    let first = alice.ok("broadcast", json!({"text": "from alice"}));
    let heard = bob.wait_event_with("broadcast", "text", "from alice");
    let second = bob.ok("broadcast", json!({"text": "from bob"}));
    alice.wait_event_with("broadcast", "text", "from bob");
    let number = |line: &Value| line["number"].as_u64().unwrap();
    assert!(number(&first) < number(&second), "{first} {second}");
    assert_eq!(heard["from"], "alice");
    // A chat is introduced by both servers, and a message goes by the database.
    let asked = alice.tell("connect", json!({"who": "bob"}));
    bob.wait_event("request");
    bob.ok("approve", json!({"who": "alice"}));
    assert_eq!(alice.reply(asked)["with"], "bob");
    let mut carol = TestClient::join(&cluster.servers[1], "carol");
    carol.ok("send", json!({"to": "alice", "text": "by the server"}));
    alice.wait_event("request");
    alice.ok("approve", json!({"who": "carol"}));
    alice.wait_event_with("message", "text", "by the server");
}

#[test]
fn invited_client_comes_to_the_inviting_server() {
    let cluster = TestCluster::start(2);
    let _bob = TestClient::join(&cluster.servers[1], "bob");
    let mut carol = TestClient::join(&cluster.servers[0], "carol");
    sees(&mut carol, &["bob", "carol"]);
    let mut alice = Typist::joins_as_program(&cluster.servers[0], "alice", NO_RECEIVER);
    alice.types("CONNECT bob");
    let introduction = alice.expects("250 bob ");
    let key = introduction.split(' ').nth(4).unwrap();
    alice.types(&format!("MEET bob {key}"));
    let reply = alice.expects("250 ");
    let token = reply.split(' ').nth(1).unwrap();
    let mut side = Typist::connect(cluster.servers[0].address);
    side.types(&format!("JOIN {token} 127.0.0.1:9"));
    side.expects("250 127.0.0.1:");
}

#[test]
fn device_is_logged_in_at_one_server_at_a_time() {
    let cluster = TestCluster::start(2);
    let alice = TestClient::join(&cluster.servers[0], "alice");
    // The same device, by the data folder of the first client.
    let (mut alice, data) = (alice, tempfile::tempdir().unwrap());
    copy(alice.data.path(), data.path());
    let location = cluster.servers[1].location();
    let mut other = TestClient::start_in(data, &location, "alice", &[]);
    other.ok("login", json!({"username": "alice"}));
    alice.wait("the end of the session", |line| line["code"] == "replaced");
}

#[test]
fn killed_server_is_gone_and_its_people_go_on_elsewhere() {
    let mut cluster = TestCluster::start(2);
    let mut bob = TestClient::join(&cluster.servers[1], "bob");
    let mut alice = TestClient::start_at(&cluster.location(0), "alice", &[]);
    alice.sign_up_and_log_in();
    let carol = TestClient::join(&cluster.servers[0], "carol");
    sees(&mut bob, &["alice", "bob", "carol"]);
    cluster.servers[0].kill();
    // Alice knows the other server, and Carol does not.
    alice.wait_event("logged_in");
    sees(&mut bob, &["alice", "bob"]);
    drop(carol);
}

#[test]
fn news_come_without_the_bell_and_with_a_new_one() {
    let mut cluster = TestCluster::start(2);
    let mut alice = TestClient::join(&cluster.servers[0], "alice");
    let mut bob = TestClient::join(&cluster.servers[1], "bob");
    cluster.bell.kill();
    alice.ok("broadcast", json!({"text": "without a bell"}));
    bob.wait_event_with("broadcast", "text", "without a bell");
    cluster.bell.start_again();
    bob.ok("broadcast", json!({"text": "with a new one"}));
    alice.wait_event_with("broadcast", "text", "with a new one");
}

#[test]
fn bell_proves_its_name_and_wants_its_password() {
    let has_tls = Throwaway::is_here_to_test("TLS to the database and to the bell");
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let bell = Bell::start_with_tls(folder.path(), "right");
    let authority = folder.path().join("authority.pem").display().to_string();
    let cluster = format!("rediss://{}", bell.address());
    let password = folder.path().join("password").display().to_string();
    let silent = "the bell that --cluster names is silent";
    for (number, known, given, told) in [
        (1, true, Some("right"), "the bell works"),
        (2, true, Some("wrong"), silent),
        (3, true, None, silent),
        (4, false, Some("right"), silent),
    ] {
        std::fs::write(&password, given.unwrap_or_default()).unwrap();
        let store = format!("bell_{}_{number}", std::process::id());
        let (server, store_authority) = match has_tls {
            true => (&Throwaway::shared().server, Throwaway::shared().authority()),
            false => (MysqlServer::shared(), PathBuf::new()),
        };
        let (store, store_authority) =
            (server.location(&store).to_string(), store_authority.display().to_string());
        let mut flags = vec!["--store", &store, "--cluster", &cluster, "--name", "a"];
        if has_tls {
            flags.extend(["--store-tls", "verified", "--store-ca", &store_authority]);
        }
        if known {
            flags.extend(["--cluster-ca", &authority]);
        }
        if given.is_some() {
            flags.extend(["--cluster-password-file", &password]);
        }
        let server = TestServer::start(&flags);
        server.wait_log(told);
        let errors = server.process.errors();
        assert!(given.is_none_or(|given| !errors.contains(given)), "{errors}");
    }
}

#[test]
fn console_speaks_for_all_servers() {
    let mut cluster = TestCluster::start(2);
    let mut alice = TestClient::join(&cluster.servers[0], "alice");
    let mut bob = TestClient::join(&cluster.servers[1], "bob");
    sees(&mut alice, &["alice", "bob"]);
    let listed = cluster.servers[0].answers("list --server b", "2 of");
    assert!(listed[1].starts_with("bob") && listed[1].ends_with("by b"), "{listed:?}");
    cluster.servers[0].answers("say to all", "said to 2");
    bob.wait_event_with("notice", "message", "Server: to all");
    cluster.servers[0].answers("kick bob", "bob was told so");
    bob.is_out_for_good("kicked");
}

#[test]
fn story_of_the_demo_goes_on_when_a_server_is_killed() {
    let mut cluster = TestCluster::start(2);
    let part = |name: &str, first| {
        let mut command = program_by(&[], "letschat");
        without_settings(&mut command);
        let data = tempfile::tempdir().unwrap();
        command.args(["--server", &cluster.location(first), "--peer-port", "0", "--data"]);
        command.arg(data.path()).args(["--script", "lua/demo.lua"]).arg(format!("cluster/{name}"));
        (Running::start(command.current_dir(root())), data)
    };
    let (mut alice, _alices) = part("alice", 0);
    alice.wait_line("bob's cue", |line| line == "cue: lets bob in");
    let (mut bob, _bobs) = part("bob", 1);
    alice.wait_line("the kill's cue", |line| line == "cue: kills a");
    cluster.servers[0].kill();
    for person in [&mut alice, &mut bob] {
        assert_eq!(person.exit_code(), 0, "{}", person.transcript());
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let done = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(done.unwrap().success());
}
