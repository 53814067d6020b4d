//! `status`: shows the user, the server, the key and the chats.

use crate::arguments::Arguments;
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "status",
    aliases: &["whoami"],
    summary: "Show your status.",
    example: "status",
    ..Command::new(run)
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::Status)
}
