//! `deny`: declines a request for a chat or for messages.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context, Role};
use letschat_core::session::Request;

const WHO: Parameter =
    Parameter::optional("who", Kind::Asker).help("who asks, or a #group; needed if several do");

pub(crate) static COMMAND: Command = Command {
    name: "deny",
    aliases: &["refuse"],
    summary: "Decline the request of somebody who asks or has written.",
    example: "deny bob",
    parameters: &[WHO],
    role: Some(Role::Deny),
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Deny(arguments.optional(&WHO)))
}
