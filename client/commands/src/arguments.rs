//! The parameters of commands, and their values from a typed line or a JSON object.
//!
//! Handlers only ever see [`Arguments`] that fit the command's [`Parameter`]s.

use std::fmt;

use letschat_protocol::dialogue::Secret;
use serde_json::{Map, Value};

/// The maximum length of a name or address, in bytes.
const MAX_WORD_BYTES: usize = 320;

/// The number of characters of an unknown argument's name that an error shows.
const MAX_SHOWN_CHARS: usize = 32;

/// A parameter of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// The name, as in a JSON object.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: Kind,
    /// True if it may be left out.
    pub optional: bool,
    /// True if only an object can give it, not a typed line.
    pub only_in_objects: bool,
    /// The question for a typed line without it.
    pub question: &'static str,
    /// A few words about the value.
    pub help: &'static str,
}

/// The kind of a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One word.
    Word,
    /// A username or an address, which is one word too.
    User,
    /// A user or a group that a message is sent to.
    Recipient,
    /// The name of a user who has requested a chat, or of a group.
    Asker,
    /// The name of a user in an open chat, or of a group.
    Partner,
    /// The name of a group.
    Group,
    /// The id of an offered file, or its first digits.
    File,
    /// One word, of the kind that goes with the first word of the arguments.
    ByAction(&'static [(&'static str, Kind)]),
    /// The name of a command.
    Command,
    /// The name of an extension's part.
    Part,
    /// The rest of a typed line, or any non-empty text in an object.
    Text,
    /// A path, which is the rest of a typed line too.
    Path,
    /// A password. It is asked for, read from a file or given in an object, never in a typed line.
    Secret,
    /// A flag: the parameter's own name in a typed line, `true` in an object.
    Flag,
    /// One of these words. The usage lists them all.
    Choice(&'static [&'static str]),
    /// One of these words. The usage shows the parameter's name instead.
    Keyword(&'static [&'static str]),
}

impl Kind {
    /// Returns the kind of a value if this is the first word of the arguments.
    pub fn after(self, action: Option<&str>) -> Kind {
        let Kind::ByAction(kinds) = self else { return self };
        let found = kinds.iter().find(|(word, _)| Some(*word) == action);
        found.map_or(Kind::Word, |(_, kind)| *kind)
    }

    /// Returns true unless no value goes with this first word.
    fn goes_with(self, action: Option<&str>) -> bool {
        let Kind::ByAction(kinds) = self else { return true };
        kinds.iter().any(|(word, _)| Some(*word) == action)
    }
}

impl Parameter {
    /// Returns a required parameter.
    pub const fn required(name: &'static str, kind: Kind) -> Parameter {
        Parameter { name, kind, optional: false, only_in_objects: false, question: "", help: "" }
    }

    /// Returns an optional parameter.
    pub const fn optional(name: &'static str, kind: Kind) -> Parameter {
        Parameter { optional: true, ..Parameter::required(name, kind) }
    }

    /// Sets the question for a typed line without it.
    pub const fn asks(self, question: &'static str) -> Parameter {
        Parameter { question, ..self }
    }

    /// Sets the words about the value.
    pub const fn help(self, help: &'static str) -> Parameter {
        Parameter { help, ..self }
    }

    /// Keeps it out of typed lines.
    pub const fn only_in_objects(self) -> Parameter {
        Parameter { only_in_objects: true, ..self }
    }

    /// Returns the name as users read it.
    pub fn shown(&self) -> String {
        match self.kind {
            Kind::Flag => self.name.to_owned(),
            Kind::Choice(words) => words.join("|"),
            Kind::Text => format!("{}...", self.name.to_uppercase()),
            _ => self.name.to_uppercase(),
        }
    }

    /// Returns true if a typed line can give it.
    pub fn is_typed(&self) -> bool {
        !self.only_in_objects && self.kind != Kind::Secret
    }
}

/// Formats the parameter for a command's usage; empty if it can't be typed.
impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_typed() {
            return Ok(());
        }
        let shown = self.shown();
        if self.optional { write!(f, " [{shown}]") } else { write!(f, " {shown}") }
    }
}

/// The valid arguments of one command.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Arguments(Vec<(Parameter, String)>);

/// An error in the arguments of a command. It never repeats a value, which may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The variants' docs name their fields.
pub enum ArgumentError {
    /// A required argument is missing.
    #[error("`{}` is missing", .0.name)]
    Missing(Parameter),
    /// More words than the command takes.
    #[error("too many words")]
    TooMany,
    /// More words than the command takes, where a user may have typed a password.
    #[error(
        "a password is never typed in the line: it is asked for, read by --password-file, or \
         given in a JSON object"
    )]
    PasswordTyped,
    /// The object has an unknown `name`; `takes` lists the names that the command takes.
    #[error("it takes no `{name}`; it takes {takes}")]
    Unknown { name: String, takes: String },
    /// The value of the parameter `name` is invalid; `expected` describes valid ones.
    #[error("{name} must be {expected}")]
    Invalid { name: &'static str, expected: String },
}

impl Arguments {
    /// Parses the rest of a typed line after the command's name.
    pub fn from_line(parameters: &[Parameter], line: &str) -> Result<Arguments, ArgumentError> {
        let mut arguments = Arguments::default();
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let action = arguments.0.first().map(|(_, value)| value.clone());
            let flag = arguments.open(parameters).find(|parameter| is_flag(parameter, word));
            let is_required = |parameter: &Parameter| !parameter.optional;
            let place = arguments
                .open(parameters)
                .filter(|parameter| parameter.kind != Kind::Flag)
                .filter(|parameter| parameter.kind.goes_with(action.as_deref()))
                .find(|parameter| flag.is_none() || is_required(parameter))
                .or(flag);
            let parameter = match place {
                Some(parameter) => parameter,
                None if parameters.iter().any(|parameter| parameter.kind == Kind::Secret) => {
                    return Err(ArgumentError::PasswordTyped);
                }
                None => return Err(ArgumentError::TooMany),
            };
            let kind = parameter.kind.after(action.as_deref());
            let value = match kind {
                Kind::Text | Kind::Path => rest,
                Kind::Flag => parameter.name,
                _ => word,
            };
            Parameter { kind, ..parameter }.check(value)?;
            arguments.give(&parameter, value.to_owned());
            if value.len() == rest.len() {
                break;
            }
            rest = after.trim_start();
        }
        arguments.complete(parameters)
    }

    /// Parses the `arguments` of a JSON object.
    pub fn from_object(
        parameters: &[Parameter],
        object: &Map<String, Value>,
    ) -> Result<Arguments, ArgumentError> {
        let mut arguments = Arguments::default();
        for (name, value) in object {
            let parameter = parameters
                .iter()
                .find(|parameter| parameter.name == name)
                .ok_or_else(|| unknown(name, parameters))?;
            match (parameter.kind, value) {
                (_, Value::Null) | (Kind::Flag, Value::Bool(false)) => {}
                (Kind::Flag, Value::Bool(true)) => arguments.add(parameter, parameter.name)?,
                (Kind::Flag, _) => return Err(parameter.invalid("true or false")),
                (_, Value::String(text)) => arguments.add(parameter, text)?,
                _ => return Err(parameter.invalid("a string")),
            }
        }
        arguments.complete(parameters)
    }

    /// Returns the value of a required parameter.
    pub fn required(&self, parameter: &Parameter) -> String {
        debug_assert!(!parameter.optional);
        self.optional(parameter).unwrap_or_default()
    }

    /// Returns the value of an optional parameter.
    pub fn optional(&self, parameter: &Parameter) -> Option<String> {
        let found = self.0.iter().find(|(given, _)| given == parameter);
        found.map(|(_, value)| value.clone())
    }

    /// Returns the value of a secret parameter.
    pub fn secret(&self, parameter: &Parameter) -> Option<Secret> {
        self.optional(parameter).map(Secret)
    }

    /// Adds a value that the user was asked for.
    pub(crate) fn give(&mut self, parameter: &Parameter, value: String) {
        self.0.push((*parameter, value));
    }

    /// Replaces a value.
    pub(crate) fn replace(&mut self, parameter: &Parameter, value: String) {
        self.0.retain(|(given, _)| given != parameter);
        self.give(parameter, value);
    }

    /// Returns true if a flag or value was given.
    pub fn has(&self, parameter: &Parameter) -> bool {
        self.optional(parameter).is_some()
    }

    /// Returns the parameters that a typed line can still give.
    fn open(&self, parameters: &[Parameter]) -> impl Iterator<Item = Parameter> {
        let is_open = |parameter: &&Parameter| parameter.is_typed() && !self.has(parameter);
        parameters.iter().filter(is_open).copied()
    }

    fn add(&mut self, parameter: &Parameter, value: &str) -> Result<(), ArgumentError> {
        parameter.check(value)?;
        self.0.push((*parameter, value.to_owned()));
        Ok(())
    }

    fn complete(self, parameters: &[Parameter]) -> Result<Arguments, ArgumentError> {
        match parameters.iter().find(|parameter| !parameter.optional && !self.has(parameter)) {
            Some(parameter) => Err(ArgumentError::Missing(*parameter)),
            None => Ok(self),
        }
    }
}

impl Parameter {
    /// Checks a text value.
    pub(crate) fn check(&self, value: &str) -> Result<(), ArgumentError> {
        let is_word = !value.is_empty()
            && value.len() <= MAX_WORD_BYTES
            && !value.contains(|c: char| c.is_whitespace() || c.is_control());
        match self.kind {
            Kind::Word | Kind::Command | Kind::Part | Kind::Group if !is_word => {
                Err(self.invalid("one word"))
            }
            Kind::File | Kind::ByAction(_) if !is_word => Err(self.invalid("one word")),
            Kind::User | Kind::Recipient | Kind::Asker | Kind::Partner if !is_word => {
                Err(self.invalid("a username or an address"))
            }
            Kind::Text | Kind::Path | Kind::Secret if value.is_empty() => {
                Err(ArgumentError::Missing(*self))
            }
            Kind::Choice(words) | Kind::Keyword(words) if !words.contains(&value) => {
                Err(self.invalid(&words.join(" or ")))
            }
            _ => Ok(()),
        }
    }

    fn invalid(&self, expected: &str) -> ArgumentError {
        ArgumentError::Invalid { name: self.name, expected: expected.to_owned() }
    }
}

/// Returns the error for an unknown argument. It cuts a long name.
pub fn unknown(name: &str, parameters: &[Parameter]) -> ArgumentError {
    let takes: Vec<String> = parameters.iter().map(|one| format!("`{}`", one.name)).collect();
    let takes = if takes.is_empty() { "nothing".to_owned() } else { takes.join(", ") };
    let name = name.chars().take(MAX_SHOWN_CHARS).collect();
    ArgumentError::Unknown { name, takes }
}

/// Returns true if the word is the flag's name, with or without two dashes.
fn is_flag(parameter: &Parameter, word: &str) -> bool {
    let word = word.strip_prefix("--").unwrap_or(word);
    parameter.kind == Kind::Flag && word.eq_ignore_ascii_case(parameter.name)
}

/// Shows names only, since a value may be a password.
impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(parameter, _)| parameter.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WHO: Parameter = Parameter::required("who", Kind::User);
    const NAME: Parameter = Parameter::optional("name", Kind::Word);
    const FORCE: Parameter = Parameter::optional("force", Kind::Flag);
    const TEXT: Parameter = Parameter::required("text", Kind::Text);
    const TO: Parameter = Parameter::optional("to", Kind::User).only_in_objects();
    const PASSWORD: Parameter = Parameter::optional("password", Kind::Secret);
    const STATE: Parameter = Parameter::optional("state", Kind::Choice(&["on", "off"]));

    fn typed(parameters: &[Parameter], line: &str) -> Result<Arguments, ArgumentError> {
        Arguments::from_line(parameters, line)
    }

    fn object(parameters: &[Parameter], value: &Value) -> Result<Arguments, ArgumentError> {
        Arguments::from_object(parameters, value.as_object().unwrap())
    }

    #[test]
    fn words_go_to_parameters_in_order_and_flags_are_known_by_name() {
        for line in ["bob force", "bob --force", "  bob   force  "] {
            let arguments = typed(&[WHO, FORCE], line).unwrap();
            assert_eq!(arguments.required(&WHO), "bob", "{line}");
            assert!(arguments.has(&FORCE), "{line}");
        }
        assert!(!typed(&[WHO, FORCE], "bob").unwrap().has(&FORCE));
        assert_eq!(typed(&[WHO, FORCE], "bob x"), Err(ArgumentError::TooMany));
        assert_eq!(typed(&[WHO], ""), Err(ArgumentError::Missing(WHO)));
    }

    #[test]
    fn somebody_called_like_a_flag_can_still_be_meant() {
        let arguments = typed(&[WHO, FORCE], "force").unwrap();
        assert_eq!(arguments.required(&WHO), "force");
        assert!(!arguments.has(&FORCE));
        assert!(typed(&[NAME, FORCE], "force").unwrap().has(&FORCE));
    }

    #[test]
    fn a_text_is_the_rest_of_the_line_as_it_stands() {
        let arguments = typed(&[TEXT, TO], "  two  spaces, to=bob").unwrap();
        assert_eq!(arguments.required(&TEXT), "two  spaces, to=bob");
        assert_eq!(typed(&[TEXT], "   "), Err(ArgumentError::Missing(TEXT)));
    }

    #[test]
    fn a_path_is_the_rest_of_the_line_too() {
        const PATH: Parameter = Parameter::optional("path", Kind::Path);
        let arguments = typed(&[WHO, PATH], "bob my photo.jpg").unwrap();
        assert_eq!(arguments.required(&WHO), "bob");
        assert_eq!(arguments.optional(&PATH).as_deref(), Some("my photo.jpg"));
        assert_eq!(PATH.to_string(), " [PATH]");
    }

    #[test]
    fn an_action_says_what_kind_of_word_follows() {
        const WHICH: Kind = Kind::ByAction(&[("call", Kind::User), ("get", Kind::File)]);
        assert_eq!(WHICH.after(Some("get")), Kind::File);
        assert_eq!(WHICH.after(Some("else")), Kind::Word);
        assert_eq!(WHICH.after(None), Kind::Word);
        assert_eq!(Kind::Group.after(Some("get")), Kind::Group);
        const ACTION: Parameter = Parameter::required("action", Kind::Keyword(&["find", "stop"]));
        const WHAT: Parameter =
            Parameter::optional("what", Kind::ByAction(&[("find", Kind::Text)]));
        let arguments = typed(&[ACTION, WHAT], "find two  words").unwrap();
        assert_eq!(arguments.optional(&WHAT).as_deref(), Some("two  words"));
        assert_eq!(typed(&[ACTION, WHAT], "stop it"), Err(ArgumentError::TooMany));
        let typed_password = typed(&[ACTION, WHAT, PASSWORD], "stop hunter2hunter2");
        assert_eq!(typed_password, Err(ArgumentError::PasswordTyped));
        let one_word = Parameter::required("which", WHICH);
        assert!(one_word.check("1a2b").is_ok() && one_word.check("two words").is_err());
    }

    #[test]
    fn a_password_in_a_typed_line_is_refused_and_not_shown() {
        let error = typed(&[WHO, PASSWORD], "alice hunter2hunter2").unwrap_err();
        assert_eq!(error, ArgumentError::PasswordTyped);
        assert!(!error.to_string().contains("hunter2"));
        let arguments = object(&[WHO, PASSWORD], &json!({"who": "a", "password": "hunter2"}));
        assert!(!format!("{arguments:?}").contains("hunter2"));
        assert_eq!(arguments.unwrap().secret(&PASSWORD), Some(Secret("hunter2".into())));
    }

    #[test]
    fn an_object_gives_arguments_by_name() {
        let arguments = object(&[TEXT, TO], &json!({"to": "bob", "text": "two\nlines"})).unwrap();
        assert_eq!(arguments.required(&TEXT), "two\nlines");
        assert_eq!(arguments.optional(&TO).as_deref(), Some("bob"));
        let arguments = object(&[WHO, FORCE], &json!({"who": "bob", "force": false})).unwrap();
        assert!(!arguments.has(&FORCE));
    }

    #[test]
    fn an_object_that_does_not_fit_is_refused() {
        for value in [
            json!({}),
            json!({"who": ""}),
            json!({"who": "two words"}),
            json!({"who": "bell\u{7}"}),
            json!({"who": 7}),
            json!({"who": ["bob"]}),
            json!({"who": "x".repeat(MAX_WORD_BYTES + 1)}),
            json!({"who": "bob", "force": "yes"}),
            json!({"who": "bob", "else": 1}),
        ] {
            assert!(object(&[WHO, FORCE], &value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_choice_takes_its_words_alone() {
        assert_eq!(typed(&[STATE], "off").unwrap().optional(&STATE).as_deref(), Some("off"));
        assert_eq!(typed(&[STATE], "").unwrap().optional(&STATE), None);
        let error = typed(&[STATE], "maybe").unwrap_err();
        assert_eq!(error.to_string(), "state must be on or off");
    }
}
