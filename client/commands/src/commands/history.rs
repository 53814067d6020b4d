//! `history`: searches the messages that this device keeps, protects them, and deletes them.

use crate::arguments::{Arguments, Kind, Parameter};
use crate::command::{Asks, Command, CommandFuture, Context, Role};
use crate::failure::Failure;
use crate::passwords::{PASSWORD, REPEATED};
use letschat_core::codes::FailureCode;
use letschat_core::conversation::ConversationId;
use letschat_core::history::HistoryAction;
use letschat_core::session::Request;

const ACTIONS: [&str; 5] = ["search", "show", "forget", "unlock", "passphrase"];

const ACTION: Parameter = Parameter::optional("action", Kind::Keyword(&ACTIONS))
    .help("search, show, forget, unlock or passphrase; without one, the state is shown");
const WHAT_KINDS: [(&str, Kind); 3] =
    [("search", Kind::Text), ("show", Kind::Partner), ("forget", Kind::Partner)];
const WHAT: Parameter = Parameter::optional("what", Kind::ByAction(&WHAT_KINDS))
    .help("search: words; show and forget: a user, a #group or everyone");
const TEXT: Parameter =
    Parameter::optional("text", Kind::Text).help("search: the words").only_in_objects();
const TO: Parameter = Parameter::optional("to", Kind::Partner)
    .help("show and forget: a user, a #group or everyone")
    .only_in_objects();

pub(crate) static COMMAND: Command = Command {
    name: "history",
    summary: "Search the messages on this machine, protect them, or delete them.",
    example: "history search lunch",
    note: "Messages are kept, encrypted, with `history = true` in the settings. `forget` without a name deletes all. \
           `passphrase` sets one that has to be given by `unlock` in each run; an empty answer removes it.",
    parameters: &[ACTION, WHAT, TEXT, TO, PASSWORD, REPEATED],
    role: Some(Role::History),
    asks: Asks::Passphrase { action: &ACTION, of_old: "unlock", of_new: "passphrase" },
    ..Command::new(run)
};

fn run(context: Context, arguments: &Arguments) -> CommandFuture {
    match action(arguments) {
        Ok(action) => context.ask(Request::History(action)),
        Err(why) => {
            let why = Failure::new(FailureCode::BadArguments, format!("history {why}"));
            Box::pin(async { Err(why) })
        }
    }
}

fn action(arguments: &Arguments) -> Result<HistoryAction, &'static str> {
    let named = |parameter| arguments.optional(parameter).or_else(|| arguments.optional(&WHAT));
    let conversation = || match named(&TO) {
        None => Ok(None),
        Some(name) => name.parse::<ConversationId>().map(Some),
    };
    let action = arguments.optional(&ACTION);
    Ok(match action.as_deref() {
        None => HistoryAction::Status,
        Some("search") => HistoryAction::Search(named(&TEXT).ok_or("search: for which words?")?),
        Some("show") => HistoryAction::Show(
            conversation().map_err(|_| "show: whose? Give a user, a #group or `everyone`.")?,
        ),
        Some("forget") if arguments.has(&TEXT) => {
            return Err("forget: give `to`, or nothing to delete all.");
        }
        Some("forget") => HistoryAction::Forget(
            conversation().map_err(|_| "forget: whose? Give a user, a #group or `everyone`.")?,
        ),
        // Without one, the history says why none was asked for.
        Some("unlock") => HistoryAction::Unlock(arguments.secret(&PASSWORD)),
        _ => {
            let new = arguments.secret(&PASSWORD);
            // A program that gives it in an object need not repeat it, since it makes no typing mistakes.
            let repeated = arguments.secret(&REPEATED).or_else(|| new.clone());
            HistoryAction::SetPassphrase(new.zip(repeated))
        }
    })
}
