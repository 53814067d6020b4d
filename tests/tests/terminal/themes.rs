//! The contrast of the themes: on a light background, on a dark one, and of the default on
//! both.

use letschat_tests::client::TestClient;
use letschat_tests::palette::{DARK, LIGHT, Palette, contrast};
use letschat_tests::person::{Person, TAB, Window};
use letschat_tests::server::TestServer;
use serde_json::json;
use vt100::{Cell, Color};

/// For text (WCAG 2.2, 1.4.3).
const GOOD: f64 = 4.5;
/// For large text, and for what a palette may make of a theme that is not made for it.
const FAIR: f64 = 3.0;
/// Times and hints are there to stand back.
const FAINT: f64 = 2.8;

const TALL: Window = Window { rows: 60, columns: 100 };

/// Texts that people read, a warning first.
const TEXTS: [&str; 8] = [
    "There is no such command; `/help` lists them.",
    "bob at 127.0.0.1 asks for a chat.",
    "Chat with bob is open.",
    "carol to all: lunch?",
    "bob: hello",
    "Logged in as alice, by key.",
    "→ bob>",
    "/connect",
];
/// The text of a hint.
const HINT: &str = "WHO [force]";

/// Sees everything that has a look of its own, and begins a line.
fn at_a_busy_screen(theme: &[&str]) -> (Person, TestServer, TestClient) {
    let server = TestServer::start(&[]);
    let alice = Person::join_at(&server, "alice", TALL, theme, &[]);
    let mut bob = TestClient::join(&server, "bob");
    let id = bob.tell("connect", json!({"who": "alice"}));
    alice.sees(TEXTS[1]);
    alice.types("nonsense");
    alice.sees(TEXTS[0]);
    alice.types("approve");
    bob.reply(id);
    alice.is_prompted("→ bob> ");
    bob.ok("say", json!({"text": "hello"}));
    let mut carol = TestClient::join(&server, "carol");
    carol.ok("broadcast", json!({"text": "lunch?"}));
    alice.sees("carol to all: lunch?");
    alice.press("/connect ");
    alice.is_hinted("→ bob> /connect ", HINT);
    (alice, server, bob)
}

fn all_can_be_read(alice: &Person, palette: &Palette, expected: f64) {
    let texts = TEXTS.map(|words| (words, expected));
    for (words, expected) in texts.into_iter().chain([(HINT, FAINT)]) {
        let least = least_contrast(&alice.cells_of(words), palette);
        assert!(least >= expected, "{words:?} has {least:.2}:1 in {}", palette.name);
    }
    let least = least_contrast(&alice.all_cells(), palette);
    assert!(least >= FAINT, "something has {least:.2}:1 in {}", palette.name);
}

fn least_contrast(cells: &[Cell], palette: &Palette) -> f64 {
    let contrasts = cells.iter().map(|cell| {
        let (text, behind) = palette.colors(cell);
        contrast(text, behind)
    });
    contrasts.reduce(f64::min).unwrap()
}

#[test]
fn a_theme_that_was_chosen_for_its_background_can_be_read_well() {
    for (theme, palettes) in [("light", &LIGHT[..]), ("dark", &DARK)] {
        let (alice, _server, _bob) = at_a_busy_screen(&["--theme", theme]);
        for palette in palettes {
            let expected = if palette.name.starts_with("xterm") { GOOD } else { FAIR };
            all_can_be_read(&alice, palette, expected);
        }
    }
}

#[test]
fn the_usual_theme_can_be_read_on_light_and_on_dark() {
    let (alice, _server, _bob) = at_a_busy_screen(&[]);
    for palette in LIGHT.iter().chain(&DARK) {
        all_can_be_read(&alice, palette, FAIR);
    }
}

#[test]
fn each_theme_colours_what_matters_in_its_own_way() {
    let warnings_and_prompts = ["both", "light", "dark"].map(|theme| {
        let (alice, _server, _bob) = at_a_busy_screen(&["--theme", theme]);
        [TEXTS[0], "→ bob>"].map(|words| alice.cells_of(words)[0].fgcolor())
    });
    let [both, light, dark] = warnings_and_prompts;
    for colors in [both, light, dark] {
        assert!(!colors.contains(&Color::Default), "{colors:?}");
    }
    assert!(both != light && light != dark && both != dark, "{warnings_and_prompts:?}");
}

#[test]
fn the_menu_of_completions_can_be_read_in_every_theme() {
    for (theme, palettes) in
        [("light", &LIGHT[..]), ("dark", &DARK), ("both", &LIGHT), ("both", &DARK)]
    {
        let server = TestServer::start(&[]);
        let alice = Person::join_at(&server, "alice", TALL, &["--theme", theme], &[]);
        alice.press(TAB);
        alice.sees("Ask somebody for a chat");
        for palette in palettes {
            let least = least_contrast(&alice.all_cells(), palette);
            assert!(least >= FAINT, "something has {least:.2}:1 in {}", palette.name);
        }
    }
}

#[test]
fn contrast_is_measured_as_it_is_defined() {
    let hundredths = |one, other| (contrast(one, other) * 100.0).round();
    assert_eq!(hundredths(0xffffff, 0x000000), 2_100.0);
    assert_eq!(hundredths(0x767676, 0xffffff), 454.0);
    assert_eq!(hundredths(0xff0000, 0xffffff), 400.0);
    assert_eq!(hundredths(0xcd00cd, 0xcd00cd), 100.0);
}
