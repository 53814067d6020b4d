//! The link to the server, closed.

use crate::arguments::Arguments;
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "leave",
    aliases: &[],
    summary: "Close the connection to the server, if no chat is open.",
    example: "leave",
    parameters: &[],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::Leave)
}
