//! `device`: adds a device to one's own account, or removes one.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Allowed, Command, CommandFuture, Context};
use crate::failure::Failure;
use letschat_core::codes::FailureCode;
use letschat_core::session::Request;

const ACTIONS: [&str; 2] = ["approve", "remove"];

const ACTION: Parameter = Parameter::required("action", Kind::Keyword(&ACTIONS))
    .asks("Approve a device, or remove one?")
    .help("approve or remove");
const WHICH: Parameter = Parameter::optional("which", Kind::Text)
    .help("the code that a new device shows; or the name or key of the one to remove");
const CODE: Parameter = Parameter::optional("code", Kind::Text)
    .help("the code that a new device shows")
    .only_in_objects();
const KEY: Parameter =
    Parameter::optional("key", Kind::Text).help("the device to remove").only_in_objects();

pub(crate) static COMMAND: Command = Command {
    name: "device",
    summary: "Approve a new device by the code that it shows, or remove one.",
    example: "device approve ABCD-EFGH-IJKL-MNOP",
    note: "`/devices` shows names and keys. A removed device reads nothing new.",
    parameters: &[ACTION, WHICH, CODE, KEY],
    allowed: Allowed::LoggedIn,
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    let is_approval = arguments.required(&ACTION) == "approve";
    let named = if is_approval { &CODE } else { &KEY };
    match arguments.optional(named).or_else(|| arguments.optional(&WHICH)) {
        Some(code) if is_approval => context.ask(Request::ApproveDevice(code)),
        Some(key) => context.ask(Request::RemoveDevice(key)),
        None => {
            let why = match is_approval {
                true => "device: which code does the new device show?",
                false => "device: remove which one? `/devices` shows names and keys.",
            };
            Box::pin(async move { Err(Failure::new(FailureCode::BadArguments, why)) })
        }
    }
}
