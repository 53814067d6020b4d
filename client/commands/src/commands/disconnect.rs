//! `disconnect`: ends a chat.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context, Role};
use letschat_core::session::Request;

const WHO: Parameter =
    Parameter::optional("who", Kind::Partner).help("the person; without it, the current one");

pub(crate) static COMMAND: Command = Command {
    name: "disconnect",
    aliases: &["hangup"],
    summary: "End a chat, or leave a conversation: the named one, or the current one.",
    example: "disconnect",
    note: "Ctrl+C on an empty line ends the current chat too.",
    parameters: &[WHO],
    role: Some(Role::EndChat),
    chat: Some(&WHO),
    is_quiet: true,
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Disconnect(arguments.optional(&WHO)))
}
