//! Who comes and goes.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

const STATE: Parameter = Parameter::optional("state", Kind::Choice(&["on", "off"]));

pub(crate) static COMMAND: Command = Command {
    name: "watch",
    aliases: &[],
    summary: "Be told who comes and goes, or no more.",
    example: "watch on",
    parameters: &[STATE],
    allowed: Allowed::LoggedIn,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Watch(arguments.optional(&STATE).as_deref() != Some("off")))
}
