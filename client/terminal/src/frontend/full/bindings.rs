//! The keys of the full screen, apart from those that edit a line.

use std::fmt;
use std::str::FromStr;

use crate::line_editor::Key;

/// Something that a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    NextUnread,
    Previous,
    Next,
    Jump,
    Home,
    ScrollUp,
    ScrollDown,
    ScrollEnd,
    Search,
    Approve,
    Deny,
    Bare,
    Help,
}

/// The actions, with their names, usual keys and descriptions.
const ACTIONS: [(Action, &str, &str, &str); 13] = [
    (Action::NextUnread, "next-unread", "alt+a", "go to the next unread conversation"),
    (Action::Previous, "previous", "alt+up", "go to the conversation above"),
    (Action::Next, "next", "alt+down", "go to the conversation below"),
    (Action::Jump, "jump", "ctrl+g", "go to a conversation by a part of its name"),
    (Action::Home, "home", "alt+0", "go to the notes of the client"),
    (Action::ScrollUp, "scroll-up", "pageup", "scroll up"),
    (Action::ScrollDown, "scroll-down", "pagedown", "scroll down"),
    (Action::ScrollEnd, "scroll-end", "esc", "scroll to the end"),
    (Action::Search, "search", "ctrl+s", "search all conversations"),
    (Action::Approve, "yes", "alt+y", "say yes to the request that is shown"),
    (Action::Deny, "no", "alt+n", "say no to the request that is shown"),
    (Action::Bare, "bare", "f2", "show the messages alone, for copying"),
    (Action::Help, "keys", "f1", "list the keys"),
];

/// A key for an action, as the user writes it: `next-unread=alt+a`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyBinding {
    action: Action,
    key: Key,
}

/// Keys for actions, divided by commas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyBindings(Vec<KeyBinding>);

impl FromStr for KeyBindings {
    type Err = KeyBindingError;

    fn from_str(text: &str) -> Result<KeyBindings, KeyBindingError> {
        let bindings = text.split(',').filter(|one| !one.trim().is_empty());
        let bindings: Vec<KeyBinding> = bindings.map(str::parse).collect::<Result<_, _>>()?;
        for (place, one) in bindings.iter().enumerate() {
            if bindings[..place].iter().any(|other| other.key == one.key) {
                return Err(KeyBindingError::Twice(name_of(&one.key)));
            }
        }
        Ok(KeyBindings(bindings))
    }
}

/// The reason why a text is no [`KeyBinding`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyBindingError {
    /// There is no such action.
    Action(String),
    /// There is no such key.
    Key(String),
    /// The key has two actions.
    Twice(String),
}

impl fmt::Display for KeyBindingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyBindingError::Action(name) => {
                let names: Vec<&str> = ACTIONS.iter().map(|(_, name, ..)| *name).collect();
                write!(f, "no action is called `{name}`; there are {}", names.join(", "))
            }
            KeyBindingError::Twice(name) => write!(f, "`{name}` has two actions"),
            KeyBindingError::Key(name) => write!(
                f,
                "`{name}` is no key; there are f1 to f12, pageup, pagedown, esc, alt+up, alt+down, and alt+ with a letter or digit, \
                 and ctrl+ with most letters"
            ),
        }
    }
}

impl std::error::Error for KeyBindingError {}

impl FromStr for KeyBinding {
    type Err = KeyBindingError;

    fn from_str(text: &str) -> Result<KeyBinding, KeyBindingError> {
        let (name, key) = text.split_once('=').unwrap_or((text, ""));
        let action = ACTIONS.iter().find(|(_, one, ..)| *one == name.trim());
        let (action, ..) = action.ok_or_else(|| KeyBindingError::Action(name.trim().to_owned()))?;
        let key = parse(key.trim()).ok_or_else(|| KeyBindingError::Key(key.trim().to_owned()))?;
        Ok(KeyBinding { action: *action, key })
    }
}

/// Returns the key of this name.
fn parse(name: &str) -> Option<Key> {
    let name = name.to_lowercase();
    let only = |text: &str| {
        let mut chars = text.chars();
        chars.next().filter(|_| chars.next().is_none())
    };
    Some(match name.as_str() {
        "pageup" => Key::PageUp,
        "pagedown" => Key::PageDown,
        "esc" => Key::Esc,
        "alt+up" | "ctrl+up" => Key::FarUp,
        "alt+down" | "ctrl+down" => Key::FarDown,
        name => match (name.strip_prefix("alt+"), name.strip_prefix("ctrl+")) {
            (Some(letter), _) => Key::Alt(only(letter).filter(char::is_ascii_alphanumeric)?),
            // Terminals send others for these.
            (_, Some("h" | "i" | "j" | "m" | "z")) => return None,
            (_, Some(letter)) => Key::Ctrl(only(letter).filter(char::is_ascii_lowercase)?),
            _ => {
                let number: u8 = name.strip_prefix('f')?.parse().ok()?;
                Key::F((1..=12).contains(&number).then_some(number)?)
            }
        },
    })
}

/// Returns the name of a key, as [`parse`] reads it.
fn name_of(key: &Key) -> String {
    match key {
        Key::PageUp => "pageup".into(),
        Key::PageDown => "pagedown".into(),
        Key::Esc => "esc".into(),
        Key::FarUp => "alt+up".into(),
        Key::FarDown => "alt+down".into(),
        Key::Alt(letter) => format!("alt+{letter}"),
        Key::Ctrl(letter) => format!("ctrl+{letter}"),
        Key::F(number) => format!("f{number}"),
        _ => String::new(),
    }
}

/// The keys of all actions.
#[derive(Debug, Clone)]
pub(super) struct Bindings(Vec<KeyBinding>);

impl Bindings {
    /// Returns the usual keys, changed by the user's.
    pub(super) fn new(KeyBindings(own): &KeyBindings) -> Bindings {
        let usual = ACTIONS.iter().filter_map(|(action, _, key, _)| {
            Some(KeyBinding { action: *action, key: parse(key)? })
        });
        let is_kept = |one: &KeyBinding| {
            !own.iter().any(|own| own.action == one.action || own.key == one.key)
        };
        Bindings(usual.filter(is_kept).chain(own.iter().cloned()).collect())
    }

    /// Returns what a key does.
    pub(super) fn action(&self, key: &Key) -> Option<Action> {
        self.0.iter().find(|one| one.key == *key).map(|one| one.action)
    }

    /// Returns the name of the key of an action, or nothing if it has none.
    pub(super) fn key_of(&self, action: Action) -> String {
        self.0
            .iter()
            .find(|one| one.action == action)
            .map_or_else(String::new, |one| name_of(&one.key))
    }

    /// Returns the keys and what they do, as rows of two columns.
    pub(super) fn help(&self) -> impl Iterator<Item = String> {
        ACTIONS.iter().map(|(action, _, _, what)| format!("{:<10}  {what}", self.key_of(*action)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_a_key_of_its_own_that_reads_back() {
        let bindings = Bindings::new(&KeyBindings::default());
        for (action, name, key, _) in ACTIONS {
            assert_eq!(parse(key).and_then(|key| bindings.action(&key)), Some(action), "{name}");
            assert_eq!(bindings.key_of(action), key);
        }
    }

    #[test]
    fn own_key_replaces_the_usual_one_and_takes_it_from_others() {
        let bindings = Bindings::new(&"jump = ctrl+s, ".parse().unwrap());
        assert_eq!(bindings.action(&Key::Ctrl('s')), Some(Action::Jump));
        assert_eq!(bindings.action(&Key::Ctrl('g')), None);
        assert_eq!(bindings.key_of(Action::Search), "");
    }

    #[test]
    fn wrong_bindings_say_what_there_is() {
        let error = |text: &str| text.parse::<KeyBindings>().unwrap_err().to_string();
        assert!(error("fly=alt+a").contains("next-unread"));
        assert!(error("jump").contains("f1 to f12"));
        assert_eq!(error("jump=f5,search=f5"), "`f5` has two actions");
        for key in ["alt+", "ctrl+1", "ctrl+m", "f13", "x", "alt+ab"] {
            assert!(error(&format!("jump={key}")).contains(key), "{key}");
        }
    }
}
