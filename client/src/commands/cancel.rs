//! A request of one's own, withdrawn.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

const WHO: Parameter = Parameter::optional("who", Kind::User);

pub(crate) static COMMAND: Command = Command {
    name: "cancel",
    aliases: &[],
    summary: "Withdraw your request, or stop trying to reach the server.",
    example: "cancel",
    parameters: &[WHO],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Cancel(arguments.optional(&WHO)))
}
