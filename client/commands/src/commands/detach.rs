//! `detach`: closes the link to the server and keeps the chats.

use crate::arguments::Arguments;
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "detach",
    summary: "Close the connection to the server and keep your chats.",
    example: "detach",
    is_quiet: true,
    ..Command::new(run)
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::Detach)
}
