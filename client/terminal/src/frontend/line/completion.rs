//! Completion by Tab, hints behind the cursor, and highlighting of known commands.

use std::collections::BTreeSet;
use std::env;
use std::ops::Range;
use std::path::PathBuf;

use letschat_protocol::groups::GroupName;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use super::paths;
use super::prompt_state::PromptState;
use crate::line_editor::{Assistant, Candidate};
use letschat_commands::arguments::{Kind as ParameterKind, Parameter};
use letschat_commands::command::{self, Command};
use letschat_commands::commands::TABLE;
use letschat_commands::extension::{AddedParameter, Extension as _};
use letschat_commands::text::files::SHOWN_DIGITS;
use letschat_core::conversation::ConversationId;
use letschat_core::view::{FileView, View};
use letschat_lua::plugins::Plugins;

/// The completion of a line, with the present names of users and commands.
pub(in crate::frontend) struct Completion<'a> {
    pub(in crate::frontend) prompt_state: &'a PromptState,
    /// True if lines are text for a chat.
    pub(in crate::frontend) in_chat: bool,
}

impl Completion<'_> {
    fn command_names(&self, start: &str) -> Vec<Candidate> {
        let added = self.prompt_state.plugins().map(Plugins::commands).unwrap_or_default();
        let start_lower = start.to_lowercase();
        let fits = added.into_iter().filter(|command| command.name.starts_with(&start_lower));
        let added = fits.map(|command| Candidate::word(command.name, Some(command.summary)));
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
    fitting.map(|value| Candidate::word(value, None)).collect()
}

impl Assistant for Completion<'_> {
    fn candidates(&self, typed: &str) -> (usize, Vec<Candidate>) {
        let (start, candidates) = match Typed::read(typed, self.in_chat) {
            Typed::Said => ("", Vec::new()),
            Typed::Name(start) => (start, self.command_names(start)),
            Typed::Arguments { command, before, start } => {
                let mut candidates =
                    self.prompt_state.read_view(|view| arguments(command, &before, start, view));
                candidates.extend(self.added_names(command, &before, start));
                (start, candidates)
            }
            Typed::Path(start) => {
                let home = env::var_os("HOME").map(PathBuf::from);
                (start, paths::candidates(start, home.as_deref()))
            }
            Typed::Unknown { name, before, start } => {
                (start, self.added_arguments(name, &before, start))
            }
        };
        (typed.len() - start.len(), candidates)
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

/// The kind of the text before the cursor. The beginning that is completed is the end of that text.
enum Typed<'a> {
    /// Text for a chat.
    Said,
    /// The beginning of a command's name.
    Name(&'a str),
    /// Complete arguments, and the beginning of another.
    Arguments { command: &'static Command, before: Vec<&'a str>, start: &'a str },
    /// The beginning of a path, behind complete arguments.
    Path(&'a str),
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
        let command = command::find(name);
        if let Some(start) = command.as_ref().ok().and_then(|command| path_start(command, rest)) {
            return Typed::Path(start);
        }
        let start = rest.rsplit(char::is_whitespace).next().unwrap_or("");
        let before = rest[..rest.len() - start.len()].split_whitespace().collect();
        match command {
            Ok(command) => Typed::Arguments { command, before, start },
            Err(_) => Typed::Unknown { name, before, start },
        }
    }
}

/// Returns the beginning of a path, which takes the rest of a line, if the words before it are complete.
fn path_start<'a>(command: &Command, rest: &'a str) -> Option<&'a str> {
    let words = places(command).position(|parameter| parameter.kind == ParameterKind::Path)?;
    (0..words).try_fold(rest.trim_start(), |rest, _| {
        let (_, after) = rest.split_once(char::is_whitespace)?;
        Some(after.trim_start())
    })
}

/// Returns the parameters that a typed line gives by their place.
fn places(command: &Command) -> impl Iterator<Item = &Parameter> {
    let typed = command.parameters.iter().filter(|parameter| parameter.is_typed());
    typed.filter(|parameter| parameter.kind != ParameterKind::Flag)
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
        .map(|command| Candidate::word(command.name.into(), Some(command.summary.into())))
        .collect()
}

fn arguments(command: &Command, before: &[&str], start: &str, view: &View) -> Vec<Candidate> {
    let typed = || command.parameters.iter().filter(|parameter| parameter.is_typed());
    let is_given =
        |flag: &Parameter| before.iter().any(|word| word.trim_start_matches("--") == flag.name);
    let flags: Vec<&Parameter> = typed().filter(|p| p.kind == ParameterKind::Flag).collect();
    let words = before.len() - flags.iter().filter(|flag| is_given(flag)).count();
    let place = places(command).nth(words);
    let kind = place.map(|parameter| parameter.kind.after(before.first().copied()));
    let flags = flags.into_iter().filter(|flag| words > 0 && !is_given(flag));
    let flags = flags.map(|flag| Candidate::word(flag.name.to_owned(), None));
    let values = kind.map(|kind| values(kind, view)).unwrap_or_default();
    let start = start.to_lowercase();
    let fits = |candidate: &Candidate| candidate.value.starts_with(&start);
    values.into_iter().chain(flags).filter(fits).collect()
}

/// Returns the known values of a kind.
fn values(kind: ParameterKind, view: &View) -> Vec<Candidate> {
    let groups = || view.groups.keys().map(GroupName::to_string);
    let values: Vec<String> = match kind {
        ParameterKind::User => names(known_users(view).iter()).collect(),
        ParameterKind::Recipient => names(known_users(view).iter()).chain(groups()).collect(),
        ParameterKind::Asker => {
            let invited = view.invitations.iter().map(GroupName::to_string);
            names(view.session.requests.iter()).chain(invited).collect()
        }
        ParameterKind::Partner => {
            let written = view.conversations.keys().filter_map(ConversationId::person);
            let known: BTreeSet<&Username> = view.session.chats.keys().chain(written).collect();
            names(known.into_iter()).chain(groups()).collect()
        }
        ParameterKind::Group => groups().collect(),
        ParameterKind::File => return files(view),
        ParameterKind::Choice(words) | ParameterKind::Keyword(words) => {
            words.iter().map(|word| (*word).into()).collect()
        }
        ParameterKind::Command => TABLE.iter().map(|command| command.name.into()).collect(),
        _ => Vec::new(),
    };
    values.into_iter().map(|value| Candidate::word(value, None)).collect()
}

/// Returns the ids of the offered files, with their names.
fn files(view: &View) -> Vec<Candidate> {
    let candidate = |(id, file): (&MessageId, &FileView)| {
        let digits = id.to_string().chars().take(SHOWN_DIGITS).collect();
        Candidate::word(digits, Some(file.file.name.to_string()))
    };
    view.files.iter().map(candidate).collect()
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
    use letschat_core::conversation::LinkPath;
    use letschat_core::event::{Event, FileShown};
    use letschat_core::view::{ChatState, SessionState};
    use letschat_protocol::files::name::FileName;

    /// The id of the file in the view.
    fn file_id() -> MessageId {
        MessageId::of_broadcast(1, 1)
    }

    fn names(names: &[&str]) -> BTreeSet<Username> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn view() -> View {
        let chats = names(&["carol"]).into_iter().map(|who| (who, ChatState::Open)).collect();
        let session = SessionState { chats, requests: names(&["dave"]), ..SessionState::default() };
        let people = names(&["bob", "bella", "carol"]);
        let mut view = View { session, people, ..View::default() };
        let file = Box::new(FileShown {
            id: file_id(),
            conversation: ConversationId::Person("bob".parse().unwrap()),
            from: "bob".parse().unwrap(),
            own: false,
            to: None,
            name: FileName::reduced("photo.jpg"),
            size: 2_000,
        });
        view.apply(&Event::FileProgress { file, bytes: 0, link: LinkPath::Direct });
        view
    }

    fn offered(typed: &str, in_chat: bool) -> Vec<String> {
        let candidates = match Typed::read(typed, in_chat) {
            Typed::Said | Typed::Path(_) | Typed::Unknown { .. } => Vec::new(),
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
    fn ids_of_files_are_offered_where_one_is_meant() {
        let id = file_id().to_string();
        for typed in ["file get ".to_owned(), format!("/file cancel {}", &id[..2])] {
            assert_eq!(offered(&typed, false), [&id[..SHOWN_DIGITS]], "{typed}");
        }
        assert_eq!(files(&view())[0].description.as_deref(), Some("photo.jpg"));
        assert_eq!(offered("file send b", false), ["bella", "bob"]);
        assert_eq!(offered("file else ", false), Vec::<String>::new());
    }

    #[test]
    fn path_takes_the_rest_of_the_line() {
        fn path(typed: &str) -> Option<&str> {
            match Typed::read(typed, false) {
                Typed::Path(start) => Some(start),
                _ => None,
            }
        }
        assert_eq!(path("file send bob my pho"), Some("my pho"));
        assert_eq!(path("file  get 1a2b  "), Some(""));
        assert_eq!(path("file send bo"), None);
        assert_eq!(path("send bob my photo"), None);
    }

    #[test]
    fn a_hint_says_what_a_command_takes() {
        assert_eq!(usage_hint("connect ", false, None).as_deref(), Some("WHO [force]"));
        assert_eq!(usage_hint("connect bob", false, None), None);
        assert_eq!(usage_hint("connect ", true, None), None);
        assert_eq!(usage_hint("list ", false, None), None);
    }
}
