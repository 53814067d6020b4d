//! `signup`: creates an account.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Asks, Command, CommandFuture, Context, Role};
use crate::failure::Failure;
use crate::passwords::{PASSWORD, REPEATED};
use letschat_core::codes::FailureCode;
use letschat_core::session::Request;

const USERNAME: Parameter = Parameter::required("username", Kind::Word)
    .asks("Sign up under which name?")
    .help("the name of the new account");

pub(crate) static COMMAND: Command = Command {
    name: "signup",
    aliases: &["register"],
    summary: "Make an account; you are asked for its password.",
    example: "signup alice",
    parameters: &[USERNAME, PASSWORD, REPEATED],
    asks: Asks::NewPassword(&USERNAME),
    role: Some(Role::SignUp),
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    let Some(password) = arguments.secret(&PASSWORD) else {
        return Box::pin(async { Err(no_password()) });
    };
    // A program that gives it in an object need not repeat it, since it makes no typing mistakes.
    let repeated = arguments.secret(&REPEATED).unwrap_or_else(|| password.clone());
    let username = arguments.required(&USERNAME);
    context.ask(Request::SignUp { username, password, repeated })
}

fn no_password() -> Failure {
    Failure::new(
        FailureCode::BadArguments,
        "signup: a password is needed. Name a file with it by --password-file, or give it in a \
         JSON object.",
    )
}
