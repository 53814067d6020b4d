//! `watch`: reports users who log in and out.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Command, CommandFuture, Context};
use letschat_core::session::Request;

const STATE: Parameter =
    Parameter::optional("state", Kind::Choice(&["on", "off"])).help("on, unless you say off");

pub(crate) static COMMAND: Command = Command {
    name: "watch",
    summary: "Announce arrivals and departures.",
    example: "watch on",
    parameters: &[STATE],
    allowed: Allowed::LoggedIn,
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Watch(arguments.optional(&STATE).as_deref() != Some("off")))
}
