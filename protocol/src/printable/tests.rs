use super::*;
use proptest::prelude::*;

fn shown(text: &str) -> String {
    Printable(text).to_string()
}

fn assert_untouched(text: &str) {
    assert_eq!(shown(text), text);
    assert!(is_printable(text), "{text:?}");
}

#[test]
fn escape_sequences_arrive_as_text() {
    assert_eq!(shown("\x1b[2J\x07"), "\\u{1b}[2J\\u{7}");
    assert_eq!(shown("a\u{9b}31mb\x7f"), "a\\u{9b}31mb\\u{7f}");
}

#[test]
fn lines_stay_one_line_and_tabs_are_blanks() {
    assert_eq!(shown("a\r\nb\u{2028}c"), "a\\r\\nb\\u{2028}c");
    assert_eq!(shown("if x:\n\treturn"), "if x:\\n    return");
}

#[test]
fn bidi_and_zero_width_are_visible() {
    assert_eq!(shown("a\u{202e}b\u{200b}c"), "a\\u{202e}b\\u{200b}c");
    for c in ['\u{61c}', '\u{200e}', '\u{200f}', '\u{2066}', '\u{2069}', '\u{2060}', '\u{feff}'] {
        assert_eq!(shown(&format!("א{c}ب")), format!("א\\u{{{:x}}}ب", u32::from(c)));
    }
}

/// Every default-ignorable character of Unicode 16 (DerivedCoreProperties.txt), and other
/// characters that are drawn as nothing although they are no spaces.
const UNSEEN: &[std::ops::RangeInclusive<char>] = &[
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffc}',
    '\u{13430}'..='\u{13442}',
    '\u{16fe4}'..='\u{16fe4}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d159}'..='\u{1d159}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

#[test]
fn what_nobody_sees_is_escaped_wherever_unicode_has_it() {
    for c in UNSEEN.iter().cloned().flatten() {
        assert_eq!(shown(&format!("a{c}b")), format!("a\\u{{{:x}}}b", u32::from(c)));
        assert!(is_blank(&c.to_string()), "{c:?}");
        assert!(may_hide(c), "{c:?}");
    }
}

#[test]
fn what_is_blank_alone_is_a_space_or_escaped() {
    for c in char::MIN..=char::MAX {
        let text = c.to_string();
        assert!(!is_blank(&text) || c.is_whitespace() || !is_printable(&text), "{c:?}");
    }
}

#[test]
fn blanks_of_a_script_pass_within_it() {
    assert_untouched("⠓⠊\u{2800}⠁⠇⠇");
    assert_untouched("\u{2800}\u{2800}⣿⣿\u{2800}\u{2800}");
    assert_untouched("\u{18b00}\u{16fe4}\u{18b01}");
    assert_eq!(shown("a\u{2800} ⠿"), "a\\u{2800} ⠿");
    let escaped = "\\u{2800}".repeat(3);
    assert_eq!(shown(&format!("a{}b", "\u{2800}".repeat(3))), format!("a{escaped}b"));
    assert_eq!(shown(&"\u{2800}".repeat(3)), escaped);
    assert_eq!(shown("a\u{16fe4}\u{18b00}"), "a\\u{16fe4}\u{18b00}");
}

#[test]
fn a_long_run_of_blanks_is_looked_through_once() {
    let run = "\u{2800}".repeat(1_000_000);
    assert_eq!(shown(&run).len(), 8 * 1_000_000);
}

#[test]
fn private_use_and_unassigned_are_escaped() {
    for c in ['\u{e000}', '\u{f8ff}', '\u{fdd0}', '\u{ffff}', '\u{378}', '\u{10fffd}'] {
        assert_eq!(shown(&c.to_string()), format!("\\u{{{:x}}}", u32::from(c)));
    }
}

#[test]
fn ordinary_text_of_any_script_is_untouched() {
    assert_untouched("Grüße, Привет, 你好, مرحبا 👍🏽 — \\ok\u{a0}!");
    // Marks that are drawn around a number are format characters but visible.
    assert_untouched("\u{600}١٢ \u{6dd}٣ \u{70f}ܐܒ");
}

#[test]
fn emoji_sequences_stay_whole() {
    for emoji in [
        "👨‍👩‍👧‍👦",
        "👩🏽‍💻",
        "🏳️‍🌈",
        "🏴‍☠️",
        "❤️",
        "☎︎",
        "❤️‍🔥",
        "🧔🏻‍♂️",
        "👁️‍🗨️",
        "1️⃣",
        "#️⃣",
        "🇩🇪",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    ] {
        assert_untouched(emoji);
        assert_untouched(&format!("a {emoji}{emoji} b"));
    }
}

#[test]
fn parts_of_emoji_alone_are_escaped() {
    assert_eq!(shown("a\u{fe0f}"), "a\\u{fe0f}");
    assert_eq!(shown("1\u{fe0f}0"), "1\\u{fe0f}0");
    assert_eq!(shown("👩\u{200d}a"), "👩\\u{200d}a");
    assert_eq!(shown("👩\u{200d}"), "👩\\u{200d}");
    assert_eq!(shown("👩\u{200d}\u{200d}💻"), "👩\\u{200d}\\u{200d}💻");
    assert_eq!(shown("❤\u{fe0f}\u{fe0f}"), "❤\u{fe0f}\\u{fe0f}");
    assert_eq!(shown("🇩\u{fe0f}"), "🇩\\u{fe0f}");
    assert_eq!(shown("🏴\u{e0068}\u{e0069}\u{e007f}"), "🏴\\u{e0068}\\u{e0069}\\u{e007f}");
    assert_eq!(shown("👍\u{e0067}"), "👍\\u{e0067}");
}

#[test]
fn joiners_pass_where_they_shape_letters() {
    // Persian, also after a letter that does not join; Devanagari, Malayalam, Bengali, Sinhala.
    for word in [
        "می\u{200c}خواهم",
        "کار\u{200c}ها",
        "خَ\u{200c}ه",
        "क\u{94d}\u{200d}ष",
        "क\u{94d}\u{200c}ष",
        "ന\u{d4d}\u{200d}",
        "র\u{200d}\u{9cd}য",
        "ශ\u{dca}\u{200d}ර",
    ] {
        assert_untouched(word);
    }
    assert_eq!(shown("a\u{200c}b"), "a\\u{200c}b");
    assert_eq!(shown("a\u{200d}b"), "a\\u{200d}b");
    assert_eq!(shown("م\u{200c}"), "م\\u{200c}");
    assert_eq!(shown("م\u{200c}a"), "م\\u{200c}a");
    assert_eq!(shown("م\u{200c}\u{200c}م"), "م\\u{200c}\\u{200c}م");
    assert_eq!(shown("क\u{94d}\u{200d}\u{200d}ष"), "क\u{94d}\u{200d}\\u{200d}ष");
}

#[test]
fn selectors_pass_after_what_they_select() {
    assert_untouched("葛\u{e0100}城");
    assert_untouched("\u{1820}\u{180b}");
    assert_eq!(shown("葛\u{e0100}\u{e0101}"), "葛\u{e0100}\\u{e0101}");
    assert_eq!(shown("a\u{180b}"), "a\\u{180b}");
}

#[test]
fn json_stays_what_it_was_and_holds_nothing_unsafe() {
    let json = printable_json("\"a\u{7f}\u{9b}\u{202e}\u{e0041}ß👩\u{200d}💻\"".into());
    assert_eq!(json, "\"a\\u007f\\u009b\\u202e\\udb40\\udc41ß👩\u{200d}💻\"");
}

#[test]
fn a_text_of_invisible_characters_is_blank() {
    for text in ["", " \t\n", "\u{200b}\u{2060}", "\u{a0}\u{3000}", "\u{2800}", "\u{200c} \u{7}"] {
        assert!(is_blank(text), "{text:?}");
    }
    for text in ["\u{16fe4}", "\u{1d159}\u{1d159}", "\u{3164}\u{2800}\u{fffc}"] {
        assert!(is_blank(text), "{text:?}");
    }
    for text in ["a", "\u{200b}.", "👍", "\u{e000}", "\u{600}", "م\u{200c}م", "⠿\u{2800}"] {
        assert!(!is_blank(text), "{text:?}");
    }
}

/// Generates text with many hidden characters and many contexts that give them a use.
fn rich_text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "1",
        " ",
        "\t",
        "م",
        "ر",
        "\u{64e}",
        "क",
        "\u{94d}",
        "\u{200c}",
        "\u{200d}",
        "\u{fe0f}",
        "\u{fe0e}",
        "\u{20e3}",
        "👩",
        "💻",
        "🏽",
        "❤",
        "葛",
        "\u{e0100}",
        "\u{1820}",
        "\u{180b}",
        "🏴",
        "\u{e0067}",
        "\u{e007f}",
        TAGGED,
        "\u{202e}",
        "\u{1faff}",
        "\u{378}",
        "\u{600}",
        "\u{2800}",
        "⠿",
        "\u{16fe4}",
        "\u{18b00}",
        "\u{1d159}",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

const TAGGED: &str = "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}";

proptest! {
    #[test]
    fn nothing_hidden_comes_out(text in "\\PC*|[\\x00-\\x1f\u{7f}-\u{9f}\u{200b}-\u{2064}]*") {
        prop_assert!(is_printable(&shown(&text)));
    }

    #[test]
    fn what_is_shown_is_shown_as_it_is(text in rich_text()) {
        let once = shown(&text);
        prop_assert_eq!(shown(&once), once.as_str());
        prop_assert_eq!(once == text, is_printable(&text));
        prop_assert!(!is_blank(&text) || !text.chars().any(|c| !may_hide(c) && c != ' '));
    }
}
