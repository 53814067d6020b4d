//! `verify`: shows the safety number of a peer.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};
use letschat_core::session::Request;

const WHO: Parameter =
    Parameter::required("who", Kind::User).asks("Verify whom?").help("a username");
const MATCHES: Parameter =
    Parameter::optional("matches", Kind::Flag).help("note that both of you see the same number");

pub(crate) static COMMAND: Command = Command {
    name: "verify",
    summary: "Show the safety number to compare; `matches` if it is the same.",
    example: "verify bob",
    parameters: &[WHO, MATCHES],
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Verify { who: arguments.required(&WHO), matches: arguments.has(&MATCHES) })
}
