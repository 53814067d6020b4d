//! The commands and filters that plugins declare.

use std::cmp::Ordering;

use letschat_commands::extension::{AddedCommand, AddedParameter};
use serde_json::{Map, Value};

use crate::failure::{LuaResult, misuse};

/// Parses the parameter `name`, `[name]`, `name...` or `[name...]`.
pub(crate) fn read_parameter(text: &str) -> LuaResult<AddedParameter> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let name = inner.unwrap_or(text);
    let rest = name.strip_suffix("...");
    let name = rest.unwrap_or(name);
    if !is_word(name) {
        return Err(misuse(format!("A parameter is `name`, `[name]` or `name...`: {text:?}.")));
    }
    Ok(AddedParameter {
        name: name.to_owned(),
        is_optional: inner.is_some(),
        is_rest: rest.is_some(),
    })
}

/// Returns true for a valid name of a command or parameter.
pub(crate) fn is_word(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    (1..=32).contains(&name.len()) && name.chars().all(allowed)
}

/// Refuses parameters that make a line ambiguous.
pub(crate) fn check_parameters(parameters: &[AddedParameter]) -> LuaResult<()> {
    let rest = parameters.iter().position(|parameter| parameter.is_rest);
    let optional = parameters.iter().position(|parameter| parameter.is_optional);
    let required = parameters.iter().rposition(|parameter| !parameter.is_optional);
    let is_last = rest.is_none_or(|at| at + 1 == parameters.len());
    if !is_last || optional.is_some_and(|at| required.is_some_and(|last| last > at)) {
        let why = "Nothing can follow `name...`, and only `[name]` can follow `[name]`.";
        return Err(misuse(why));
    }
    Ok(())
}

/// Parses the rest of a typed line into arguments by name.
pub(crate) fn read_arguments(command: &AddedCommand, line: &str) -> LuaResult<Map<String, Value>> {
    let wrong =
        |what: String| misuse(format!("{}: {what}. Usage: {}", command.name, command.usage()));
    let (mut arguments, mut left) = (Map::new(), line.trim());
    for parameter in &command.parameters {
        let (word, after) = match parameter.is_rest {
            true => (left, ""),
            false => left.split_once(char::is_whitespace).unwrap_or((left, "")),
        };
        if word.is_empty() {
            if parameter.is_optional {
                break;
            }
            return Err(wrong(format!("{} is missing", parameter.name)));
        }
        arguments.insert(parameter.name.clone(), word.into());
        left = after.trim_start();
    }
    match left {
        "" => Ok(arguments),
        _ => Err(wrong("there are more words than it takes".into())),
    }
}

/// The kind of text that a filter sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilterKind {
    /// Text that the user sends with `say` and `broadcast`.
    Send,
    /// Messages and broadcasts before they are shown.
    Show,
}

/// A filter of a plugin. Filters run by ascending priority, then by the plugin's name, then by order of
/// registration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PluginFilter {
    pub(crate) priority: f64,
    pub(crate) plugin: String,
    pub(crate) id: u64,
    pub(crate) kind: FilterKind,
}

impl PluginFilter {
    pub(crate) fn order(&self, other: &PluginFilter) -> Ordering {
        let by_priority = self.priority.total_cmp(&other.priority);
        by_priority.then_with(|| (&self.plugin, self.id).cmp(&(&other.plugin, other.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn command(parameters: &[&str]) -> AddedCommand {
        let parameters = parameters.iter().map(|text| read_parameter(text).unwrap()).collect();
        AddedCommand { name: "do".into(), summary: "Does.".into(), parameters }
    }

    #[test]
    fn words_go_to_parameters_in_their_order() {
        let command = command(&["who", "[times]", "[text...]"]);
        assert_eq!(command.usage(), "do WHO [TIMES] [TEXT...]");
        for (line, expected) in [
            ("bob", json!({"who": "bob"})),
            (" bob  3 ", json!({"who": "bob", "times": "3"})),
            ("bob 3 two  words", json!({"who": "bob", "times": "3", "text": "two  words"})),
        ] {
            assert_eq!(
                Value::Object(read_arguments(&command, line).unwrap()),
                expected,
                "{line:?}"
            );
        }
        assert!(read_arguments(&command, "").unwrap_err().message.contains("who is missing"));
    }

    #[test]
    fn more_words_than_it_takes_are_refused() {
        let failure = read_arguments(&command(&["[who]"]), "bob carol").unwrap_err();
        assert!(failure.message.contains("Usage: do [WHO]"), "{failure}");
    }

    #[test]
    fn parameters_that_leave_doubt_are_refused() {
        assert!(check_parameters(&command(&["a", "[b]", "[c...]"]).parameters).is_ok());
        assert!(check_parameters(&command(&["[a]", "b"]).parameters).is_err());
        assert!(check_parameters(&command(&["a...", "[b]"]).parameters).is_err());
        for wrong in ["", "[]", "A", "a b", "[a", "..."] {
            assert!(read_parameter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn filters_go_by_priority_then_by_name_then_by_age() {
        let filter = |priority, plugin: &str, id| {
            let plugin = plugin.to_owned();
            PluginFilter { priority, plugin, id, kind: FilterKind::Show }
        };
        let ordered = [
            filter(-1.0, "z", 9),
            filter(0.0, "a", 2),
            filter(0.0, "a", 5),
            filter(0.0, "b", 1),
            filter(1.5, "a", 1),
        ];
        let mut shuffled = ordered.to_vec();
        shuffled.reverse();
        shuffled.sort_by(PluginFilter::order);
        assert_eq!(shuffled, ordered);
    }
}
