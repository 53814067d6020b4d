//! The end of a chat.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

pub(crate) const WHO: Parameter = Parameter::optional("who", Kind::User);

pub(crate) static COMMAND: Command = Command {
    name: "disconnect",
    aliases: &["hangup"],
    summary: "End a chat: the named one, or the current one.",
    example: "disconnect",
    parameters: &[WHO],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Disconnect(arguments.optional(&WHO)))
}
