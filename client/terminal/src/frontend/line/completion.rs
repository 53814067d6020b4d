//! Completion by Tab, hints behind the cursor, and highlighting of known commands.

use std::collections::BTreeSet;
use std::ops::Range;

use letschat_protocol::groups::GroupName;
use letschat_protocol::username::Username;

use super::prompt_state::PromptState;
use crate::line_editor::{Assistant, Candidate};
use letschat_commands::arguments::{Kind as ParameterKind, Parameter};
use letschat_commands::command::{self, Command};
use letschat_commands::commands::TABLE;
use letschat_commands::extension::{AddedParameter, Extension as _};
use letschat_core::conversation::ConversationId;
use letschat_core::view::View;
use letschat_lua::plugins::Plugins;

/// The completion of a line, with the present names of users and commands.
pub(super) struct Completion<'a> {
    pub(super) prompt_state: &'a PromptState,
    /// True if lines are text for a chat.
    pub(super) in_chat: bool,
}

impl Completion<'_> {
    fn command_names(&self, start: &str) -> Vec<Candidate> {
        let added = self.prompt_state.plugins().map(Plugins::commands).unwrap_or_default();
        let start_lower = start.to_lowercase();
        let fits = added.into_iter().filter(|command| command.name.starts_with(&start_lower));
        let added = fits
            .map(|command| Candidate { value: command.name, description: Some(command.summary) });
        command_names(start).into_iter().chain(added).collect()
    }

    fn is_known(&self, name: &str) -> bool {
        let is_added = |plugins: &Plugins| plugins.command(name).is_some();
        command::find(name).is_ok() || self.prompt_state.plugins().is_some_and(is_added)
    }

    /// Users, for a plugin's parameter that takes one.
    fn added_arguments(&self, name: &str, before: &[&str], start: &str) -> Vec<Candidate> {
        let command = self.prompt_state.plugins().and_then(|plugins| plugins.command(name));
        let place = command.as_ref().and_then(|command| command.parameters.get(before.len()));
        if !place.is_some_and(AddedParameter::is_user) {
            return Vec::new();
        }
        let names = self.prompt_state.read_view(known_users).into_iter();
        candidates(names.map(|name| name.to_string()), start)
    }

    /// The names of added commands and loaded plugins.
    fn added_names(&self, command: &Command, before: &[&str], start: &str) -> Vec<Candidate> {
        let Some(plugins) = self.prompt_state.plugins() else { return Vec::new() };
        let names = match command.parameters.get(before.len()).map(|parameter| parameter.kind) {
            Some(ParameterKind::Part) => plugins.names(),
            Some(ParameterKind::Command) => {
                plugins.commands().into_iter().map(|command| command.name).collect()
            }
            _ => Vec::new(),
        };
        candidates(names.into_iter(), start)
    }
}

fn candidates(values: impl Iterator<Item = String>, start: &str) -> Vec<Candidate> {
    let start = start.to_lowercase();
    let fitting = values.filter(|value| value.starts_with(&start));
    fitting.map(|value| Candidate { value, description: None }).collect()
}

impl Assistant for Completion<'_> {
    fn candidates(&self, typed: &str) -> (usize, Vec<Candidate>) {
        let candidates = match Typed::read(typed, self.in_chat) {
            Typed::Said => Vec::new(),
            Typed::Name(start) => self.command_names(start),
            Typed::Arguments { command, before, start } => {
                let mut candidates =
                    self.prompt_state.read_view(|view| arguments(command, &before, start, view));
                candidates.extend(self.added_names(command, &before, start));
                candidates
            }
            Typed::Unknown { name, before, start } => self.added_arguments(name, &before, start),
        };
        let word = typed.rsplit(char::is_whitespace).next().unwrap_or("");
        let slashes =
            if typed.trim_start().len() == word.len() { leading_slashes(word) } else { 0 };
        (typed.len() - word.len() + slashes, candidates)
    }

    /// Shows what a command takes next.
    fn hint(&self, line: &str) -> Option<String> {
        usage_hint(line, self.in_chat, self.prompt_state.plugins())
    }

    /// Finds the name of a known command.
    fn known_word(&self, line: &str) -> Range<usize> {
        let name = line.trim_start();
        let indent = line.len() - name.len();
        let slashes = leading_slashes(name);
        let is_command = slashes == 1 || (slashes == 0 && !self.in_chat);
        let end = name.find(char::is_whitespace).unwrap_or(name.len());
        let is_known = is_command && self.is_known(&name[slashes..end]);
        if is_known { indent..indent + end } else { 0..0 }
    }
}

/// The kind of the text before the cursor.
enum Typed<'a> {
    /// Text for a chat.
    Said,
    /// The beginning of a command's name.
    Name(&'a str),
    /// Complete arguments, and the beginning of another.
    Arguments { command: &'static Command, before: Vec<&'a str>, start: &'a str },
    /// Arguments of what may be a plugin's command.
    Unknown { name: &'a str, before: Vec<&'a str>, start: &'a str },
}

impl Typed<'_> {
    fn read(typed: &str, in_chat: bool) -> Typed<'_> {
        let line = typed.trim_start();
        let slashes = leading_slashes(line);
        if slashes > 1 || (in_chat && slashes == 0) {
            return Typed::Said;
        }
        let line = line[slashes..].trim_start();
        let Some((name, rest)) = line.split_once(char::is_whitespace) else {
            return Typed::Name(line);
        };
        let start = rest.rsplit(char::is_whitespace).next().unwrap_or("");
        let before = rest[..rest.len() - start.len()].split_whitespace().collect();
        match command::find(name) {
            Ok(command) => Typed::Arguments { command, before, start },
            Err(_) => Typed::Unknown { name, before, start },
        }
    }
}

fn leading_slashes(line: &str) -> usize {
    line.len() - line.trim_start_matches('/').len()
}

fn command_names(start: &str) -> Vec<Candidate> {
    let start = start.to_lowercase();
    let fits = |command: &&&Command| command.name.starts_with(&start);
    TABLE
        .iter()
        .filter(fits)
        .map(|command| Candidate {
            value: command.name.into(),
            description: Some(command.summary.into()),
        })
        .collect()
}

fn arguments(command: &Command, before: &[&str], start: &str, view: &View) -> Vec<Candidate> {
    let typed = || command.parameters.iter().filter(|parameter| parameter.is_typed());
    let is_given =
        |flag: &Parameter| before.iter().any(|word| word.trim_start_matches("--") == flag.name);
    let flags: Vec<&Parameter> = typed().filter(|p| p.kind == ParameterKind::Flag).collect();
    let words = before.len() - flags.iter().filter(|flag| is_given(flag)).count();
    let place = typed().filter(|p| p.kind != ParameterKind::Flag).nth(words);
    let groups = || view.groups.iter().map(GroupName::to_string);
    let values: Vec<String> = match place.map(|parameter| parameter.kind) {
        Some(ParameterKind::User) => names(known_users(view).iter()).collect(),
        Some(ParameterKind::Recipient) => names(known_users(view).iter()).chain(groups()).collect(),
        Some(ParameterKind::Asker) => {
            let invited = view.invitations.iter().map(GroupName::to_string);
            names(view.session.requests.iter()).chain(invited).collect()
        }
        Some(ParameterKind::Partner) => {
            let written = view.conversations.keys().filter_map(ConversationId::person);
            let known: BTreeSet<&Username> = view.session.chats.keys().chain(written).collect();
            names(known.into_iter()).chain(groups()).collect()
        }
        Some(ParameterKind::Group) => groups().collect(),
        Some(ParameterKind::Choice(words) | ParameterKind::Keyword(words)) => {
            words.iter().map(|word| (*word).into()).collect()
        }
        Some(ParameterKind::Command) => TABLE.iter().map(|command| command.name.into()).collect(),
        _ => Vec::new(),
    };
    let flags = flags.into_iter().filter(|flag| words > 0 && !is_given(flag));
    values
        .into_iter()
        .chain(flags.map(|flag| flag.name.to_owned()))
        .filter(|value| value.starts_with(&start.to_lowercase()))
        .map(|value| Candidate { value, description: None })
        .collect()
}

fn names<'a>(users: impl Iterator<Item = &'a Username>) -> impl Iterator<Item = String> {
    users.map(Username::to_string)
}

fn known_users(view: &View) -> BTreeSet<Username> {
    let View { session, people, .. } = view;
    people.iter().chain(session.chats.keys()).chain(&session.requests).cloned().collect()
}

/// Returns the parameters of a command as a hint, if the line is its name and a space.
fn usage_hint(line: &str, in_chat: bool, plugins: Option<&Plugins>) -> Option<String> {
    let (usage, before) = match Typed::read(line, in_chat) {
        Typed::Arguments { command, before, start: "" } => (command.usage(), before),
        Typed::Unknown { name, before, start: "" } => (plugins?.command(name)?.usage(), before),
        _ => return None,
    };
    let (_, parameters) = usage.split_once(' ').filter(|_| before.is_empty())?;
    Some(parameters.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_core::view::{ChatState, SessionState};

    fn names(names: &[&str]) -> BTreeSet<Username> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn view() -> View {
        let chats = names(&["carol"]).into_iter().map(|who| (who, ChatState::Open)).collect();
        let session = SessionState { chats, requests: names(&["dave"]), ..SessionState::default() };
        View { session, people: names(&["bob", "bella", "carol"]), ..View::default() }
    }

    fn offered(typed: &str, in_chat: bool) -> Vec<String> {
        let candidates = match Typed::read(typed, in_chat) {
            Typed::Said | Typed::Unknown { .. } => Vec::new(),
            Typed::Name(start) => command_names(start),
            Typed::Arguments { command, before, start } => {
                arguments(command, &before, start, &view())
            }
        };
        candidates.into_iter().map(|candidate| candidate.value).collect()
    }

    #[test]
    fn commands_are_offered_where_a_line_is_a_command() {
        assert_eq!(offered("conn", false), ["connect"]);
        assert_eq!(offered("/conn", true), ["connect"]);
        assert_eq!(offered("conn", true), Vec::<String>::new());
        assert_eq!(offered("//conn", true), Vec::<String>::new());
        assert_eq!(offered("", false).len(), TABLE.len());
    }

    #[test]
    fn users_are_offered_as_far_as_they_make_sense() {
        assert_eq!(offered("connect b", false), ["bella", "bob"]);
        assert_eq!(offered("approve ", false), ["dave"]);
        assert_eq!(offered("/switch ", true), ["carol"]);
        assert_eq!(offered("say b", false), Vec::<String>::new());
    }

    #[test]
    fn flags_and_choices_are_offered_after_what_must_come_first() {
        assert_eq!(offered("connect bob ", false), ["force"]);
        assert_eq!(offered("connect bob force ", false), Vec::<String>::new());
        assert_eq!(offered("watch ", false), ["on", "off"]);
        assert_eq!(offered("help conn", false), ["connect"]);
    }

    #[test]
    fn a_hint_says_what_a_command_takes() {
        assert_eq!(usage_hint("connect ", false, None).as_deref(), Some("WHO [force]"));
        assert_eq!(usage_hint("connect bob", false, None), None);
        assert_eq!(usage_hint("connect ", true, None), None);
        assert_eq!(usage_hint("list ", false, None), None);
    }
}
