//! Commands and filters that are added at run time. The plugins of `letschat-lua` are one extension.

use std::pin::Pin;

use crate::failure::Failure;
use letschat_core::codes::FailureCode;
use letschat_core::session::Reply;
use letschat_protocol::rows::moved_in;

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};

/// The future result of an extension's operation.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of commands, and of filters for sent text.
pub trait Extension: Send + Sync {
    /// Returns the added commands, by name.
    fn commands(&self) -> Vec<AddedCommand>;

    /// Runs an added command with the rest of its typed line. Returns the answer to show.
    fn run<'a>(
        &'a self,
        name: &'a str,
        line: &'a str,
    ) -> Doing<'a, Result<Option<String>, Failure>>;

    /// Returns the text to send in place of this one, or `None` to send nothing. Without `to` it goes to
    /// everybody or to the current chat.
    fn filter_sent<'a>(&'a self, to: Option<&'a str>, text: &'a str) -> Doing<'a, Option<String>>;

    /// Waits until everything that loads at the start has been loaded.
    fn ready(&self) -> Doing<'_, ()>;

    /// Returns a line about each part.
    fn list(&self) -> String;

    /// Returns the names of all parts, whether loaded or not.
    fn names(&self) -> Vec<String>;

    /// Loads a part that is not yet loaded.
    fn load<'a>(&'a self, name: &'a str) -> Doing<'a, Result<(), Failure>>;

    /// Unloads a part and removes its commands and filters.
    fn unload<'a>(&'a self, name: &'a str) -> Doing<'a, Result<(), Failure>>;

    /// Loads a part again. The old one stays if the new one fails.
    fn reload<'a>(&'a self, name: &'a str) -> Doing<'a, Result<(), Failure>>;

    /// Returns the added command of this name, ignoring case.
    fn command(&self, name: &str) -> Option<AddedCommand> {
        self.commands().into_iter().find(|command| command.name.eq_ignore_ascii_case(name))
    }
}

/// A command of an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedCommand {
    /// The name.
    pub name: String,
    /// One line for the help.
    pub summary: String,
    /// The parameters.
    pub parameters: Vec<AddedParameter>,
}

/// A parameter of an added command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedParameter {
    /// The name.
    pub name: String,
    /// True if it may be left out.
    pub is_optional: bool,
    /// True if it takes the rest of the line.
    pub is_rest: bool,
}

impl AddedCommand {
    /// Returns the usage, such as `away [TEXT...]`.
    pub fn usage(&self) -> String {
        let parameters: String = self.parameters.iter().map(AddedParameter::usage).collect();
        format!("{}{parameters}", self.name)
    }
}

impl AddedParameter {
    /// Returns true if the value is probably a username.
    pub fn is_user(&self) -> bool {
        ["who", "user", "username", "to", "from"].contains(&self.name.as_str())
    }

    fn usage(&self) -> String {
        let dots = if self.is_rest { "..." } else { "" };
        let shown = format!("{}{dots}", self.name.to_uppercase());
        if self.is_optional { format!(" [{shown}]") } else { format!(" {shown}") }
    }
}

pub(crate) const CALLED: Parameter = Parameter::required("called", Kind::Word);
pub(crate) const LINE: Parameter = Parameter::optional("line", Kind::Text);

/// The command that runs any command of an extension. It is not in the table, since extensions change at
/// run time.
pub(crate) static ADDED: Command = Command {
    name: "added",
    summary: "Run a command that an extension has added.",
    parameters: &[CALLED, LINE],
    is_quiet: true,
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    let (called, line) = (arguments.required(&CALLED), arguments.optional(&LINE));
    Box::pin(async move {
        let gone =
            || Failure::new(FailureCode::UnknownCommand, "There is no such command any more.");
        let extension = context.extension.ok_or_else(gone)?;
        let said = extension.run(&called, &line.unwrap_or_default()).await?;
        Ok(said.map_or(Reply::Done {}, |message| Reply::Said { message: moved_in(&message) }))
    })
}
