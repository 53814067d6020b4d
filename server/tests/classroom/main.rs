//! A classroom's server as a process: its screen, its file and its knocks.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod kit;

use std::fs;
use std::time::{Duration, Instant};

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Closing, Request};
use letschat_protocol::peer::PeerMessage;

use kit::{Classroom, Client, wait_for_file};

fn say(text: &str) -> Request {
    Request::Broadcast { text: text.into() }
}

fn introduced(client: &mut Client, others: &[(&str, bool)]) {
    for (name, is_new) in others {
        assert_eq!(client.hears_of(), ((*name).to_owned(), *is_new));
    }
}

#[test]
fn newcomers_and_their_words_are_on_every_screen() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Classroom::start(data.path(), &[]);
    assert!(server.address.ip().is_loopback());
    let mut one = Client::join(&server, "1");
    assert_eq!(server.shows(), "Client 1: initiated");
    introduced(&mut one, &[("1", true)]);
    let mut two = Client::join(&server, "2");
    assert_eq!(server.shows(), "Client 2: initiated");
    introduced(&mut two, &[("1", false), ("2", true)]);
    introduced(&mut one, &[("2", true)]);

    assert_eq!(two.ask(&say("hello")).code, Code::Ok);
    assert_eq!(server.shows(), "Client 2: hello");
    assert_eq!(one.hears_broadcast(), "2: hello");
    server.types("list of things");
    assert_eq!(server.shows(), "Server: list of things");
    assert_eq!(one.hears_server(), "list of things");
    server.types("/kick 3");
    assert_eq!(server.shows(), "Nobody was kicked: 3 is not here; `/list` shows who is.");

    let file = data.path().join("clients.txt");
    wait_for_file(&file, &[one.entry(), two.entry()].concat());
    server.types("eXIT");
    assert_eq!(one.hears_closing(), Closing::Terminated);
    assert_eq!(two.hears_closing(), Closing::Terminated);
    assert_eq!(server.ends(), "", "the log has only warnings");
    wait_for_file(&file, &[one.entry(), two.entry()].concat());
}

#[test]
fn restarted_server_knocks_and_clients_come_back() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("clients.txt");
    let mut server = Classroom::start(data.path(), &[]);
    let mut one = Client::join(&server, "1");
    let mut two = Client::join(&server, "2");
    let gone = Client::join(&server, "3");
    server.types("exit");
    one.hears_closing();
    server.ends();
    let stale = gone.entry();
    drop(gone);
    wait_for_file(&file, &[one.entry(), two.entry(), stale].concat());
    let elsewhere = "4 192.0.2.1 1\n";
    let neighbour = one.entry().replacen('1', "5", 1);
    let old = fs::read_to_string(&file).unwrap();
    fs::write(&file, [&old, "nonsense\n", elsewhere, &neighbour].concat()).unwrap();

    let mut server = Classroom::start(data.path(), &[]);
    assert_eq!(one.is_knocked(), PeerMessage::Knock);
    assert_eq!(two.is_knocked(), PeerMessage::Knock);
    // Nobody listens for the third, and the fourth is not on this machine.
    wait_for_file(&file, &[&one.entry(), &two.entry(), elsewhere, &neighbour].concat());
    assert_eq!(two.log_in(&server).code, Code::LoggedIn);
    assert_eq!(server.shows(), "Client 2: reconnected");
    assert_eq!(one.log_in(&server).code, Code::LoggedIn);
    assert_eq!(server.shows(), "Client 1: reconnected");
    introduced(&mut two, &[("1", false)]);
    introduced(&mut one, &[("2", false)]);
    assert_eq!(one.ask(&Request::Quit).code, Code::Goodbye);
    wait_for_file(&file, &[&two.entry(), elsewhere, &neighbour].concat());
    server.types("exit");
    let log = server.ends();
    // The receivers would have queued another knock, also one for the neighbour at the same address.
    assert!(!one.has_a_visitor() && !two.has_a_visitor());
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("skipped 1 line of") && log.contains("first line 4"), "{log}");
}

#[test]
fn lost_connection_removes_nobody() {
    let data = tempfile::tempdir().unwrap();
    let server = Classroom::start(data.path(), &[]);
    let mut one = Client::join(&server, "1");
    let entry = one.entry();
    assert_eq!(server.shows(), "Client 1: initiated");
    one.is_cut_off();
    let mut two = Client::join(&server, "2");
    assert_eq!(server.shows(), "Client 2: initiated");
    introduced(&mut two, &[("1", false), ("2", true)]);
    assert_eq!(one.log_in(&server).code, Code::LoggedIn);
    assert_eq!(server.shows(), "Client 1: reconnected");
    introduced(&mut two, &[("1", false)]);
    wait_for_file(&data.path().join("clients.txt"), &[entry, two.entry()].concat());
}

#[test]
fn name_belongs_to_the_first_key() {
    let data = tempfile::tempdir().unwrap();
    let server = Classroom::start(data.path(), &[]);
    let _one = Client::join(&server, "1");
    let reply = Client::new("1").log_in(&server);
    assert_eq!(reply.code, Code::KeyRefused);
    assert!(reply.lines[0].starts_with("That name belongs to another client"), "{reply:?}");
    let reply = Client::new("server").log_in(&server);
    assert_eq!(reply.code, Code::KeyRefused);
    assert!(reply.lines[0].contains("reserved"), "{reply:?}");
}

#[test]
fn paste_of_500_lines_is_neither_refused_nor_slow() {
    let data = tempfile::tempdir().unwrap();
    let server = Classroom::start(data.path(), &[]);
    let mut one = Client::join(&server, "1");
    let mut two = Client::join(&server, "2");
    assert_eq!(server.shows(), "Client 1: initiated");
    assert_eq!(server.shows(), "Client 2: initiated");
    let lines: Vec<Request> = (1..=500).map(|n| say(&format!("line {n}"))).collect();
    let begun = Instant::now();
    assert!(one.pastes(&lines).iter().all(|code| *code == Code::Ok));
    let taken = begun.elapsed();
    for number in 1..=500 {
        assert_eq!(two.hears_broadcast(), format!("1: line {number}"));
        assert_eq!(server.shows(), format!("Client 1: line {number}"));
    }
    assert!(taken < Duration::from_secs(10), "{taken:?}");
}

#[test]
fn file_that_can_not_be_written_stops_nothing() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("no/such/folder/clients.txt");
    let mut server = Classroom::start(data.path(), &["--clients-file", file.to_str().unwrap()]);
    let mut one = Client::join(&server, "1");
    assert_eq!(server.shows(), "Client 1: initiated");
    assert_eq!(one.ask(&Request::Ping).code, Code::Ok);
    server.types("exit");
    let log = server.ends();
    assert!(log.contains("WARN can't write"), "{log}");
}

#[test]
fn stop_without_a_commit_ends_without_a_farewell() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Classroom::start(data.path(), &[]);
    let mut one = Client::join(&server, "1");
    assert_eq!(one.hears_of(), ("1".into(), true));
    let store = rusqlite::Connection::open(data.path().join("letschat.sqlite")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    one.sends(&say("kept or not"));
    // HELLO, KEY and BROADCAST.
    server.has_heard(3);
    server.types("exit");
    one.is_dropped();
    let log = server.ends();
    assert!(log.contains("not everything was finished within 3 s"), "{log}");
}
