//! Tests of the rows, by a terminal that shows them.

use super::*;
use proptest::prelude::*;
use vt100::Parser;

const ABOVE: [&str; 3] = ["first above", "second above", "third above"];

fn scene(text: &str, cursor: usize) -> Scene {
    let (prompt, text) = ("bob> ".to_owned(), text.to_owned());
    Scene { prompt, text, cursor, ..Scene::default() }
}

fn terminal(window: Window) -> Parser {
    let size = |count: usize| u16::try_from(count).unwrap().try_into().unwrap();
    let mut terminal = Parser::new(size(window.rows), size(window.columns), 10_000);
    for line in ABOVE {
        terminal.process(format!("{line}\r\n").as_bytes());
    }
    terminal
}

/// Every row that there is or was.
fn all_rows(terminal: &mut Parser) -> Vec<String> {
    let (height, width) = terminal.screen().size();
    let height = usize::from(height.get());
    terminal.screen_mut().set_scrollback(usize::MAX);
    let mut rows = Vec::new();
    for back in (0..=terminal.screen().scrollback()).rev() {
        terminal.screen_mut().set_scrollback(back);
        let taken = if back == 0 { height } else { 1 };
        let shown = terminal.screen().rows(0, width.get()).take(taken);
        rows.extend(shown.map(|row| row.trim_end().to_owned()));
    }
    rows
}

fn rows_of(text: &str, cursor: usize, columns: usize) -> (Vec<String>, usize, String) {
    let picture = Picture::new(&scene(text, cursor), columns, 0);
    (picture.rows, picture.cursor_row, picture.before_cursor)
}

#[test]
fn rows_break_at_the_edge_and_the_cursor_goes_over_it() {
    let rows = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
    assert_eq!(rows_of("abcde", 5, 10), (rows(&["bob> abcde", ""]), 1, String::new()));
    assert_eq!(rows_of("abcdef", 5, 10), (rows(&["bob> abcde", "f"]), 1, String::new()));
    assert_eq!(rows_of("abc日", 3, 9), (rows(&["bob> abc", "日"]), 1, String::new()));
    assert_eq!(rows_of("a\nb", 1, 10), (rows(&["bob> a", "| b"]), 0, "bob> a".into()));
    assert_eq!(rows_of("a\nb", 2, 10), (rows(&["bob> a", "| b"]), 1, "| ".into()));
}

#[test]
fn controls_are_shown_as_symbols_and_tabs_as_blanks() {
    let (rows, _, before) = rows_of("a\tb\u{1b}[2J\u{7f}\u{9b}\u{202e}", 2, 60);
    assert_eq!(rows, ["bob> a    b␛[2J␡\\u{9b}\\u{202e}"]);
    assert_eq!(before, "bob> a    ");
    assert_eq!(rows_of("👩\u{200d}💻", 0, 60).0, ["bob> 👩\u{200d}💻"]);
    assert_eq!(rows_of("日本", 0, 1).0.concat(), "bob> ??");
}

#[test]
fn list_says_how_many_have_no_room() {
    let mut scene = scene("x", 1);
    let candidate = |value: &str, description: Option<&str>| {
        Candidate::word(value.to_owned(), description.map(str::to_owned))
    };
    scene.list = vec![
        candidate("one", Some("this is the first")),
        candidate("three", Some("short")),
        candidate("four", None),
    ];
    let rows = |max_rows| Picture::new(&scene, 20, max_rows).rows;
    assert_eq!(rows(4), ["bob> x", "one    this is th...", "three  short", "four"]);
    assert_eq!(rows(3), ["bob> x", "one    this is th...", "and 2 more"]);
    assert_eq!(rows(1), ["bob> x"]);
}

#[test]
fn status_is_a_row_of_its_own_where_there_is_room() {
    let mut scene = scene("x", 1).with_status("photo.jpg from bob: 45 % of 2.1 MB".into());
    let drawn = |scene: &Scene, max_rows| {
        let picture = Picture::new(scene, 20, max_rows);
        (picture.rows, picture.cursor_row)
    };
    let rows = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
    let status = "photo.jpg from bob: ";
    assert_eq!(drawn(&scene, 2), (rows(&[status, "bob> x"]), 1));
    assert_eq!(drawn(&scene, 1), (rows(&["bob> x"]), 0));
    scene.list = vec![Candidate::word("one".into(), None)];
    assert_eq!(drawn(&scene, 3), (rows(&[status, "bob> x", "one"]), 1));
    assert_eq!(drawn(&scene, 2), (rows(&["bob> x", "one"]), 0));
    let hostile = scene.with_status("a\u{1b}[2J\n".into());
    assert_eq!(drawn(&hostile, 9).0[0], "a\\u{1b}[2J\\n");
}

#[test]
fn status_changes_in_place_and_vanishes() {
    let window = Window { rows: 6, columns: 30 };
    let (mut terminal, mut screen) = (terminal(window), Screen::default());
    let mut rows_with = |status: &str| {
        let mut output = String::new();
        screen.draw(&scene("x", 1).with_status(status.into()), window, &mut output);
        terminal.process(output.as_bytes());
        all_rows(&mut terminal)[ABOVE.len()..].to_vec()
    };
    assert_eq!(rows_with("1 %"), ["1 %", "bob> x", ""]);
    assert_eq!(rows_with("2 %"), ["2 %", "bob> x", ""]);
    assert_eq!(rows_with(""), ["bob> x", "", ""]);
    assert_eq!(rows_with("3 %"), ["3 %", "bob> x", ""]);
}

proptest! {
    #[test]
    fn nothing_above_the_prompt_ever_changes(
        edits in proptest::collection::vec(
            (
                prop_oneof!["[a-c日é\t\u{1b} \n]{0,90}", "(a\n){0,7}"],
                0.0..1.0,
                0_u8..6,
                0_usize..4,
                prop_oneof!["", "[x-z日% ]{1,40}"],
            ),
            1..12),
        rows in 1_usize..9,
        columns in 12_usize..30,
    ) {
        let window = Window { rows, columns };
        let (mut terminal, mut screen) = (terminal(window), Screen::default());
        let mut above = ABOVE.map(str::to_owned).to_vec();
        for (text, cursor, edit, listed, status) in edits {
            let mut cursor = (text.len() as f64 * cursor) as usize;
            while !text.is_char_boundary(cursor) {
                cursor -= 1;
            }
            let mut scene = scene(&text, cursor);
            scene.list = vec![Candidate::word("one".into(), None); listed];
            scene.status = status;
            let mut output = String::new();
            if edit == 0 {
                screen.erase(&mut output);
                output.push_str("said\r\n");
                above.push("said".into());
            }
            screen.draw(&scene, window, &mut output);
            prop_assert!(screen.drawn.len() < rows.max(2));
            terminal.process(output.as_bytes());
            let drawn = screen.drawn.iter().map(|row| row.trim_end().to_owned());
            let expected: Vec<String> = above.iter().cloned().chain(drawn).collect();
            let shown = all_rows(&mut terminal);
            prop_assert_eq!(&shown[..expected.len()], &expected[..]);
            prop_assert!(shown[expected.len()..].iter().all(String::is_empty));
            let (row, column) = terminal.screen().cursor_position();
            let before_cursor = terminal.screen().rows(0, column).nth(row.into());
            let expected = Picture::new(&scene, columns, 0).before_cursor.trim_end().to_owned();
            prop_assert_eq!(before_cursor.map(|row| row.trim_end().to_owned()), Some(expected));
            let top = shown.len() - rows;
            prop_assert_eq!(usize::from(row) + top, above.len() + screen.cursor_row);
            if edit == 1 {
                scene.list.clear();
                let mut output = String::new();
                screen.leave(&scene, window, &mut output);
                terminal.process(output.as_bytes());
                scene.status.clear();
                let mut left = Picture::new(&scene, columns, 0).rows;
                left.pop_if(|row| row.is_empty());
                above.extend(left.iter().map(|row| row.trim_end().to_owned()));
            }
        }
    }
}
