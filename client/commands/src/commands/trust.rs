//! A peer's changed key, accepted.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

const WHO: Parameter = Parameter::required("who", Kind::User);

pub(crate) static COMMAND: Command = Command {
    name: "trust",
    summary: "Accept that somebody has a new key.",
    example: "trust bob",
    parameters: &[WHO],
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Trust(arguments.required(&WHO)))
}
