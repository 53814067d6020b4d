//! Commands and filters that are added while a client runs. The plugins of `letschat-lua` are one extension.

use std::pin::Pin;

use crate::failure::Failure;
use letschat_core::codes::FailureCode;
use letschat_core::session::Reply;
use letschat_protocol::rows::moved_in;

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};

/// The result of something that an extension does, when it is there.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that adds commands to a client and filters what its user sends.
pub trait Extension: Send + Sync {
    /// Returns the added commands, in the order of their names.
    fn commands(&self) -> Vec<AddedCommand>;

    /// Runs an added command with the rest of its typed line. The answer is shown.
    fn run<'a>(
        &'a self,
        name: &'a str,
        line: &'a str,
    ) -> Doing<'a, Result<Option<String>, Failure>>;

    /// Returns the text to send in place of this one; `None`: none at all. Without `to` it goes to everybody, or to the
    /// current chat.
    fn filter_sent<'a>(&'a self, to: Option<&'a str>, text: &'a str) -> Doing<'a, Option<String>>;

    /// Returns when everything that the client starts with has been loaded.
    fn ready(&self) -> Doing<'_, ()>;

    /// Describes the parts that there are, a line each.
    fn list(&self) -> String;

    /// Returns the names of all parts, loaded or not.
    fn names(&self) -> Vec<String>;

    /// Loads a part that is not loaded.
    fn load<'a>(&'a self, name: &'a str) -> Doing<'a, Result<(), Failure>>;

    /// Ends a part and removes what it has added.
    fn unload<'a>(&'a self, name: &'a str) -> Doing<'a, Result<(), Failure>>;

    /// Loads a part anew. The old one stays if the new one can't be loaded.
    fn reload<'a>(&'a self, name: &'a str) -> Doing<'a, Result<(), Failure>>;

    /// Returns the added command of this name, in any case.
    fn command(&self, name: &str) -> Option<AddedCommand> {
        self.commands().into_iter().find(|command| command.name.eq_ignore_ascii_case(name))
    }
}

/// A command that an extension has added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedCommand {
    /// What it is called.
    pub name: String,
    /// One line for help.
    pub summary: String,
    /// What it takes.
    pub parameters: Vec<AddedParameter>,
}

/// A parameter of an added command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedParameter {
    /// Its name.
    pub name: String,
    /// Whether it may be left out.
    pub is_optional: bool,
    /// Whether it is all the rest of the line.
    pub is_rest: bool,
}

impl AddedCommand {
    /// Returns how it is typed: `away [TEXT...]`.
    pub fn usage(&self) -> String {
        let parameters: String = self.parameters.iter().map(AddedParameter::usage).collect();
        format!("{}{parameters}", self.name)
    }
}

impl AddedParameter {
    /// Returns true if a username is likely meant.
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

/// The command that a typed command of an extension becomes. It stands in no table: parts come and go.
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
