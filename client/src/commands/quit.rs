//! The end.

use crate::arguments::Arguments;
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "quit",
    aliases: &["exit", "bye"],
    summary: "End your chats, leave the server and end.",
    example: "quit",
    parameters: &[],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::Quit)
}
