//! `quit`: ends the client.

use crate::arguments::Arguments;
use crate::command::{Command, CommandFuture, Context, Role};
use letschat_core::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "quit",
    aliases: &["exit", "bye"],
    summary: "End your chats, leave the server and end.",
    example: "quit",
    note: "What can be sent within a second goes first. Ctrl+D on an empty line quits too.",
    role: Some(Role::Quit),
    is_quiet: true,
    ..Command::new(run)
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::Quit)
}
