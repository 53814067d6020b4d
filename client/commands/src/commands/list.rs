//! `list`: lists the active clients.

use crate::arguments::Arguments;
use crate::command::{Allowed, Command, CommandFuture, Context};
use letschat_core::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "list",
    aliases: &["users"],
    summary: "Show who is here.",
    example: "list",
    allowed: Allowed::LoggedIn,
    ..Command::new(run)
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::List)
}
