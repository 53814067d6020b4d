//! The SQLite file of a running server is removed or replaced by unusable content.

use std::fs;

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::operator::{letschat_server, run};
use letschat_tests::server::TestServer;
use serde_json::json;

const LOST: &str = "was taken away while it was open";

#[test]
fn removed_database_fails_requests_until_it_is_back() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut newcomer = TestClient::start(&server, "newcomer");
    let credentials = json!({"username": "newcomer", "password": PASSWORD});
    let file = server.data.path().join("letschat.sqlite");
    let away = server.data.path().join("away");
    fs::rename(&file, &away).unwrap();
    for text in ["one", "two"] {
        assert_eq!(alice.fails("broadcast", json!({"text": text})), "store_unavailable");
    }
    for command in ["signup", "login"] {
        assert_eq!(newcomer.fails(command, credentials.clone()), "store_unavailable");
    }
    server.wait_log(LOST);
    // One line reports it, however many requests failed.
    let errors = server.process.errors();
    assert_eq!(errors.matches(LOST).count(), 1, "{errors}");
    assert!(errors.contains(file.to_str().unwrap()), "{errors}");

    fs::rename(&away, &file).unwrap();
    alice.ok("broadcast", json!({"text": "three"}));
    newcomer.sign_up_and_log_in();
    newcomer.wait_event_with("broadcast", "text", "three");
    assert!(newcomer.all(|line| line["text"] == "one" || line["text"] == "two").is_empty());
}

#[test]
fn account_with_a_costly_hash_is_refused_in_the_usual_time() {
    let server = TestServer::start(&[]);
    TestClient::join(&server, "alice").quits();
    let mut alice = TestClient::start(&server, "alice");
    let login = json!({"username": "alice", "password": PASSWORD});
    for cost in ["m=4194304,t=2,p=1", "m=19456,t=1000000000,p=1"] {
        let database = rusqlite::Connection::open(server.data.path().join("letschat.sqlite"));
        let costly = format!("replace(phc, 'm=19456,t=2,p=1', '{cost}')");
        let usual = "replace(phc, substr(phc, 16, instr(substr(phc, 16), '$') - 1), \
                     'm=19456,t=2,p=1')";
        let database = database.unwrap();
        let set = |phc: &str| {
            database.execute(&format!("UPDATE accounts SET phc = {phc}"), []).unwrap();
        };
        set(&costly);
        assert_eq!(alice.fails("login", login.clone()), "wrong_password");
        server.wait_log("nobody can log in by password until `account reset-password`");
        set(usual);
        alice.ok("login", login.clone());
        alice.ok("leave", json!({}));
    }
    assert!(server.process.errors().contains("alice"));
    let reset = ["account", "reset-password", "alice", "--password-file", "-"];
    run(letschat_server(server.data.path()).args(reset), "another horse entirely\n").ok();
    alice.ok("login", json!({"username": "alice", "password": "another horse entirely"}));
}
