//! Line breaks in wide windows and in usual ones.

use letschat_commands::commands::TABLE;
use letschat_tests::client::TestClient;
use letschat_tests::person::{CTRL_C, HOME, Person, TAB, USUAL, Window};
use letschat_tests::server::TestServer;
use serde_json::json;

const WIDE: Window = Window { rows: 40, columns: 200 };

fn at_a_window(server: &TestServer, window: Window) -> Person {
    Person::join_at(server, "alice", window, &[], &[])
}

fn in_a_chat(window: Window) -> (TestServer, Person, TestClient) {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (at_a_window(&server, window), TestClient::join(&server, "bob"));
    alice.chats_with(&mut bob);
    (server, alice, bob)
}

/// Returns the rows from the one with these words to the last one above the prompt.
fn rows_from(person: &Person, words: &str) -> Vec<String> {
    let rows = person.rows().into_iter();
    let mut rows: Vec<String> = rows.skip_while(|row| !row.contains(words)).collect();
    rows.pop();
    rows
}

#[test]
fn a_long_message_fills_its_rows_and_no_word_is_torn() {
    for window in [WIDE, USUAL] {
        let (_server, alice, mut bob) = in_a_chat(window);
        let words: Vec<String> = (1..=60).map(|number| format!("word{number}")).collect();
        let text = words.join(" ");
        bob.ok("say", json!({"text": text}));
        alice.sees(&text);
        alice.is_prompted("→ bob> ");
        let rows = rows_from(&alice, "bob: word1 ");
        let shown: Vec<&str> = rows.iter().flat_map(|row| row.split_whitespace()).collect();
        assert!(shown.join(" ").ends_with(&format!("bob: {text}")), "{}", alice.screen());
        for pair in rows.windows(2) {
            assert!(pair[1].starts_with("  "), "a row looks like a line:\n{}", alice.screen());
            let next_word = pair[1].split_whitespace().next().unwrap();
            let room = usize::from(window.columns) - pair[0].len();
            assert!(room <= next_word.len(), "{next_word} had room:\n{}", alice.screen());
        }
    }
}

#[test]
fn typed_line_of_two_rows_stays_whole_as_messages_arrive() {
    for window in [WIDE, USUAL] {
        let (_server, alice, mut bob) = in_a_chat(window);
        let columns = usize::from(window.columns);
        let typed: String = ('a'..='z').cycle().take(columns + 20).collect();
        let whole = format!("→ bob> {typed}");
        // The arrow is two columns wide in some terminals.
        let (edge, _) = whole.char_indices().nth(columns - 1).unwrap();
        let rows = [&whole[..edge], &whole[edge..]];
        alice.press(&typed);
        alice.is_prompted_over(&rows);
        bob.ok("say", json!({"text": "in the middle"}));
        alice.sees("bob: in the middle");
        alice.is_prompted_over(&rows);
        // The cursor moves back over the edge, and the inserted text crosses it.
        alice.press(HOME);
        alice.press("// ");
        bob.ok("say", json!({"text": "and at the beginning"}));
        alice.sees("bob: and at the beginning");
        alice.sees(&format!("→ bob> // {typed}"));
        alice.sees("bob: in the middle");
        alice.types("");
        bob.wait_event_with("message", "text", &format!("/ {typed}"));
        alice.is_prompted("→ bob> ");
    }
}

#[test]
fn what_fits_a_wide_window_stands_in_one_row() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (at_a_window(&server, WIDE), TestClient::join(&server, "bob"));
    bob.tell("connect", json!({"who": "alice"}));
    alice.sees("`/deny bob`?");
    alice.is_prompted("letschat> ");
    let request = rows_from(&alice, "bob at 127.0.0.1");
    assert!(request.len() == 1 && request[0].ends_with("or `/deny bob`?"), "{request:?}");

    let typed = "x".repeat(180);
    alice.press(&typed);
    alice.is_prompted(&format!("letschat> {typed}"));
}

#[test]
fn the_menu_of_completions_has_a_row_for_each_command() {
    for window in [WIDE, USUAL] {
        let server = TestServer::start(&[]);
        let alice = at_a_window(&server, window);
        alice.press(TAB);
        alice.sees(&format!("letschat> {}", TABLE[0].name));
        // The end of the menu is drawn last.
        let last = &TABLE[TABLE.len() - 1];
        alice.sees(if window == USUAL { "and " } else { last.summary });
        let menu = alice.rows().into_iter().skip_while(|row| row != "letschat>").skip(1);
        let menu = menu.filter(|row| !row.starts_with("and "));
        for (row, command) in menu.zip(TABLE) {
            let (name, summary) = row.split_once("  ").unwrap();
            assert_eq!(name, command.name, "{}", alice.screen());
            let shown = summary.trim_start().trim_end_matches("...");
            assert!(command.summary.starts_with(shown), "{row}");
            assert!(shown == command.summary || window == USUAL, "{row}");
        }
        alice.press("conn");
        alice.sees("letschat> conn connect Ask somebody for a chat");
        alice.press(CTRL_C);
        alice.is_prompted("letschat> ");
        assert!(!alice.screen().contains(TABLE[0].summary), "{}", alice.screen());
    }
}

#[test]
fn wide_table_of_commands_wraps_below_its_second_column() {
    const NARROW: Window = Window { rows: 80, columns: 60 };
    for window in [WIDE, NARROW] {
        let server = TestServer::start(&[]);
        let alice = at_a_window(&server, window);
        alice.types("help");
        alice.sees("In a chat, plain text goes to");
        alice.is_prompted("letschat> ");
        let rows = alice.rows();
        for command in TABLE {
            let usage = command.usage();
            let is_its = |row: &&String| row.starts_with(&format!("{usage}  "));
            let first = rows.iter().position(|row| is_its(&row)).unwrap();
            let column = rows[first].len() - rows[first][usage.len()..].trim_start().len();
            let more = rows[first + 1..].iter().take_while(|row| row.starts_with("   "));
            let mut told = rows[first][column..].to_owned();
            for row in more {
                assert_ne!(window, WIDE, "{row}");
                assert_eq!(row.len() - row.trim_start().len(), column, "{row}");
                told.push_str(&format!(" {}", row.trim_start()));
            }
            assert_eq!(told, command.summary);
        }
    }
}

#[test]
fn a_typed_line_that_just_fills_its_row_overwrites_nothing() {
    for window in [WIDE, USUAL] {
        let (_server, alice, mut bob) = in_a_chat(window);
        let room = usize::from(window.columns) - "→ bob> ".chars().count();
        let mut said = Vec::new();
        for length in [room - 1, room, room + 1] {
            let typed = "x".repeat(length);
            alice.press(&typed);
            alice.sees(&format!("→ bob> {typed}"));
            bob.ok("say", json!({"text": format!("{length} letters")}));
            said.push(format!("bob: {length} letters"));
            alice.sees(said.last().unwrap());
            alice.sees(&format!("{length} letters → bob> {typed}"));
            alice.press(CTRL_C);
            alice.is_prompted("→ bob> ");
            let rows = alice.rows();
            let told = rows.iter().filter_map(|row| row.split_once(' ').map(|(_, told)| told));
            let told: Vec<&str> = told.filter(|told| told.ends_with(" letters")).collect();
            assert_eq!(told, said, "{}", alice.screen());
        }
    }
}
