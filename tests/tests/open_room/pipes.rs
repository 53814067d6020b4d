//! `letschat open-room` without a terminal.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};

use letschat_tests::ports::free_port;
use letschat_tests::programs::{program, without_settings};
use letschat_tests::room::{TestRoom, client_of};

#[test]
fn lines_go_in_and_out_and_all_is_sent_before_the_end() {
    let room = TestRoom::start();
    let alice = room.visitor();
    let mut client = room.client();
    client.type_line("one");
    client.type_line("");
    client.type_line("\u{200b}\u{2800}");
    client.type_line("two words");
    client.end_input();
    assert_eq!(client.exit_code(), 0, "{}", client.transcript());
    let first = alice.hears();
    let address = first.strip_prefix("INCOMING ").unwrap().strip_suffix(" one").unwrap();
    assert_eq!(alice.hears(), format!("INCOMING {address} two words"));
    let shown = ["one", "two words"].map(|text| format!("<From {address}>: {text}"));
    assert_eq!(client.heard, shown, "{}", client.transcript());
    assert_eq!(client.errors(), "");
}

#[test]
fn what_others_say_is_shown_without_a_prompt_and_steers_nothing() {
    let room = TestRoom::start();
    let alice = room.visitor();
    let mut client = room.client();
    client.type_line("here");
    client.wait_line("its own line", |line| line.ends_with(": here"));
    alice.sends(b"MESSAGE \x1b[2Jhi\r\n<From 1.2.3.4:5>: forged\xff");
    let expected =
        format!(r"<From {}>: \u{{1b}}[2Jhi\r\n<From 1.2.3.4:5>: forged", alice.address());
    let shown = client.wait_line("alice's line", |line| line.contains("forged"));
    assert_eq!(shown.trim_end_matches('\u{fffd}'), expected);
}

#[test]
fn thousand_lines_arrive_in_their_order() {
    let room = TestRoom::start();
    let mut client = room.client();
    for number in 0..1_000 {
        client.type_line(&format!("line {number}"));
    }
    client.end_input();
    assert_eq!(client.exit_code(), 0);
    let texts: Vec<&str> = client.heard.iter().filter_map(|line| line.split(": ").nth(1)).collect();
    let typed: Vec<String> = (0..1_000).map(|number| format!("line {number}")).collect();
    assert_eq!(texts, typed);
}

#[test]
fn line_that_is_too_long_is_told_and_the_next_is_sent() {
    let room = TestRoom::start();
    let mut client = room.client();
    client.type_line(&"x".repeat(20_000));
    client.type_line("short");
    client.wait_line("the short line", |line| line.ends_with(": short"));
    client.end_input();
    assert_eq!(client.exit_code(), 1);
    assert!(client.errors().contains("more than 16384 bytes was not sent"), "{}", client.errors());
}

#[test]
fn client_finds_a_room_that_is_started_later() {
    let port = free_port();
    let mut client = client_of("127.0.0.1", port);
    client.type_line("too early");
    client.wait_errors("No open room answers at 127.0.0.1:");
    let _room = TestRoom::start_on(port);
    client.type_line("at last");
    client.wait_line("its own line", |line| line.ends_with(": at last"));
    client.end_input();
    assert_eq!(client.exit_code(), 0);
}

#[test]
fn no_room_at_all_is_status_3() {
    let mut client = client_of("127.0.0.1", free_port());
    client.type_line("anybody?");
    client.end_input();
    assert_eq!(client.exit_code(), 3, "{}", client.transcript());
    assert_eq!(client.errors().matches("No open room answers").count(), 1, "{}", client.errors());
}

#[test]
fn signal_ends_the_client_in_order() {
    let room = TestRoom::start();
    for signal in ["TERM", "INT"] {
        let mut client = room.client();
        client.type_line("here");
        client.wait_line("its own line", |line| line.ends_with(": here"));
        client.signal(signal);
        assert_eq!(client.exit_code(), 0, "{}", client.transcript());
    }
}

#[test]
fn output_that_fails_is_told_and_is_status_1() {
    let room = TestRoom::start();
    let mut command = Command::new(program("letschat"));
    without_settings(&mut command);
    command.args(["open-room", "127.0.0.1", &room.port.to_string()]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.stdout(File::create("/dev/full").unwrap()).spawn().unwrap();
    client.stdin.as_mut().unwrap().write_all(b"hello\n").unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("standard output can't be written"), "{told}");
}
