//! What a server wrote down for a bug report: a fresh hub that is told it does the same.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Instant;

use letschat_server::hub::Input;
use letschat_server::trace::replay::{Replay, Step};
use serde_json::json;

use crate::client::{PASSWORD, TestClient};
use crate::programs::PATIENCE;
use crate::server::TestServer;
use crate::typist::Typist;

/// What nobody may find in the file: passwords, right, wrong and weak, and what was said.
const SECRETS: &[&str] = &[
    PASSWORD,
    "battery horse correct",
    "not it at all",
    "password1",
    "a word of alice's",
    "über alles geredet",
    "typed in one line",
    "typed when asked",
    "the operator's words",
    "shouted without a verb",
];

/// People and programs do all that there is, rightly and wrongly.
fn live(server: &mut TestServer) -> TestClient {
    let mut alice = TestClient::join(server, "alice");
    let mut bob = TestClient::join(server, "bob");
    let weak = json!({"username": "carol", "password": SECRETS[3]});
    assert_eq!(TestClient::start(server, "carol").fails("signup", weak), "password_weak");
    alice.ok("watch", json!({}));
    alice.ok("broadcast", json!({"text": SECRETS[4]}));
    bob.wait_event_with("broadcast", "text", SECRETS[4]);
    alice.chat_with(&mut bob);
    let change = |password: &str| json!({"password": password, "new_password": SECRETS[1]});
    assert_eq!(bob.fails("passwd", change(SECRETS[2])), "wrong_password");
    bob.ok("passwd", change(PASSWORD));
    types_by_hand(server);
    for line in ["list", &format!("say {}", SECRETS[8]), "stats", "kick bob"] {
        server.process.type_line(line);
    }
    bob.wait_event("disconnected");
    alice.wait_event_with("broadcast", "text", SECRETS[6]);
    alice
}

fn types_by_hand(server: &TestServer) {
    let mut dave = Typist::connect(server.address);
    for (line, answer) in [
        ("HELLO", "300 "),
        (SECRETS[9], "502 "),
        ("SIGNUP", "331 "),
        ("not a name!", "510 "),
        ("dave", "332 "),
        (SECRETS[3], "512 "),
        (PASSWORD, "333 "),
        (SECRETS[2], "513 "),
        (PASSWORD, "333 "),
        (PASSWORD, "201 "),
        ("login dave", "332 "),
        (SECRETS[2], "535 "),
        ("LOGIN", "331 "),
        ("dave", "332 "),
        (PASSWORD, "230 "),
        ("LIST", "250 "),
        (&format!("broadcast {}", SECRETS[6]), "250 "),
        ("BROADCAST", "334 "),
        (SECRETS[7], "250 "),
        (&format!("BROADCAST +{}\n{}", SECRETS[5].len(), SECRETS[5]), "250 "),
        ("CONNECT alice", "4"),
        ("QUIT", "221 "),
    ] {
        dave.types(line);
        dave.expects(answer);
    }
}

fn replay(trace: &Path) -> Vec<Step> {
    let trace = fs::read(trace).unwrap();
    Replay::new(&trace[..]).map(|step| step.unwrap()).collect()
}

/// Steps that went otherwise than with the server. It may have been killed before it said.
fn otherwise(steps: &[Step]) -> Vec<&Step> {
    steps.iter().filter(|step| step.same == Some(false)).collect()
}

#[test]
fn a_fresh_hub_that_is_told_a_servers_trace_does_the_same_at_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.jsonl");
    let mut server = TestServer::start(&["--trace", file.to_str().unwrap()]);
    let mut alice = live(&mut server);
    // On a quick machine it is all done before anything fell due.
    let until = Instant::now() + PATIENCE;
    while !fs::read_to_string(&file).unwrap().contains("\"input\":\"tick\"") {
        assert!(Instant::now() < until, "nothing fell due");
        thread::yield_now();
    }
    server.kill();
    alice.wait_event("retrying");
    server.start_again();
    alice.wait_event("logged_in");
    server.stop();

    let steps = replay(&file);
    assert!(otherwise(&steps).is_empty(), "{:#?}", otherwise(&steps));
    let unsaid = steps.iter().filter(|step| step.same.is_none()).count();
    assert!(unsaid <= 1, "{unsaid} steps have no end");
    for (what, is) in KINDS {
        assert!(steps.iter().any(|step| is(&step.input)), "no {what} in {} steps", steps.len());
    }
    println!("{} steps, all the same", steps.len());

    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let written = fs::read_to_string(&file).unwrap();
    for secret in SECRETS {
        assert!(!written.contains(secret), "{secret:?} is in the trace");
    }
    for name in ["alice", "bob", "dave"] {
        assert!(written.contains(name), "{name} is not in the trace");
    }
}

type Kind = (&'static str, fn(&Input) -> bool);

const KINDS: &[Kind] = &[
    ("arrival", |input| matches!(input, Input::Accepted { .. })),
    ("handshake", |input| matches!(input, Input::Secured { .. })),
    ("line", |input| matches!(input, Input::Line { line: Ok(_), .. })),
    ("end of a connection", |input| matches!(input, Input::Gone { .. })),
    ("answer of the store", |input| matches!(input, Input::Stored(_))),
    ("datagram", |input| matches!(input, Input::Datagram { .. })),
    ("word of the operator", |input| matches!(input, Input::Operator(_))),
    ("tick", |input| matches!(input, Input::Tick)),
];

#[test]
fn a_trace_that_was_tampered_with_is_replayed_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.jsonl");
    let mut server = TestServer::start(&["--trace", file.to_str().unwrap()]);
    let alice = TestClient::join(&server, "alice");
    drop(alice);
    server.stop();
    let written = fs::read_to_string(&file).unwrap();
    let (accepted, refused) = (r#""Ok":"accepted""#, r#""Ok":"refused""#);
    assert!(written.contains(accepted), "{written}");
    fs::write(&file, written.replace(accepted, refused)).unwrap();
    assert!(!otherwise(&replay(&file)).is_empty());
}
