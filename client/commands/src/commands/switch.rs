//! `switch`: changes the current conversation.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context, Role};
use letschat_core::session::Request;

const WHO: Parameter = Parameter::required("who", Kind::Partner)
    .asks("Switch to whom?")
    .help("somebody whom you know, or a #group");

pub(crate) static COMMAND: Command = Command {
    name: "switch",
    summary: "Let your text go to somebody else.",
    example: "switch bob",
    parameters: &[WHO],
    role: Some(Role::Switch),
    is_quiet: true,
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Switch(arguments.required(&WHO)))
}
