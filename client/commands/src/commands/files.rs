//! `files`: lists the offered files.

use crate::arguments::Arguments;
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "files",
    summary: "List the files that you offer, and that are offered to you.",
    example: "files",
    ..Command::new(run)
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::Files)
}
