//! `send`: sends a message to anybody with an account.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

const TO: Parameter = Parameter::required("to", Kind::Recipient)
    .asks("Send to whom?")
    .help("a user, a #group, or everyone");
const TEXT: Parameter =
    Parameter::required("text", Kind::Text).asks("Send what?").help("the message");

pub(crate) static COMMAND: Command = Command {
    name: "send",
    aliases: &["msg", "tell"],
    summary: "Send a message to anybody, also to people who are away.",
    example: "send bob hello",
    note: "It goes over your chat with them, else sealed through the server, else it waits here.",
    parameters: &[TO, TEXT],
    says: Some(&TEXT),
    chat: Some(&TO),
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Send { to: arguments.required(&TO), text: arguments.required(&TEXT) })
}
