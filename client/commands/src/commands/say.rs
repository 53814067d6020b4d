//! `say`: sends a message in the current conversation.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context, Role};
use letschat_core::session::Request;

const TEXT: Parameter =
    Parameter::required("text", Kind::Text).asks("Say what?").help("the message");
const TO: Parameter = Parameter::optional("to", Kind::User)
    .only_in_objects()
    .help("the person; without it, the current one");

pub(crate) static COMMAND: Command = Command {
    name: "say",
    summary: "Say something in the current conversation.",
    example: "say hello",
    parameters: &[TEXT, TO],
    role: Some(Role::Say),
    says: Some(&TEXT),
    chat: Some(&TO),
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Say { to: arguments.optional(&TO), text: arguments.required(&TEXT) })
}
