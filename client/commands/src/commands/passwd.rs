//! `passwd`: changes the password of one's own account.

use crate::arguments::Arguments;
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::failure::Failure;
use crate::passwords::{NEW_PASSWORD, PASSWORD, REPEATED};
use letschat_core::codes::FailureCode;
use letschat_core::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "passwd",
    aliases: &["password"],
    summary: "Change your password. Your other machines log in with it once.",
    example: "passwd",
    parameters: &[PASSWORD, NEW_PASSWORD, REPEATED],
    allowed: Allowed::LoggedIn,
    asks: Asks::ChangedPassword,
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    let (Some(password), Some(new)) =
        (arguments.secret(&PASSWORD), arguments.secret(&NEW_PASSWORD))
    else {
        return Box::pin(async { Err(no_password()) });
    };
    // A program that gives it in an object need not repeat it, since it makes no typing mistakes.
    let repeated = arguments.secret(&REPEATED).unwrap_or_else(|| new.clone());
    context.ask(Request::ChangePassword { password, new, repeated })
}

fn no_password() -> Failure {
    Failure::new(
        FailureCode::BadArguments,
        "passwd: the present and the new password are needed. Type it at a terminal, or give both \
         in a JSON object.",
    )
}
