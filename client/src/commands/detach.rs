//! The link to the server, closed while chats go on.

use crate::arguments::Arguments;
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "detach",
    aliases: &[],
    summary: "Close the connection to the server and keep your chats.",
    example: "detach",
    parameters: &[],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::Detach)
}
