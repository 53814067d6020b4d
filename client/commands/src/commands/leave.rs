//! `leave`: closes the link to the server.

use crate::arguments::Arguments;
use crate::command::{Command, CommandFuture, Context, Role};
use letschat_core::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "leave",
    summary: "Close the connection to the server, if no chat is open.",
    example: "leave",
    note: "Ctrl+X leaves the server too.",
    role: Some(Role::Leave),
    is_quiet: true,
    ..Command::new(run)
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::Leave)
}
