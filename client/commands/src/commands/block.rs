//! `block`: blocks or unblocks a user, or lists the blocked ones.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

const WHO: Parameter =
    Parameter::optional("who", Kind::User).help("a username; without one, the blocked are listed");
const OFF: Parameter = Parameter::optional("off", Kind::Flag).help("unblock them");

pub(crate) static COMMAND: Command = Command {
    name: "block",
    summary: "Block somebody's requests, messages and broadcasts, or list them.",
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
