//! `group`: founds a group, and changes who is in it.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Command, CommandFuture, Context};
use crate::failure::Failure;
use letschat_core::codes::FailureCode;
use letschat_core::session::{GroupAction, Request};

const ACTIONS: [&str; 6] = ["create", "invite", "remove", "leave", "give", "members"];

const ACTION: Parameter = Parameter::required("action", Kind::Keyword(&ACTIONS))
    .asks("Create a group, invite, remove, leave, give, or list members?")
    .help("create, invite, remove, leave, give or members");
const NAME: Parameter = Parameter::required("name", Kind::Group)
    .asks("Which group?")
    .help("the group's name, with or without `#`");
const WHO: Parameter =
    Parameter::optional("who", Kind::User).help("the person to invite, to remove or to give it to");

pub(crate) static COMMAND: Command = Command {
    name: "group",
    summary: "Create a group, and change who is in it.",
    example: "group invite team bob",
    note: "The owner invites and removes. `/approve #team` accepts an invitation, and `/switch #team` writes there. \
           An owner gives the group away before leaving.",
    parameters: &[ACTION, NAME, WHO],
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    let name = arguments.required(&NAME);
    match action(&arguments.required(&ACTION), arguments.optional(&WHO)) {
        Ok(action) => context.ask(Request::Group { action, name }),
        Err(why) => Box::pin(async { Err(why) }),
    }
}

fn action(word: &str, who: Option<String>) -> Result<GroupAction, Failure> {
    let invalid =
        |why: &str| Failure::new(FailureCode::BadArguments, format!("group {word}: {why}"));
    let alone = |action| match who {
        None => Ok(action),
        Some(_) => Err(invalid("give the group's name alone.")),
    };
    let with: fn(_) -> GroupAction = match word {
        "create" => return alone(GroupAction::Create),
        "leave" => return alone(GroupAction::Leave),
        "members" => return alone(GroupAction::Members),
        "invite" => GroupAction::Invite,
        "remove" => GroupAction::Remove,
        _ => GroupAction::Give,
    };
    let named = who.as_deref().and_then(|who| who.parse().ok());
    named.map(with).ok_or_else(|| invalid("whom? Give a username."))
}
