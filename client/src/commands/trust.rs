//! A peer's changed key, accepted.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

const WHO: Parameter = Parameter::required("who", Kind::User);

pub(crate) static COMMAND: Command = Command {
    name: "trust",
    aliases: &[],
    summary: "Accept that somebody has a new key.",
    example: "trust bob",
    parameters: &[WHO],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Trust(arguments.required(&WHO)))
}
