//! Files: offered, saved, and dropped into the window.

use letschat_tests::client::TestClient;
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::kit::App;

/// The size of a file whose transfer takes some seconds, in bytes.
const LARGE: u64 = 1 << 30;

#[test]
fn offered_file_is_saved_by_a_click() {
    let server = TestServer::start(&[]);
    let mut app = App::join("file", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tea.txt");
    std::fs::write(&path, "Darjeeling\n").unwrap();
    bob.ok("file", json!({"action": "send", "to": "alice", "path": path}));
    app.open("bob");
    app.wait_label("tea.txt, 11 bytes");
    app.picture("offered");
    app.click("Save tea.txt");
    app.wait_label("is saved");
    app.wait_gone("button", "Save tea.txt");
    app.picture("saved");
}

#[test]
fn file_is_dropped_into_a_conversation() {
    let server = TestServer::start(&[]);
    let mut app = App::join("drop", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    app.open("bob");
    app.wait("button", "Verify");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cake.txt");
    std::fs::write(&path, "Marzipan\n").unwrap();
    let _source = app.drag_to_messages(&path);
    app.wait_window("Send to bob?");
    app.picture("question");
    // The window has a button of this name as well.
    app.click_in("Send to bob?", "Send");
    app.wait_label("cake.txt, 9 bytes");
    let offered = bob.wait_event("file_offered");
    assert_eq!(offered["name"], "cake.txt", "{offered}");
    app.picture("dropped");
}

#[test]
fn file_is_chosen_in_the_dialog_of_the_desktop() {
    let server = TestServer::start(&[]);
    let mut app = App::join("chosen", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    app.open("bob");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bun.txt");
    std::fs::write(&path, "Raisins\n").unwrap();
    app.click("Send a file");
    app.wait_window("Send a file to bob");
    app.focus("Send a file to bob");
    // A slash begins the path of a file there.
    app.desktop.move_as(&["type", "--delay", "20", path.to_str().unwrap()]);
    app.picture("path");
    app.desktop.press(&["Return"]);
    let offered = bob.wait_event("file_offered");
    assert_eq!(offered["name"], "bun.txt", "{offered}");
}

#[test]
fn transfer_is_shown_with_a_bar_and_can_be_stopped() {
    let server = TestServer::start(&[]);
    let mut app = App::join("progress", &server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    app.befriend("alice", &mut bob);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.bin");
    std::fs::File::create(&path).unwrap().set_len(LARGE).unwrap();
    bob.ok("file", json!({"action": "send", "to": "alice", "path": path}));
    app.open("bob");
    app.click("Save large.bin");
    app.wait("progress bar", "Transfer of large.bin");
    app.picture("on-its-way");
    app.click("Stop");
    app.wait_gone("progress bar", "Transfer of large.bin");
}
