//! Yes to a request.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

const WHO: Parameter = Parameter::optional("who", Kind::User);

pub(crate) static COMMAND: Command = Command {
    name: "approve",
    aliases: &["accept"],
    summary: "Let somebody who asks chat with you.",
    example: "approve bob",
    parameters: &[WHO],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Approve(arguments.optional(&WHO)))
}
