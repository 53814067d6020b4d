//! `broadcast`: sends a text to everybody.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use letschat_core::session::Request;

const TEXT: Parameter =
    Parameter::required("text", Kind::Text).asks("Tell everybody what?").help("one line");

const QUESTION: &str = "What do you want to say to everybody? (An empty line: nothing.) ";

pub(crate) static COMMAND: Command = Command {
    name: "broadcast",
    aliases: &["all"],
    summary: "Send a text to everybody who is here.",
    example: "broadcast hello, all",
    parameters: &[TEXT],
    allowed: Allowed::LoggedIn,
    asks: Asks::Text(&TEXT, QUESTION),
    says: Some(&TEXT),
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Broadcast(arguments.required(&TEXT)))
}
