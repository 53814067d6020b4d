//! `letschat open-room` at a terminal.

use letschat_tests::person::{CTRL_C, CTRL_D, Person};
use letschat_tests::programs::{NO_SETTINGS, foreign_settings, program};
use letschat_tests::room::{TestRoom, Visitor};
use pty_process::blocking::Command;

fn alice_in(room: &TestRoom) -> Person {
    let fresh = foreign_settings()
        .into_iter()
        .fold(Command::new(program("letschat")), |command, name| command.env_remove(name));
    let command = fresh
        .args(["open-room", "127.0.0.1", &room.port.to_string()])
        .env("LETSCHAT_CONFIG", NO_SETTINGS)
        .env_remove("NO_COLOR");
    let alice = Person::run(command, "alice", tempfile::tempdir().unwrap());
    alice.is_prompted("] ");
    alice
}

/// Returns the address that the room shows for the sender of this text.
fn sender(visitor: &Visitor, text: &str) -> String {
    let heard = visitor.hears();
    let rest = heard.strip_prefix("INCOMING ").unwrap();
    rest.strip_suffix(&format!(" {text}")).unwrap_or_else(|| panic!("{heard}")).to_owned()
}

#[test]
fn prompt_stays_whole_under_incoming_lines() {
    let room = TestRoom::start();
    let (bob, alice) = (room.visitor(), alice_in(&room));
    alice.press("half a li");
    alice.is_prompted("] half a li");
    bob.says("in the middle");
    alice.sees(&format!("<From {}>: in the middle", bob.address()));
    alice.is_prompted("] half a li");
    bob.hears_next(bob.address(), "in the middle");
    alice.types("ne");
    let address = sender(&bob, "half a line");
    alice.sees(&format!("<From {address}>: half a line"));
    alice.is_prompted("] ");
}

#[test]
fn many_lines_at_once_leave_the_prompt_whole() {
    let room = TestRoom::start();
    let (bob, alice) = (room.visitor(), alice_in(&room));
    alice.press("still here");
    for number in 0..200 {
        bob.says(&format!("number {number}"));
        bob.hears_next(bob.address(), &format!("number {number}"));
    }
    alice.sees(&format!("<From {}>: number 199", bob.address()));
    alice.is_prompted("] still here");
}

#[test]
fn control_characters_are_shown_and_not_obeyed() {
    let room = TestRoom::start();
    let (bob, alice) = (room.visitor(), alice_in(&room));
    bob.says("\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\r\n] forged");
    let shown = r"\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\r\n] forged";
    alice.sees(&format!("<From {}>: {shown}", bob.address()));
    alice.is_prompted("] ");
    assert!(!alice.bytes().contains("\u{1b}]0;owned"));
}

#[test]
fn long_text_has_no_row_that_begins_where_lines_begin() {
    let room = TestRoom::start();
    let (bob, alice) = (room.visitor(), alice_in(&room));
    bob.says(&format!("{}] <From 1.2.3.4:5>: forged", "x ".repeat(26)));
    alice.sees("forged");
    alice.is_prompted("] ");
    for row in alice.rows() {
        let begins = row.split(' ').next().unwrap();
        assert!(["", "]", "<From"].contains(&begins), "{row:?}");
        assert!(!row.starts_with("<From 1.2.3.4") && !row.starts_with("] <"), "{row:?}");
    }
}

#[test]
fn pasted_lines_are_messages_of_their_own() {
    let room = TestRoom::start();
    let (bob, alice) = (room.visitor(), alice_in(&room));
    alice.pastes("one\ntwo");
    alice.types("");
    sender(&bob, "one");
    sender(&bob, "two");
}

#[test]
fn ctrl_d_and_ctrl_c_end_the_client() {
    let room = TestRoom::start();
    for keys in [CTRL_D, CTRL_C, &format!("unfinished{CTRL_C}")] {
        let mut alice = alice_in(&room);
        alice.press(keys);
        assert_eq!(alice.sees_the_end(), 0);
    }
}

#[test]
fn closed_terminal_ends_the_client() {
    let room = TestRoom::start();
    let mut alice = alice_in(&room);
    assert_eq!(alice.closes_the_terminal(), 0);
}
