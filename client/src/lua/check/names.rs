//! Names that mean nothing.

use std::collections::BTreeSet;

use super::Fault;
use super::words::{Word, words};

const KEYWORDS: &[&str] = &[
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while", "continue", "type",
    "export", "self",
];

/// Names that are used and that nothing sets, and members that `chat` does not have.
///
/// A name that is set anywhere in the script counts as set everywhere: what is told is wrong, and
/// not all that is wrong is told.
pub(super) fn faults(
    source: &str,
    globals: &BTreeSet<String>,
    members: &BTreeSet<String>,
) -> Vec<Fault> {
    let words = words(source);
    let is_sign =
        |at: usize, sign: char| matches!(words.get(at), Some((_, Word::Sign(s))) if *s == sign);
    let set = names_that_are_set(&words);
    let is_chat_set = set.contains("chat");
    let mut faults = Vec::new();
    for (at, (line, word)) in words.iter().enumerate() {
        let Word::Name(name) = *word else { continue };
        let is_member = at > 0 && (is_sign(at - 1, '.') || is_sign(at - 1, ':'));
        if is_member {
            let is_of_chat = at > 1 && words[at - 2].1 == Word::Name("chat") && !is_chat_set;
            let is_first = at < 3 || !is_sign(at - 3, '.');
            if is_of_chat && is_first && is_sign(at - 1, '.') && !members.contains(name) {
                faults.push(fault(*line, format!("chat has no {name}")));
            }
            continue;
        }
        // The name of a field in a table; a comparison has two signs.
        let is_field = is_sign(at + 1, '=') && !is_sign(at + 2, '=');
        if is_field || KEYWORDS.contains(&name) || set.contains(name) || globals.contains(name) {
            continue;
        }
        faults.push(fault(*line, format!("nothing is called {name}")));
    }
    faults
}

fn fault(line: usize, message: String) -> Fault {
    Fault { line, message }
}

/// Locals, parameters, functions, and globals that are assigned to.
fn names_that_are_set<'a>(words: &[(usize, Word<'a>)]) -> BTreeSet<&'a str> {
    let mut set = BTreeSet::new();
    let word = |at: usize| words.get(at).map(|(_, word)| *word);
    for at in 0..words.len() {
        match word(at) {
            Some(Word::Name("local" | "for")) => add_list(words, at + 1, &mut set),
            Some(Word::Name("function")) => {
                let mut next = at + 1;
                if let Some(Word::Name(name)) = word(next) {
                    set.insert(name);
                }
                while !matches!(word(next), Some(Word::Sign('(')) | None) {
                    next += 1;
                }
                add_list(words, next + 1, &mut set);
            }
            Some(Word::Name(name)) => {
                let is_member = at > 0 && matches!(word(at - 1), Some(Word::Sign('.' | ':')));
                let is_assigned = word(at + 1) == Some(Word::Sign('='))
                    && word(at + 2) != Some(Word::Sign('='))
                    // In a table it would be a field.
                    && !(at > 0 && matches!(word(at - 1), Some(Word::Sign('{' | ','))));
                if is_assigned && !is_member {
                    set.insert(name);
                }
            }
            _ => {}
        }
    }
    set
}

/// Names with commas between them, and perhaps types after them.
fn add_list<'a>(words: &[(usize, Word<'a>)], from: usize, set: &mut BTreeSet<&'a str>) {
    let mut at = from;
    while let Some((_, word)) = words.get(at) {
        match word {
            Word::Name("function" | "in") | Word::Sign('=' | ')') => return,
            Word::Name(name) if KEYWORDS.contains(name) && *name != "type" && *name != "self" => {
                return;
            }
            Word::Name(name) => {
                set.insert(name);
                // Only a comma, or a type, leads to a further name.
                let next = words.get(at + 1).map(|(_, word)| *word);
                if !matches!(next, Some(Word::Sign(',' | ':'))) {
                    return;
                }
            }
            Word::Sign(_) | Word::Literal => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::lua::check::{Fault, source};

    fn faults(text: &str) -> Vec<(usize, String)> {
        source(text).into_iter().map(|Fault { line, message }| (line, message)).collect()
    }

    #[test]
    fn what_there_is_may_be_used() {
        let text = "local a, b = 1, 2\nfor i, v in {3} do print(a + b, i, v) end\n\
                    count = 0\nlocal function f(x, ...) return x, count, ... end\n\
                    function save() return f(1) end\nlocal t = {name = 1, f = f}\n\
                    print(t.anything, t:method(), string.rep('x', 3), `in {a}`)\n\
                    chat.on('message', function(event) chat.say(event.text) end)\n\
                    -- comment: nonsense\n--[[ and\n more ]] print([[text]], math.pi, _G)\n\
                    repeat local z = count until z == 0\nlocal c: number = 5 print(c .. 'x')\n\
                    if type(a) == 'number' then chat.store.set('a', a) end";
        assert_eq!(faults(text), []);
    }

    #[test]
    fn what_there_is_not_is_told_with_its_line() {
        let text = "local a = 1\nprnt(a)\nchat.sya('x')\n\n-- x\nchat.on('message', handler)\nio.open('x')";
        let expected = [
            (2, "nothing is called prnt".to_owned()),
            (3, "chat has no sya".to_owned()),
            (6, "nothing is called handler".to_owned()),
            (7, "nothing is called io".to_owned()),
        ];
        assert_eq!(faults(text), expected);
    }

    #[test]
    fn what_does_not_compile_is_one_fault() {
        let found = faults("print('a')\nlocal = 5");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, 2, "{found:?}");
    }
}
