//! Who am I, where, by what key, which chats?

use crate::arguments::Arguments;
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "status",
    aliases: &["whoami"],
    summary: "Show who and where you are, your key and your chats.",
    example: "status",
    parameters: &[],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::Status)
}
