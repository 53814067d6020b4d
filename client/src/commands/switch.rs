//! The current chat, changed.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

const WHO: Parameter = Parameter::required("who", Kind::User);

pub(crate) static COMMAND: Command = Command {
    name: "switch",
    aliases: &[],
    summary: "Make another chat the one your text goes to.",
    example: "switch bob",
    parameters: &[WHO],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Switch(arguments.required(&WHO)))
}
