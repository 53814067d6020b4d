//! `recover`: begins a new device list, since all other devices are lost.

use crate::arguments::Arguments;
use crate::command::{Allowed, Asks, Command, CommandFuture, Context};
use crate::failure::Failure;
use crate::passwords::PASSWORD;
use letschat_core::codes::FailureCode;
use letschat_core::session::Request;

pub(crate) static COMMAND: Command = Command {
    name: "recover",
    summary: "If all your other devices are lost: give them up, by your password.",
    example: "recover",
    note: "Your friends are told that your key has changed, and have to `/trust` you again.",
    parameters: &[PASSWORD],
    allowed: Allowed::LoggedIn,
    asks: Asks::Recovery,
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    match arguments.secret(&PASSWORD) {
        Some(password) => context.ask(Request::RecoverDevices(password)),
        None => Box::pin(async {
            let why = "recover: the password is needed. Type it at a terminal, or give it in a \
                       JSON object.";
            Err(Failure::new(FailureCode::BadArguments, why))
        }),
    }
}
