//! `login`: logs in by password or by key.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Asks, Command, CommandFuture, Context, Role};
use crate::passwords::{PASSWORD, TAKE};
use letschat_core::session::Request;

const USERNAME: Parameter = Parameter::optional("username", Kind::Word)
    .help("the account; not needed if this machine has one alone");

pub(crate) static COMMAND: Command = Command {
    name: "login",
    summary: "Log in; without a name, as the only account of this machine.",
    example: "login alice",
    parameters: &[USERNAME, TAKE, PASSWORD],
    asks: Asks::Password(&USERNAME),
    role: Some(Role::LogIn),
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    context.ask(Request::Login {
        username: arguments.optional(&USERNAME),
        password: arguments.secret(&PASSWORD),
        take: arguments.has(&TAKE),
    })
}
