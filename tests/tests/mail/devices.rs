//! Several devices of one account.

use letschat_protocol::devices::DeviceName;
use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// The flags of a device with this name that prints own messages too.
fn named(name: &str) -> [&str; 3] {
    ["--own-messages", "--device-name", name]
}

/// Starts another device of an account, and logs it in with the password.
fn new_device(server: &TestServer, account: &str, name: &str) -> TestClient {
    let mut device = TestClient::start_at(&server.location(), account, &named(name));
    device.ok("login", json!({"username": account, "password": PASSWORD}));
    device
}

/// Returns the code that an unlisted device shows.
fn code_of(device: &mut TestClient) -> String {
    device.wait_event_with("notice", "code", "device_unlisted");
    device.ok("devices", json!({}))["code"].as_str().unwrap().to_owned()
}

/// Starts another device of an account, and has it approved on a listed one.
pub(super) fn approved_device(
    server: &TestServer,
    listed: &mut TestClient,
    name: &str,
) -> TestClient {
    let mut device = new_device(server, &listed.name.clone(), name);
    let code = code_of(&mut device);
    listed.wait_event_with("device_waiting", "name", name);
    let added = listed.ok("device", json!({"action": "approve", "code": code}));
    assert_eq!(added["name"], name);
    device.wait_event_with("notice", "code", "device_listed");
    device
}

/// Returns a server, two devices of Alice, and Bob, who know each other.
fn two_devices() -> (TestServer, TestClient, TestClient, TestClient) {
    let server = TestServer::start(&[]);
    let mut laptop = TestClient::start_at(&server.location(), "alice", &named("laptop"));
    laptop.sign_up_and_log_in();
    let mut bob = TestClient::join(&server, "bob");
    laptop.befriend(&mut bob);
    let desktop = approved_device(&server, &mut laptop, "desktop");
    (server, laptop, desktop, bob)
}

fn names(devices: &Value) -> Vec<&str> {
    let devices = devices["devices"].as_array().unwrap();
    devices.iter().map(|device| device["name"].as_str().unwrap()).collect()
}

/// Waits for a copy of a message that another device of the account has sent.
fn wait_copy(device: &mut TestClient, text: &str, from: &str) {
    let copy = device.wait_event_with("message", "text", text);
    assert_eq!((&copy["own"], &copy["device"]), (&json!(true), &json!(from)), "{copy}");
}

#[test]
fn each_device_shows_what_is_sent_to_the_account() {
    let (_server, mut laptop, mut desktop, mut bob) = two_devices();
    assert_eq!(names(&laptop.ok("devices", json!({}))), ["laptop", "desktop"]);
    let sent = send(&mut bob, "alice", "to both");
    assert_eq!(sent["state"], "sent", "{sent}");
    wait_mail(&mut laptop, "to both");
    wait_mail(&mut desktop, "to both");
    send(&mut desktop, "bob", "from the desktop");
    wait_mail(&mut bob, "from the desktop");
    wait_copy(&mut laptop, "from the desktop", "desktop");
    send(&mut laptop, "bob", "from the laptop");
    wait_mail(&mut bob, "from the laptop");
    wait_copy(&mut desktop, "from the laptop", "laptop");
    // Nobody was alarmed.
    assert!(bob.all(|line| line["key"] == "changed").is_empty());
    let list = bob.ok("list", json!({}));
    assert_eq!(list["users"].as_array().unwrap().len(), 2, "{list}");
}

#[test]
fn device_that_was_away_gets_everything_later() {
    let (server, mut laptop, desktop, mut bob) = two_devices();
    let data = leave(desktop);
    send(&mut bob, "alice", "one is away");
    wait_mail(&mut laptop, "one is away");
    send(&mut laptop, "bob", "so am I soon");
    wait_mail(&mut bob, "so am I soon");
    let mut desktop = TestClient::start_in(data, &server.location(), "alice", &named("desktop"));
    desktop.ok("login", json!({"username": "alice"}));
    wait_mail(&mut desktop, "one is away");
    wait_copy(&mut desktop, "so am I soon", "laptop");
}

#[test]
fn unlisted_device_is_held_until_it_is_approved() {
    let (server, mut laptop, _desktop, mut bob) = two_devices();
    let mut phone = new_device(&server, "alice", "phone");
    let code = code_of(&mut phone);
    send(&mut phone, "bob", "it is me");
    let request = bob.wait_event("request");
    assert_eq!((&request["from"], &request["key"]), (&json!("alice"), &json!("changed")));
    send(&mut bob, "alice", "not for the phone");
    wait_mail(&mut laptop, "not for the phone");
    laptop.ok("device", json!({"action": "approve", "code": code}));
    phone.wait_event_with("notice", "code", "device_listed");
    send(&mut phone, "bob", "now you know");
    wait_mail(&mut bob, "it is me");
    wait_mail(&mut bob, "now you know");
    send(&mut bob, "alice", "for the phone too");
    wait_mail(&mut phone, "for the phone too");
    assert!(phone.all(|line| line["text"] == "not for the phone").is_empty());
}

#[test]
fn removed_device_is_closed_and_gets_nothing_new() {
    let (server, mut laptop, mut desktop, mut bob) = two_devices();
    laptop.ok("device", json!({"action": "remove", "key": "desktop"}));
    desktop.is_out_for_good("removed");
    send(&mut bob, "alice", "only one is left");
    wait_mail(&mut laptop, "only one is left");
    assert_eq!(names(&laptop.ok("devices", json!({}))), ["laptop"]);
    assert_eq!(desktop.fails("login", json!({"username": "alice"})), "key_refused");
    // With the password it is a new device.
    desktop.ok("login", json!({"username": "alice", "password": PASSWORD}));
    code_of(&mut desktop);
    server.wait_log("alice changed the devices: list 3");
}

#[test]
fn lost_devices_are_given_up_by_password() {
    let (server, laptop, desktop, mut bob) = two_devices();
    let lost: Vec<TempDir> = vec![leave(laptop), leave(desktop)];
    let mut phone = new_device(&server, "alice", "phone");
    code_of(&mut phone);
    assert_eq!(phone.fails("recover", json!({"password": "wrong horse"})), "wrong_password");
    phone.ok("recover", json!({"password": PASSWORD}));
    assert_eq!(names(&phone.ok("devices", json!({}))), ["phone"]);
    send(&mut phone, "bob", "all is lost");
    bob.wait_event_with("request", "key", "changed");
    let sent = send(&mut bob, "alice", "who is that?");
    assert_eq!(sent["code"], "key_changed", "{sent}");
    assert_eq!(bob.fails("approve", json!({})), "key_changed");
    bob.ok("trust", json!({"who": "alice"}));
    wait_mail(&mut bob, "all is lost");
    wait_mail(&mut phone, "who is that?");
    drop(lost);
}

#[test]
fn device_is_named_like_its_host() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let status = alice.ok("status", json!({}));
    assert_eq!(status["device"], DeviceName::like(host.trim()).as_str());
}

#[test]
fn stolen_device_is_given_up_by_the_one_that_began_the_list() {
    let (server, mut laptop, mut desktop, mut bob) = two_devices();
    assert!(laptop.ok("recover", json!({"password": PASSWORD}))["message"].is_string());
    let ended = desktop.wait_event("disconnected");
    assert_eq!(ended["reason"], "removed", "{ended}");
    send(&mut laptop, "bob", "my desktop was stolen");
    bob.wait_event_with("request", "key", "changed");
    bob.fails("approve", json!({}));
    bob.ok("trust", json!({"who": "alice"}));
    wait_mail(&mut bob, "my desktop was stolen");
    // With the password the thief is a new device, whose messages are held.
    desktop.ok("login", json!({"username": "alice", "password": PASSWORD}));
    desktop.wait_event_with("notice", "code", "device_list_replaced");
    send(&mut desktop, "bob", "it is me");
    bob.wait_event_with("request", "key", "changed");
    laptop.wait_event("device_waiting");
    assert!(bob.all(|line| line["text"] == "it is me").is_empty());
    drop(server);
}

#[test]
fn request_for_a_chat_reaches_the_device_used_last() {
    let (_server, mut laptop, mut desktop, mut bob) = two_devices();
    desktop.ok("list", json!({}));
    bob.chat_with(&mut desktop);
    bob.ok("disconnect", json!({}));
    desktop.wait_event("chat_closed");
    laptop.ok("list", json!({}));
    bob.chat_with(&mut laptop);
    assert!(bob.all(|line| line["key"] == "changed").is_empty());
}

#[test]
fn devices_that_change_at_once_agree_in_the_end() {
    let (server, mut laptop, mut desktop, _bob) = two_devices();
    let mut phone = new_device(&server, "alice", "phone");
    let mut tablet = new_device(&server, "alice", "tablet");
    let (phone_code, tablet_code) = (code_of(&mut phone), code_of(&mut tablet));
    for device in [&mut laptop, &mut desktop] {
        device.wait_event_with("device_waiting", "name", "phone");
        device.wait_event_with("device_waiting", "name", "tablet");
    }
    let approve = |code: &str| json!({"action": "approve", "code": code});
    let one = laptop.tell("device", approve(&phone_code));
    let other = desktop.tell("device", approve(&tablet_code));
    assert_eq!(laptop.reply(one)["name"], "phone");
    assert_eq!(desktop.reply(other)["name"], "tablet");
    desktop.wait_event_with("device_changed", "name", "phone");
    laptop.wait_event_with("device_changed", "name", "tablet");
    let devices = laptop.ok("devices", json!({}));
    assert_eq!(names(&devices).len(), 4);
    assert_eq!(names(&desktop.ok("devices", json!({}))), names(&devices));
}
