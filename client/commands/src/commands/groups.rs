//! `groups`: lists one's own groups.

use crate::arguments::Arguments;
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "groups",
    summary: "List your groups, with those to which you are invited.",
    example: "groups",
    ..Command::new(run)
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::Groups)
}
