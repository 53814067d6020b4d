//! Characters that a reader does not see, and the contexts in which Unicode gives them a use.

use icu_properties::props::{
    CanonicalCombiningClass, DefaultIgnorableCodePoint, Emoji, ExtendedPictographic,
    GeneralCategory, JoiningType, PrependedConcatenationMark, UnifiedIdeograph,
};
use icu_properties::{CodePointMapData, CodePointSetData};

const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';
const BRAILLE_BLANK: char = '\u{2800}';
const KHITAN_FILLER: char = '\u{16fe4}';

/// The flags of England, Scotland and Wales: the only tag sequences that are recommended for
/// general interchange (UTS #51, ED-27).
const TAGGED_FLAGS: [&str; 3] = [
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
];

/// Characters that every font draws blank, although Unicode counts them as symbols, letters or
/// marks. They occur in Braille, in music, between hieroglyphs and Khitan letters, and as an
/// object's placeholder. Spaces are not included.
const DRAWN_BLANK: [char; 7] =
    [BRAILLE_BLANK, '\u{fffc}', '\u{13440}', '\u{13441}', '\u{13442}', KHITAN_FILLER, '\u{1d159}'];

/// Returns true for a character that is escaped unless its context gives it a use.
///
/// These are controls, line and paragraph separators, format characters, private use, unassigned
/// code points, every default-ignorable character and those drawn blank. Marks that precede a
/// number and are drawn around it are format characters too, but visible.
pub(super) fn may_hide(c: char) -> bool {
    // A fast path for nearly all text.
    if matches!(c, ' '..='~') {
        return false;
    }
    use GeneralCategory::*;
    let is_of_no_sight = matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | Surrogate | Unassigned
    );
    is_ignorable(c) || DRAWN_BLANK.contains(&c) || is_of_no_sight && !stands_before_a_number(c)
}

/// Returns true for a character for which no font draws anything.
pub(super) fn is_invisible(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    c.is_whitespace()
        || c.is_control()
        || is_ignorable(c)
        || DRAWN_BLANK.contains(&c)
        || category == GeneralCategory::Format && !stands_before_a_number(c)
}

fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

fn stands_before_a_number(c: char) -> bool {
    CodePointSetData::new::<PrependedConcatenationMark>().contains(c)
}

/// Returns the characters of a text to be escaped, with their byte offsets.
pub(super) fn hidden(text: &str) -> impl Iterator<Item = (usize, char)> {
    // ASCII needs no lookup, and nearly all text is ASCII.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let looked_at = if is_plain { "" } else { text };
    let mut before = Before::default();
    looked_at.char_indices().filter(move |(at, c)| before.take(text, *at, *c))
}

/// The context before a character.
#[derive(Default)]
struct Before {
    last: Option<char>,
    /// The last character that is no mark.
    base: Option<char>,
    /// True after a pictograph, perhaps with a selector or a skin tone.
    is_pictograph: bool,
    /// The end of a flag that is written with tags.
    flag_end: usize,
    /// The end of the last run of Braille blanks that was scanned.
    blanks_end: usize,
}

impl Before {
    /// Takes the next character. Returns true if it has to be escaped.
    fn take(&mut self, text: &str, at: usize, c: char) -> bool {
        let rest = &text[at + c.len_utf8()..];
        let is_hidden = may_hide(c) && at >= self.flag_end && !self.has_use(c, at, rest);
        if c == '\u{1f3f4}'
            && let Some(flag) = TAGGED_FLAGS.iter().find(|flag| text[at..].starts_with(**flag))
        {
            self.flag_end = at + flag.len();
        }
        self.is_pictograph = !is_hidden
            && (is_pictograph(c)
                || self.is_pictograph && matches!(c, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'));
        if is_hidden || matches!(c, JOINER | NON_JOINER) {
            self.base = None;
        } else if !is_mark(c) {
            self.base = Some(c);
        }
        self.last = (!is_hidden).then_some(c);
        is_hidden
    }

    /// Returns true if the context gives a hidden character a use.
    fn has_use(&mut self, c: char, at: usize, rest: &str) -> bool {
        if c == BRAILLE_BLANK {
            return self.is_within_braille(at, rest);
        }
        let Some(last) = self.last else { return false };
        match c {
            JOINER if self.is_pictograph && rest.chars().next().is_some_and(is_pictograph) => true,
            JOINER | NON_JOINER => self.is_between_letters(last, c, rest),
            '\u{fe0f}' if matches!(last, '0'..='9' | '#' | '*') => rest.starts_with(KEYCAP),
            '\u{fe0e}' | '\u{fe0f}' => is_pictograph(last) && is_emoji(last),
            // Variation selectors of an ideograph, then of a Mongolian letter.
            '\u{fe00}'..='\u{fe02}' | '\u{e0100}'..='\u{e01ef}' => {
                CodePointSetData::new::<UnifiedIdeograph>().contains(last)
            }
            '\u{180b}'..='\u{180d}' | '\u{180f}' => matches!(last, '\u{1820}'..='\u{18aa}'),
            KHITAN_FILLER => matches!(last, '\u{18b00}'..='\u{18cff}'),
            _ => false,
        }
    }

    /// Returns true if a run of Braille blanks, the space of Braille, has Braille before or after
    /// it. A run without is scanned only once, because it may be long.
    fn is_within_braille(&mut self, at: usize, rest: &str) -> bool {
        if self.last.is_some_and(|last| matches!(last, BRAILLE_BLANK..='\u{28ff}')) {
            return true;
        }
        if at < self.blanks_end {
            return false;
        }
        let after = rest.trim_start_matches(BRAILLE_BLANK);
        self.blanks_end = at + BRAILLE_BLANK.len_utf8() + rest.len() - after.len();
        after.starts_with(|c| matches!(c, '\u{2801}'..='\u{28ff}'))
    }

    /// Returns true if a joiner shapes letters: after or before a virama, or between letters of a
    /// joining script. RFC 5892, appendix A is slightly too strict for Persian and Bengali.
    fn is_between_letters(&self, last: char, joiner: char, rest: &str) -> bool {
        let next = rest.chars().next();
        let is_before_virama = || is_letter(last) && next.is_some_and(is_virama);
        let next_letter = || rest.chars().find(|c| !is_mark(*c) || may_hide(*c));
        is_virama(last)
            || joiner == JOINER && is_before_virama()
            || self.base.is_some_and(joins) && next_letter().is_some_and(joins)
    }
}

fn is_pictograph(c: char) -> bool {
    // Unassigned code points that are reserved for pictographs don't count.
    CodePointSetData::new::<ExtendedPictographic>().contains(c) && !may_hide(c)
}

fn is_emoji(c: char) -> bool {
    CodePointSetData::new::<Emoji>().contains(c)
}

fn is_virama(c: char) -> bool {
    CodePointMapData::<CanonicalCombiningClass>::new().get(c) == CanonicalCombiningClass::Virama
}

fn is_letter(c: char) -> bool {
    CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::OtherLetter
}

fn is_mark(c: char) -> bool {
    CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::NonspacingMark
}

fn joins(c: char) -> bool {
    let joining = CodePointMapData::<JoiningType>::new().get(c);
    matches!(
        joining,
        JoiningType::DualJoining | JoiningType::LeftJoining | JoiningType::RightJoining
    ) && !may_hide(c)
}
