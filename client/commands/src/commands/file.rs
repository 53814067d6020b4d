//! `file`: offers a file, fetches an offered one, or gives one up.

use std::path::PathBuf;

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};
use crate::failure::Failure;
use letschat_core::codes::FailureCode;
use letschat_core::session::Request;

const ACTIONS: [&str; 3] = ["send", "get", "cancel"];

const ACTION: Parameter = Parameter::required("action", Kind::Keyword(&ACTIONS))
    .asks("Send a file, get one, or cancel one?")
    .help("send, get or cancel");
const WHICH_KINDS: [(&str, Kind); 3] =
    [("send", Kind::Recipient), ("get", Kind::File), ("cancel", Kind::File)];
const WHICH: Parameter = Parameter::optional("which", Kind::ByAction(&WHICH_KINDS))
    .help("send: a user or a #group; get and cancel: the file's id, or its first digits");
const PATH: Parameter = Parameter::optional("path", Kind::Path)
    .help("send: the file; get: a folder for it, or a path that nothing has yet");
const TO: Parameter =
    Parameter::optional("to", Kind::Recipient).help("send: a user or a #group").only_in_objects();
const ID: Parameter =
    Parameter::optional("id", Kind::File).help("get and cancel: the file's id").only_in_objects();

pub(crate) static COMMAND: Command = Command {
    name: "file",
    summary: "Send a file, get one that was offered, or give one up.",
    example: "file send bob photo.jpg",
    note: "Files go from client to client, or through a relay that can't read them, and go on after a break. `/files` lists them.",
    parameters: &[ACTION, WHICH, PATH, TO, ID],
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    let named = |parameter| arguments.optional(parameter);
    let (id, path) = (named(&ID).or_else(|| named(&WHICH)), named(&PATH));
    let request = match arguments.required(&ACTION).as_str() {
        "send" => send(&context, named(&TO).or_else(|| named(&WHICH)), path),
        "get" => get(&context, id, path),
        _ => match (id, path) {
            (Some(id), None) => Ok(Request::CancelFile(id)),
            _ => Err(invalid("file cancel: give the id alone; `/files` lists the ids.")),
        },
    };
    match request {
        Ok(request) => context.ask(request),
        Err(why) => Box::pin(async { Err(why) }),
    }
}

fn send(context: &Context, to: Option<String>, path: Option<String>) -> Result<Request, Failure> {
    let to = to.ok_or_else(|| invalid("file send: to whom? Give a user or a #group."))?;
    let path = path.ok_or_else(|| invalid("file send: which file? Give its path."))?;
    Ok(Request::SendFile { to, path: context.files.source(&path)? })
}

fn get(context: &Context, id: Option<String>, path: Option<String>) -> Result<Request, Failure> {
    let id = id.ok_or_else(|| invalid("file get: which one? `/files` lists the ids."))?;
    let path: Option<PathBuf> = context.files.target(path.as_deref())?;
    Ok(Request::GetFile { id, path })
}

fn invalid(why: &str) -> Failure {
    Failure::new(FailureCode::BadArguments, why)
}
