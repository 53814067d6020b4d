//! A server that goes and comes back.

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::kit::App;

#[test]
fn chat_goes_on_without_the_server_which_comes_back() {
    let mut server = TestServer::start(&[]);
    let mut app = App::join("server", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    app.open("bob");
    server.kill();
    app.wait_label(&format!("alice, waiting for {}", server.address));
    app.picture("gone");
    app.say("still here?");
    bob.wait_event_with("message", "text", "still here?");
    bob.ok("say", json!({"to": "alice", "text": "still here"}));
    app.wait("label", "still here");
    server.start_again();
    app.wait_label(&format!("alice at {}", server.address));
    app.wait_label("2 here");
    app.picture("back");
}
