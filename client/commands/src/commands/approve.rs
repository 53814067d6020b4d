//! `approve`: accepts a request for a chat or for messages.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context, Role};
use letschat_core::session::Request;

const WHO: Parameter =
    Parameter::optional("who", Kind::Asker).help("who asks, or a #group; needed if several do");

pub(crate) static COMMAND: Command = Command {
    name: "approve",
    aliases: &["accept"],
    summary: "Let somebody who asks chat with you or write to you.",
    example: "approve bob",
    parameters: &[WHO],
    role: Some(Role::Approve),
    is_quiet: true,
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Approve(arguments.optional(&WHO)))
}
