//! `cancel`: withdraws chat requests, or stops reconnecting.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

const WHO: Parameter =
    Parameter::optional("who", Kind::User).help("the person you asked; without it, every request");

pub(crate) static COMMAND: Command = Command {
    name: "cancel",
    summary: "Withdraw your request, or stop trying to reach the server.",
    example: "cancel",
    parameters: &[WHO],
    is_quiet: true,
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Cancel(arguments.optional(&WHO)))
}
