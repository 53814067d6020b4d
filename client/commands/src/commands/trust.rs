//! `trust`: accepts a peer's changed key.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

const WHO: Parameter =
    Parameter::required("who", Kind::User).asks("Trust whom?").help("a username");

pub(crate) static COMMAND: Command = Command {
    name: "trust",
    summary: "Accept somebody's new key.",
    example: "trust bob",
    parameters: &[WHO],
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Trust(arguments.required(&WHO)))
}
