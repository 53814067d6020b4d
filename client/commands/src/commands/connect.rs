//! `connect`: requests a chat.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Command, CommandFuture, Context, Role};
use letschat_core::session::Request;

const WHO: Parameter = Parameter::required("who", Kind::User)
    .asks("Connect to whom?")
    .help("a username, an IP address, or an address with a port");
const FORCE: Parameter = Parameter::optional("force", Kind::Flag).help(
    "ask even somebody who is not in the list; if nobody is there, the server disconnects you",
);

pub(crate) static COMMAND: Command = Command {
    name: "connect",
    aliases: &["call"],
    summary: "Ask somebody for a chat, by name or by address.",
    example: "connect bob",
    parameters: &[WHO, FORCE],
    allowed: Allowed::LoggedIn,
    role: Some(Role::Connect),
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    let (who, force) = (arguments.required(&WHO), arguments.has(&FORCE));
    let switch = context.switches;
    context.ask(Request::Connect { who, force, switch })
}
