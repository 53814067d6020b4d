//! SIGHUP: the server's terminal is closed.

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::json;

#[test]
fn a_hang_up_ends_the_server_as_sigterm_does() {
    // The tests may run with SIGHUP ignored.
    let by = ["env", "--default-signal=HUP"].map(str::to_owned);
    let mut server = TestServer::start_by(&by, &[]);
    let mut alice = TestClient::join(&server, "alice");
    server.process.signal("HUP");
    let told = alice.wait_event("disconnected");
    assert_eq!(told["reason"], "terminated", "{told}");
    assert!(told["message"].as_str().unwrap().contains("Server: terminated."), "{told}");
    assert_eq!(server.process.exit_code(), 0);
}

#[test]
fn a_server_under_nohup_outlives_a_hang_up() {
    let by = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"].map(str::to_owned);
    let mut server = TestServer::start_by(&by, &[]);
    let mut alice = TestClient::join(&server, "alice");
    server.process.signal("HUP");
    alice.ok("list", json!({}));
    server.stop();
}
