//! Somebody one does not want to hear of.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

const WHO: Parameter = Parameter::optional("who", Kind::User);
const OFF: Parameter = Parameter::optional("off", Kind::Flag);

pub(crate) static COMMAND: Command = Command {
    name: "block",
    summary: "Refuse somebody's requests and hide their broadcasts; or list whom.",
    example: "block mallory",
    parameters: &[WHO, OFF],
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    let on = !arguments.has(&OFF);
    context.ask(match arguments.optional(&WHO) {
        Some(who) => Request::Block { who, on },
        None => Request::Blocked,
    })
}
