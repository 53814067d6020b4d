//! Characters that steer a terminal or deceive a reader, and the check that none of them
//! came through. Nothing here uses `Printable`, which is under test.

use std::str;

/// Characters that a program with a prompt writes itself. The text that follows shows whether one of them came
/// from a peer.
const OF_A_PROMPT: &str = "\u{1b}\r\n\u{7}";

/// Sequences that begin something (ECMA-48, 5.3 and 5.6), as two characters and as one of C1.
const OPENERS: &[&str] = &[
    "\u{1b}[2J\u{1b}[31m",                    // CSI: erase, colour
    "\u{1b}]0;owned\u{7}",                    // OSC: the window's title
    "\u{1b}]52;c;b3duZWQ=\u{1b}\\",           // OSC: the clipboard
    "\u{1b}]8;;http://owned.example\u{1b}\\", // OSC: a link
    "\u{1b}P+q544e\u{1b}\\",                  // DCS
    "\u{1b}Xowned\u{1b}\\",                   // SOS
    "\u{1b}^owned\u{1b}\\",                   // PM
    "\u{1b}_owned\u{1b}\\",                   // APC
    "\u{1b}c",                                // RIS: reset
    "\u{1b}(0",                               // another set of characters
    "\u{9b}2J",
    "\u{9d}0;owned\u{9c}",
    "\u{90}+q544e\u{9c}",
    "\u{98}owned\u{9c}",
    "\u{9e}owned\u{9c}",
    "\u{9f}owned\u{9c}",
];

/// Every character that must not come through.
pub(crate) fn characters() -> Vec<char> {
    let ranges = [
        '\0'..='\u{1f}',           // C0
        '\u{7f}'..='\u{9f}',       // DEL and C1
        '\u{ad}'..='\u{ad}',       // soft hyphen
        '\u{34f}'..='\u{34f}',     // combining grapheme joiner
        '\u{61c}'..='\u{61c}',     // Arabic letter mark
        '\u{115f}'..='\u{115f}',   // Hangul filler
        '\u{180b}'..='\u{180f}',   // Mongolian selectors and separator
        '\u{200b}'..='\u{200f}',   // of no width; left-to-right and right-to-left marks
        '\u{2028}'..='\u{202e}',   // separators, embeddings and overrides
        '\u{2060}'..='\u{206f}',   // word joiner, isolates, deprecated controls
        '\u{2800}'..='\u{2800}',   // blank of Braille
        '\u{fe0f}'..='\u{fe0f}',   // selector of emoji
        '\u{feff}'..='\u{feff}',   // byte order mark
        '\u{ffa0}'..='\u{ffa0}',   // Hangul filler of half the width
        '\u{fff9}'..='\u{fffc}',   // interlinear annotation, place of an object
        '\u{13441}'..='\u{13441}', // blank of hieroglyphs
        '\u{16fe4}'..='\u{16fe4}', // Khitan filler
        '\u{1bca0}'..='\u{1bca0}', // control of shorthand
        '\u{1d159}'..='\u{1d159}', // null notehead
        '\u{1d173}'..='\u{1d173}', // control of music
        '\u{e0001}'..='\u{e0001}', // language tag
        '\u{e0020}'..='\u{e007f}', // tags
        '\u{e0100}'..='\u{e0100}', // selector of ideographs
    ];
    ranges.into_iter().flatten().collect()
}

/// Each character and each opener, with a word after it that occurs nowhere else. Left out is
/// what the way there can't carry.
pub(crate) fn pieces(but: &[char]) -> Vec<String> {
    let characters = characters().into_iter().map(String::from);
    let all = characters.chain(OPENERS.iter().map(|opener| (*opener).to_owned()));
    let carried = all.filter(|piece| !piece.contains(but));
    carried.enumerate().map(|(number, piece)| format!("{piece}{number:03}q")).collect()
}

/// The pieces in texts of at most so many bytes, with a word at the end by which they are waited
/// for.
pub(crate) fn texts(but: &[char], max_bytes: usize, end: &str) -> Vec<String> {
    let mut texts = vec![String::from("a")];
    for piece in pieces(but).into_iter().chain([end.to_owned()]) {
        let last = texts.last_mut().unwrap();
        if last.len() + piece.len() > max_bytes {
            texts.push(format!("a{piece}"));
        } else {
            last.push_str(&piece);
        }
    }
    texts
}

/// Fails if anything of [`pieces`] is in what was written, or if one of them was not shown at all.
pub(crate) fn assert_tamed(written: &[u8], but: &[char]) {
    let shown = assert_harmless(written);
    // A long line is broken at the edge, in the middle of a word if there is no other place.
    let unbroken: String = shown.split_whitespace().collect();
    for piece in pieces(but) {
        let word = &piece[piece.len() - 4..];
        assert!(unbroken.contains(word), "{piece:?} is not shown in\n{shown}");
    }
}

/// Fails if anything of [`pieces`] is in what was written by a program that may draw a prompt.
pub(crate) fn assert_harmless(written: &[u8]) -> &str {
    let shown = str::from_utf8(written);
    let shown = shown.unwrap_or_else(|error| panic!("a raw byte was written: {error}"));
    // The test kit replaces a raw byte from a pipe by this character.
    assert!(!shown.contains('\u{fffd}'), "a raw byte was written:\n{shown:?}");
    for c in characters().into_iter().filter(|c| !OF_A_PROMPT.contains(*c)) {
        assert!(!shown.contains(c), "{c:?} was written:\n{shown:?}");
    }
    // A prompt makes lines of its own wherever it breaks one.
    let all = pieces(&['\n']);
    // A piece that one way leaves out shifts the numbers of the others.
    for piece in all.iter().map(|piece| &piece[..piece.len() - 4]) {
        let raw = shown.match_indices(piece).map(|(at, _)| &shown[at + piece.len()..]);
        let raw = raw.filter(|rest| is_number(rest)).count();
        assert_eq!(raw, 0, "{piece:?} was written:\n{shown:?}");
    }
    shown
}

fn is_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 4 && bytes[..3].iter().all(u8::is_ascii_digit) && bytes[3] == b'q'
}
