//! The active clients.

use crate::arguments::Arguments;
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "list",
    aliases: &["users"],
    summary: "Show who is here.",
    example: "list",
    parameters: &[],
    allowed: Allowed::LoggedIn,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::List)
}
