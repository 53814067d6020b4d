//! A message to a peer.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::session::Request;

pub(crate) const TEXT: Parameter = Parameter::required("text", Kind::Text);
/// Without it: to the current chat.
pub(crate) const TO: Parameter = Parameter::optional("to", Kind::User).only_in_objects();

pub(crate) static COMMAND: Command = Command {
    name: "say",
    aliases: &[],
    summary: "Say something in the current chat.",
    example: "say hello",
    parameters: &[TEXT, TO],
    allowed: Allowed::Always,
    asks: Asks::Nothing,
    run,
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Say { to: arguments.optional(&TO), text: arguments.required(&TEXT) })
}
