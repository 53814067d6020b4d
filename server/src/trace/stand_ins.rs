//! What stands in a trace where a secret stood: of the same length, equal for equal secrets, and
//! judged alike.
//!
//! Everything is drawn from the secret by a key that is nowhere written down (HMAC-SHA-256), so
//! that a guess can't be tried against the trace.

use letschat_protocol::password;
use letschat_protocol::printable::{is_blank, may_hide};
use letschat_protocol::username::Username;
use ring::hmac;

use crate::store::StoredLog;

/// Draws stand-ins.
pub(crate) struct StandIns {
    key: hmac::Key,
}

/// Random letters have too few different ones at most once in thousands of times.
const TRIES: u8 = 16;

impl StandIns {
    /// By a key that is forgotten with the run.
    pub(crate) fn new(key: &[u8; 32]) -> StandIns {
        StandIns { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// For a text: as many bytes, blank where it was blank at its ends, and every character that
    /// is refused, or shown as an escape, in its place. A last word `+N` stays one, since a line
    /// that ends so is sent with a space after it.
    pub(crate) fn text(&self, text: &str) -> String {
        if is_blank(text) {
            return one_line(text.to_owned());
        }
        let inner = text.trim();
        let (before, after) = text.split_at(text.len() - text.trim_start().len());
        let after = &after[after.trim_end().len()..];
        let is_length = |word: &str| {
            word.strip_prefix('+').is_some_and(|digits| {
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        let last = inner.rsplit(' ').next().filter(|word| is_length(word)).unwrap_or("");
        let mut letters = self.letters("text", 0, inner);
        let mut rest = &inner[..inner.len() - last.len()];
        let mut space = "";
        if !last.is_empty()
            && let Some(words) = rest.strip_suffix(' ')
        {
            (rest, space) = (words, " ");
        }
        let rest: String = rest.chars().map(|c| letters.like(c)).collect();
        let digits: String =
            last.chars().map(|c| if c == '+' { c } else { letters.digit() }).collect();
        one_line([before, &rest, space, &digits, after].concat())
    }

    /// For a password: as many characters, and as strong or as weak for this user.
    pub(crate) fn password(&self, password: &str, username: Option<&Username>) -> String {
        if password.trim().is_empty() {
            return one_line(password.to_owned());
        }
        let judge = |password: &str| username.map(|username| password::check(password, username));
        let wanted = judge(password);
        // A new password is judged and compared in this form.
        let normal = password::normalized(password);
        let drawn = (0..TRIES).map(|round| {
            let mut letters = self.letters("password", round, &normal);
            let like = |c: char| if c.is_control() { c } else { letters.letter() };
            one_line(normal.chars().map(like).collect())
        });
        // One that is easy to guess: no letters drawn by chance are.
        let easy = || "a".repeat(normal.chars().count());
        drawn.into_iter().find(|drawn| judge(drawn) == wanted).unwrap_or_else(easy)
    }

    /// For a name as it was given. A valid one stays; in the place of another, which may be a
    /// password in the wrong place, stands one with the same fault.
    pub(crate) fn name(&self, name: &str) -> String {
        if name.parse::<Username>().is_ok() {
            return name.to_owned();
        }
        let mut letters = self.letters("name", 0, name);
        let like = |c: char| match c {
            'a'..='z' | 'A'..='Z' => letters.letter(),
            '0'..='9' => letters.digit(),
            c if c.is_alphabetic() => letters.like(c),
            c => c,
        };
        one_line(name.chars().map(like).collect())
    }

    /// The stored broadcasts, with stand-ins for their texts.
    pub(crate) fn log(&self, log: &StoredLog) -> StoredLog {
        let mut log = log.clone();
        for entry in &mut log.entries {
            entry.broadcast.text = self.text(&entry.broadcast.text);
        }
        log
    }

    fn letters(&self, kind: &str, round: u8, secret: &str) -> Letters {
        let mut message = format!("{kind} {round} ").into_bytes();
        message.extend_from_slice(secret.as_bytes());
        let seed = hmac::sign(&self.key, &message);
        Letters {
            key: hmac::Key::new(hmac::HMAC_SHA256, seed.as_ref()),
            blocks: 0,
            drawn: Vec::new(),
        }
    }
}

/// A line end would end the line that the stand-in is part of; a vertical tab is trimmed, refused and
/// shown just as one.
fn one_line(text: String) -> String {
    text.replace('\r', "\u{b}")
}

/// An endless sequence of characters that follow from a secret.
struct Letters {
    key: hmac::Key,
    blocks: u64,
    drawn: Vec<u8>,
}

impl Letters {
    fn next(&mut self) -> u32 {
        if self.drawn.len() < 2 {
            self.blocks += 1;
            self.drawn = hmac::sign(&self.key, &self.blocks.to_be_bytes()).as_ref().to_vec();
        }
        let (high, low) = (self.drawn.pop(), self.drawn.pop());
        u32::from(high.unwrap_or(0)) << 8 | u32::from(low.unwrap_or(0))
    }

    fn among(&mut self, first: char, count: u32) -> char {
        char::from_u32(u32::from(first) + self.next() % count).unwrap_or(first)
    }

    fn letter(&mut self) -> char {
        self.among('a', 26)
    }

    fn digit(&mut self) -> char {
        self.among('0', 10)
    }

    /// A letter of as many bytes; or the character itself, if it is one that is treated otherwise.
    fn like(&mut self, c: char) -> char {
        match c.len_utf8() {
            _ if may_hide(c) => c,
            1 => self.letter(),
            2 => self.among('\u{e0}', 23),
            3 => self.among('\u{4e00}', 20_000),
            _ => self.among('\u{20000}', 40_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_protocol::frame::Frame;
    use letschat_protocol::printable::has_control;
    use proptest::prelude::*;

    fn stand_ins() -> StandIns {
        StandIns::new(&[7; 32])
    }

    #[test]
    fn a_password_is_as_strong_as_it_was() {
        let alice: Username = "alice.cooper".parse().unwrap();
        for password in [
            "correct horse battery",
            "short",
            "password",
            "ALICE.cooper",
            "tab\tin the middle",
            "return\rin the middle",
            "bbbbbbbbbbbbbbbb",
            "дванадцять",
            "e\u{301}o\u{301}a\u{301}i\u{301}",
            "e\u{301}o\u{301}a\u{301}i\u{301} and more",
        ] {
            let drawn = stand_ins().password(password, Some(&alice));
            assert_eq!(
                password::check(&drawn, &alice),
                password::check(password, &alice),
                "{drawn} for {password}"
            );
            assert_ne!(drawn, password);
        }
        assert_eq!(stand_ins().password("  ", Some(&alice)), "  ");
    }

    #[test]
    fn two_spellings_of_a_password_have_one_stand_in() {
        let drawn = |password| stand_ins().password(password, None);
        assert_eq!(drawn("cafe\u{301} noir"), drawn("caf\u{e9}\u{a0}noir"));
    }

    #[test]
    fn another_key_draws_otherwise() {
        let other = StandIns::new(&[8; 32]);
        assert_ne!(other.text("the same text"), stand_ins().text("the same text"));
        let password = "correct horse battery";
        assert_ne!(other.password(password, None), stand_ins().password(password, None));
    }

    proptest! {
        #[test]
        fn a_text_is_as_long_and_as_valid_and_nothing_of_it_is_left(text in "(\\PC|[ \t\u{0}\u{200b}]){0,60}( ?\\+[0-9a]{1,3} ?)?") {
            let drawn = stand_ins().text(&text);
            prop_assert_eq!(drawn.len(), text.len());
            prop_assert_eq!(drawn.trim().len(), text.trim().len());
            prop_assert_eq!(has_control(&drawn), has_control(&text));
            prop_assert_eq!(is_blank(&drawn), is_blank(&text));
            prop_assert_eq!(&stand_ins().text(&text), &drawn);
            let line = |text: &str| Frame::line(text).as_line().len();
            prop_assert_eq!(line(drawn.trim()), line(text.trim()));
            for word in text.split_whitespace().filter(|word| word.chars().count() > 6) {
                prop_assert!(word.chars().any(may_hide) || !drawn.contains(word));
            }
        }

        #[test]
        fn passwords_are_equal_where_they_were_and_judged_alike(
            one in "[a-z\t ]{0,12}|\\PC{0,140}",
            other in "[a-z\t ]{0,12}",
        ) {
            let alice: Username = "alice".parse().unwrap();
            let drawn = |password: &str| stand_ins().password(password, Some(&alice));
            let judged = |password: &str| password::check(password, &alice);
            prop_assert_eq!(judged(&drawn(&one)), judged(&one));
            prop_assert_eq!(drawn(&one).trim().is_empty(), one.trim().is_empty());
            // What is compared has been found strong.
            if judged(&one).is_ok() {
                prop_assert_eq!(drawn(&one) == drawn(&other), password::are_same(&one, &other));
            }
        }

        #[test]
        fn a_name_has_the_fault_that_it_had(name in "[a-zA-Z0-9_.-]{0,40}|\\PC{0,40}") {
            let drawn = stand_ins().name(&name);
            prop_assert_eq!(drawn.parse::<Username>().err(), name.parse::<Username>().err());
        }
    }
}
