//! The line being typed: keys, history, search and completion.

use letschat_protocol::printable::Printable;

use super::buffer::{Buffer, Motion};
use super::keys::Key;
use super::screen::Scene;
use super::{Assistant, Candidate, Look};

/// The maximum length of a search term.
const MAX_TERM_BYTES: usize = 256;

const CALLED_OFF: &str = "The paste was called off; nothing was added.";
const NO_ROOM: &str = "There is no room for that in one line; nothing was added.";

/// The line being typed, with its history, search and list.
#[derive(Debug, Default)]
pub(crate) struct Line {
    buffer: Buffer,
    recalled: Option<Recalled>,
    search: Option<Search>,
    /// True if candidates are listed below the line.
    is_listing: bool,
}

/// An earlier line that has replaced the begun one.
#[derive(Debug)]
struct Recalled {
    at: usize,
    begun: String,
}

/// A search for an earlier line.
#[derive(Debug, Default)]
struct Search {
    term: String,
    /// The index of the found line, or `None`.
    found: Option<usize>,
}

/// The result of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The line continues.
    Edited,
    /// The line was entered, and is empty again.
    Entered(String),
    /// Ctrl+C cleared the line.
    Cleared,
    /// Ctrl+C on an empty line.
    Interrupted,
    /// Ctrl+D on an empty line.
    Ended,
    /// The key was refused for this reason.
    Refused(&'static str),
    /// A key that does not edit.
    Other(Key),
}

impl Line {
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.search.is_none()
    }

    /// Returns true while an earlier line is searched for.
    pub(crate) fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Handles a key.
    pub(crate) fn press(
        &mut self,
        key: Key,
        history: &[String],
        assistant: &impl Assistant,
    ) -> Outcome {
        if self.search.is_some() {
            match self.press_in_search(key, history) {
                Some(key) => return self.press(key, history, assistant),
                None => return Outcome::Edited,
            }
        }
        match key {
            Key::Enter => {
                self.is_listing = false;
                self.recalled = None;
                return Outcome::Entered(self.buffer.take());
            }
            Key::Ctrl('c') => {
                self.is_listing = false;
                let is_empty = self.buffer.take().is_empty();
                return if is_empty { Outcome::Interrupted } else { Outcome::Cleared };
            }
            Key::Ctrl('d') if self.buffer.is_empty() => return Outcome::Ended,
            Key::PasteCalledOff => return Outcome::Refused(CALLED_OFF),
            Key::Esc => self.is_listing = false,
            Key::Tab => self.complete(assistant),
            Key::Ctrl('r') => self.search = Some(Search::default()),
            Key::Up | Key::FarUp | Key::Ctrl('p') if !self.buffer.up() => {
                self.recall_earlier(history);
            }
            Key::Down | Key::FarDown | Key::Ctrl('n') if !self.buffer.down() => {
                self.recall_later(history);
            }
            Key::Up | Key::FarUp | Key::Down | Key::FarDown | Key::Ctrl('p' | 'n') => {}
            Key::Char(_) | Key::Paste(_) | Key::PasteTooLong | Key::Alt('\r') | Key::Ctrl('y') => {
                return self.insert(key);
            }
            key if self.take_hint(&key, history, assistant) => {}
            key => return self.edit(key),
        }
        Outcome::Edited
    }

    fn insert(&mut self, key: Key) -> Outcome {
        let has_room = match key {
            Key::Char(letter) => self.buffer.insert(letter.encode_utf8(&mut [0; 4])),
            Key::Paste(text) => self.buffer.insert(&text),
            Key::Ctrl(_) => self.buffer.yank(),
            Key::Alt(_) => self.buffer.insert("\n"),
            _ => false,
        };
        if has_room { Outcome::Edited } else { Outcome::Refused(NO_ROOM) }
    }

    /// Handles the Emacs keys, as in most shells.
    fn edit(&mut self, key: Key) -> Outcome {
        let buffer = &mut self.buffer;
        match key {
            Key::Left | Key::Ctrl('b') => buffer.go(Motion::Back),
            Key::Right | Key::Ctrl('f') => buffer.go(Motion::Forward),
            Key::WordLeft | Key::Alt('b') => buffer.go(Motion::WordBack),
            Key::WordRight | Key::Alt('f') => buffer.go(Motion::WordForward),
            Key::Home | Key::Ctrl('a') => buffer.go(Motion::LineStart),
            Key::End | Key::Ctrl('e') => buffer.go(Motion::LineEnd),
            Key::Backspace => buffer.delete(Motion::Back),
            Key::Delete | Key::Ctrl('d') => buffer.delete(Motion::Forward),
            Key::Ctrl('k') => buffer.kill(Motion::LineEnd),
            Key::Ctrl('u') => buffer.kill(Motion::LineStart),
            Key::Ctrl('w') => buffer.kill(Motion::BlankBack),
            Key::Alt('\x7f') => buffer.kill(Motion::WordBack),
            Key::Alt('d') => buffer.kill(Motion::WordForward),
            Key::Ctrl('t') => buffer.transpose(),
            Key::Ctrl('_') => buffer.undo(),
            key => return Outcome::Other(key),
        }
        Outcome::Edited
    }

    /// Recalls an earlier line that begins like the typed one.
    fn recall_earlier(&mut self, history: &[String]) {
        let recalled = self.recalled(history);
        let is_next =
            |line: &&String| line.starts_with(&recalled.begun) && *line != self.buffer.text();
        let earlier = &history[..recalled.at];
        if let Some(at) = earlier.iter().rposition(|line| is_next(&line)) {
            self.buffer.set(&history[at]);
            self.recalled = Some(Recalled { at, begun: recalled.begun });
        } else {
            self.recalled = Some(recalled);
        }
    }

    fn recall_later(&mut self, history: &[String]) {
        let recalled = self.recalled(history);
        let later = history.iter().enumerate().skip(recalled.at + 1);
        let mut next = later
            .filter(|(_, line)| line.starts_with(&recalled.begun) && *line != self.buffer.text());
        match next.next() {
            Some((at, line)) => {
                self.buffer.set(line);
                self.recalled = Some(Recalled { at, begun: recalled.begun });
            }
            None => {
                self.buffer.set(&recalled.begun);
                self.recalled = None;
            }
        }
    }

    /// Returns the position in the history. A recalled line that was edited counts as a new one.
    fn recalled(&mut self, history: &[String]) -> Recalled {
        let text = self.buffer.text();
        let recalled = self.recalled.take();
        let unchanged = recalled.filter(|old| history.get(old.at).is_some_and(|line| line == text));
        unchanged.unwrap_or_else(|| Recalled { at: history.len(), begun: text.to_owned() })
    }

    /// Handles a key of a search. Returns a key that ends the search and has a further meaning.
    fn press_in_search(&mut self, key: Key, history: &[String]) -> Option<Key> {
        let search = self.search.as_mut()?;
        let newest = history.len();
        match key {
            Key::Char(letter) if search.term.len() < MAX_TERM_BYTES => {
                search.term.push(letter);
                search.find(history, newest);
            }
            Key::Char(_) => {}
            Key::Backspace => {
                search.term.pop();
                search.find(history, newest);
            }
            Key::Ctrl('r') | Key::Up => search.find(history, search.found.unwrap_or(newest)),
            // These end the search only, so that a slip ends nothing else.
            Key::Ctrl('c' | 'd' | 'g' | 'x' | 'z') | Key::Esc => self.search = None,
            key => {
                let found = self.search.take().and_then(|search| search.found);
                if let Some(line) = found.and_then(|found| history.get(found)) {
                    self.buffer.set(line);
                }
                return (key != Key::Enter).then_some(key);
            }
        }
        None
    }

    /// Accepts the hint at the end of the line.
    fn take_hint(&mut self, key: &Key, history: &[String], assistant: &impl Assistant) -> bool {
        let is_whole = matches!(key, Key::Right | Key::End | Key::Ctrl('f' | 'e'));
        let is_word = matches!(key, Key::WordRight | Key::Alt('f'));
        if !(is_whole || is_word) || assistant.hint(self.buffer.text()).is_some() {
            return false;
        }
        let Some(rest) = self.earlier_rest(history) else { return false };
        let word = rest.len() - rest.trim_start().len();
        let word = word + rest[word..].find(char::is_whitespace).unwrap_or(rest.len() - word);
        self.buffer.insert(if is_word { &rest[..word] } else { rest })
    }

    /// Returns the rest of the last line that begins like this one.
    fn earlier_rest<'a>(&self, history: &'a [String]) -> Option<&'a str> {
        let text = self.buffer.text();
        if text.is_empty() || !self.buffer.is_at_end() {
            return None;
        }
        let rests = history.iter().rev().filter_map(|line| line.strip_prefix(text));
        rests.into_iter().find(|rest| !rest.is_empty() && !rest.contains('\n'))
    }

    /// Completes the word before the cursor as far as it is unambiguous, or lists the candidates.
    fn complete(&mut self, assistant: &impl Assistant) {
        let cursor = self.buffer.cursor();
        let (start, candidates) = assistant.candidates(&self.buffer.text()[..cursor]);
        let Some(first) = candidates.first() else { return };
        let common = candidates.iter().skip(1).fold(first.value.as_str(), |common, next| {
            let same = common.chars().zip(next.value.chars()).take_while(|(a, b)| a == b);
            &common[..same.map(|(letter, _)| letter.len_utf8()).sum()]
        });
        if let [only] = &candidates[..] {
            let end = if only.is_word { " " } else { "" };
            self.buffer.replace(start, cursor, &format!("{}{end}", only.value));
            self.is_listing = false;
        } else if common.len() > cursor - start {
            self.buffer.replace(start, cursor, common);
        } else {
            self.is_listing = true;
        }
    }

    /// Returns the line as a scene with this prompt.
    pub(crate) fn scene(
        &self,
        prompt: &str,
        look: &Look,
        history: &[String],
        assistant: &impl Assistant,
    ) -> Scene {
        let mut scene = Scene { prompt: prompt.to_owned(), look: *look, ..Scene::default() };
        if let Some(Search { term, found }) = &self.search {
            let found = found.and_then(|found| history.get(found));
            let no = if found.is_none() && !term.is_empty() { "no " } else { "" };
            scene.prompt.push_str(&format!("({no}earlier line with `{}`) ", Printable(term)));
            scene.text = found.cloned().unwrap_or_default();
            scene.cursor = scene.text.len();
            return scene;
        }
        let text = self.buffer.text();
        if look.has_hints && self.buffer.is_at_end() {
            let earlier = || self.earlier_rest(history).map(str::to_owned);
            scene.hint = assistant.hint(text).or_else(earlier).unwrap_or_default();
        }
        if self.is_listing {
            scene.list = self.list(assistant);
        }
        scene.known = assistant.known_word(text);
        scene.text = text.to_owned();
        scene.cursor = self.buffer.cursor();
        scene
    }

    /// Returns the scene of an entered line.
    pub(crate) fn entered(prompt: &str, text: &str, look: &Look) -> Scene {
        let (prompt, text) = (prompt.to_owned(), text.to_owned());
        Scene { prompt, cursor: text.len(), text, look: *look, ..Scene::default() }
    }

    fn list(&self, assistant: &impl Assistant) -> Vec<Candidate> {
        assistant.candidates(&self.buffer.text()[..self.buffer.cursor()]).1
    }
}

impl Search {
    /// Finds the term in the lines before this one.
    fn find(&mut self, history: &[String], before: usize) {
        let found = history[..before.min(history.len())]
            .iter()
            .rposition(|line| !self.term.is_empty() && line.contains(&self.term));
        // Without an earlier match the search keeps its line.
        let is_further = before < history.len();
        self.found = found.or(self.found.filter(|_| is_further));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Names;

    struct OnePath;

    impl Assistant for OnePath {
        fn candidates(&self, _: &str) -> (usize, Vec<Candidate>) {
            (0, vec![Candidate::open("my photos/".into())])
        }
    }

    impl Assistant for Names {
        fn candidates(&self, typed: &str) -> (usize, Vec<Candidate>) {
            let start = typed.rfind(' ').map_or(0, |at| at + 1);
            let names = ["anna", "annika", "bob"].map(str::to_owned).into_iter();
            let fitting = names.filter(|name| name.starts_with(&typed[start..]));
            (start, fitting.map(|value| Candidate::word(value, None)).collect())
        }

        fn hint(&self, line: &str) -> Option<String> {
            (line == "call ").then(|| "WHO".to_owned())
        }
    }

    fn history() -> Vec<String> {
        ["list", "call anna", "call bob", "list", "two\nlines"].map(str::to_owned).to_vec()
    }

    /// The line after these keys.
    fn typed(keys: impl IntoIterator<Item = Key>) -> Line {
        let mut line = Line::default();
        for key in keys {
            line.press(key, &history(), &Names);
        }
        line
    }

    fn chars(text: &str) -> impl Iterator<Item = Key> {
        text.chars().map(Key::Char)
    }

    fn shown(line: &Line) -> (String, String) {
        let look = Look { has_hints: true, ..Look::default() };
        let scene = line.scene("> ", &look, &history(), &Names);
        (format!("{}{}", scene.prompt, scene.text), scene.hint)
    }

    #[test]
    fn up_and_down_keep_the_beginning_of_the_line() {
        let mut line = typed(chars("call"));
        for (key, text) in [
            (Key::Up, "call bob"),
            (Key::Up, "call anna"),
            (Key::Up, "call anna"),
            (Key::Down, "call bob"),
            (Key::Down, "call"),
            (Key::Down, "call"),
        ] {
            line.press(key, &history(), &Names);
            assert_eq!(line.buffer.text(), text);
        }
    }

    #[test]
    fn search_finds_earlier_lines_and_is_called_off() {
        let mut line = typed([Key::Ctrl('r')].into_iter().chain(chars("call")));
        assert_eq!(shown(&line).0, "> (earlier line with `call`) call bob");
        for _ in 0..2 {
            line.press(Key::Ctrl('r'), &history(), &Names);
            assert_eq!(shown(&line).0, "> (earlier line with `call`) call anna");
        }
        assert_eq!(line.press(Key::Ctrl('c'), &history(), &Names), Outcome::Edited);
        assert_eq!(shown(&line).0, "> ");
        let line = typed([Key::Ctrl('r')].into_iter().chain(chars("bo")).chain([Key::Enter]));
        assert_eq!(line.buffer.text(), "call bob");
        let line = typed([Key::Ctrl('r')].into_iter().chain(chars("x")));
        assert_eq!(shown(&line).0, "> (no earlier line with `x`) ");
    }

    #[test]
    fn tab_completes_what_is_certain_and_lists_the_rest() {
        let mut line = typed(chars("call a").chain([Key::Tab]));
        assert_eq!(line.buffer.text(), "call ann");
        line.press(Key::Tab, &history(), &Names);
        assert_eq!(line.list(&Names).len(), 2);
        assert!(line.is_listing);
        line.press(Key::Char('i'), &history(), &Names);
        line.press(Key::Tab, &history(), &Names);
        assert_eq!(line.buffer.text(), "call annika ");
        assert!(!line.is_listing);
    }

    #[test]
    fn no_blank_follows_a_completed_path() {
        let mut line = typed(chars("my p"));
        line.press(Key::Tab, &[], &OnePath);
        assert_eq!(line.buffer.text(), "my photos/");
    }

    #[test]
    fn hint_of_an_earlier_line_can_be_taken_over() {
        let mut line = typed(chars("call a"));
        assert_eq!(shown(&line).1, "nna");
        line.press(Key::Right, &history(), &Names);
        assert_eq!(line.buffer.text(), "call anna");
        assert_eq!(shown(&typed(chars("call "))).1, "WHO");
        let line = typed(chars("call ").chain([Key::Right]));
        assert_eq!(line.buffer.text(), "call ", "this hint is no text");
        let line = typed(chars("c").chain([Key::Alt('f')]));
        assert_eq!(line.buffer.text(), "call");
    }

    #[test]
    fn line_is_entered_cleared_and_ended() {
        let mut line = typed(chars("ab"));
        let mut press = |key| line.press(key, &[], &());
        assert_eq!(press(Key::Alt('\r')), Outcome::Edited);
        assert_eq!(press(Key::Paste("c\nd".into())), Outcome::Edited);
        assert_eq!(press(Key::Enter), Outcome::Entered("ab\nc\nd".into()));
        assert_eq!(press(Key::Char('x')), Outcome::Edited);
        assert_eq!(press(Key::Ctrl('d')), Outcome::Edited);
        assert_eq!(press(Key::Ctrl('c')), Outcome::Cleared);
        assert_eq!(press(Key::Ctrl('c')), Outcome::Interrupted);
        assert_eq!(press(Key::Ctrl('d')), Outcome::Ended);
        assert_eq!(press(Key::PasteTooLong), Outcome::Refused(NO_ROOM));
        assert_eq!(press(Key::Ctrl('x')), Outcome::Other(Key::Ctrl('x')));
    }
}
