//! `devices`: lists the devices of one's own account.

use crate::arguments::Arguments;
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "devices",
    summary: "List your devices, and those that wait for your approval.",
    example: "devices",
    ..Command::new(run)
};

fn run(context: Context, _: &Arguments) -> CommandFuture {
    context.ask(Request::Devices)
}
