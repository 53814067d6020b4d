//! Commands as data, and the dispatcher that every front end uses.

mod reading;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_lite::FutureExt as _;
use letschat_protocol::dialogue::Secret;
use letschat_protocol::username::Username;

pub use self::reading::{find, parse_line, parse_object};
use self::reading::{is_marked, is_said_by_alias, misused, needs_a_slash};
use crate::arguments::{ArgumentError, Arguments, Parameter};
use crate::commands::TABLE;
use crate::extension::{self, Extension};
use crate::failure::Failure;
use crate::file_access::FileAccess;
use crate::passwords::{NEW_PASSWORD, PASSWORD, Passwords, REPEATED};
use letschat_core::codes::FailureCode;
use letschat_core::conversation::ConversationId;
use letschat_core::failure::Failure as CoreFailure;
use letschat_core::history::{HistoryAction, HistoryFailure};
use letschat_core::session::{Phase, Reply, Request, Typing};
use letschat_core::view::LinkState;
use letschat_engine::client::Client;

/// A command of the table.
#[derive(Debug)]
pub struct Command {
    /// The name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// One line for the help.
    pub summary: &'static str,
    /// An example of a typed line.
    pub example: &'static str,
    /// A sentence for the command's own help. May be empty.
    pub note: &'static str,
    /// The parameters, in the order of a typed line.
    pub parameters: &'static [Parameter],
    /// The state in which the command is allowed. The dispatcher checks it.
    pub allowed: Allowed,
    /// The argument that the dispatcher asks for if it is missing.
    pub asks: Asks,
    /// The role by which front ends find the command.
    pub role: Option<Role>,
    /// The parameter with text for other users. Extensions filter it, and history files omit the line.
    pub says: Option<&'static Parameter>,
    /// The parameter that names the chat, if it is not the current one.
    pub chat: Option<&'static Parameter>,
    /// True if success has no reply of its own, because an event or the next prompt shows it.
    pub is_quiet: bool,
    /// Runs the command. The arguments fit the parameters.
    pub run: fn(Context, &Arguments) -> CommandFuture,
}

/// The state in which a command is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// At any time.
    Always,
    /// While logged in. If the idle timeout logged the user out, the session first logs in again.
    LoggedIn,
}

/// A role by which a front end runs a command without knowing its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Creates an account.
    SignUp,
    /// Logs in.
    LogIn,
    /// Requests a chat.
    Connect,
    /// Sends a text to a chat.
    Say,
    /// Makes another chat current.
    Switch,
    /// Approves a request.
    Approve,
    /// Denies a request.
    Deny,
    /// Ends a chat.
    EndChat,
    /// Leaves the server.
    Leave,
    /// Searches the messages on this machine.
    History,
    /// Explains the commands.
    Help,
    /// Ends the client.
    Quit,
}

/// A missing argument that the dispatcher asks for. A password may also come from the password file.
#[derive(Debug, Clone, Copy)]
pub enum Asks {
    /// None.
    Nothing,
    /// The password of an account, if this parameter names one.
    Password(&'static Parameter),
    /// The password of a new account, which this parameter names, and its repetition as `repeated`.
    NewPassword(&'static Parameter),
    /// The password of the account that is logged in, to give up its other devices.
    Recovery,
    /// The account's present password, the new one as `new_password`, and its repetition as `repeated`.
    ChangedPassword,
    /// The passphrase of the history, if the action is `of_old`; a new one and its repetition, if it is `of_new`.
    #[allow(missing_docs)]
    Passphrase { action: &'static Parameter, of_old: &'static str, of_new: &'static str },
    /// This text, if a person types the command, with this question.
    Text(&'static Parameter, &'static str),
}

/// The future result of a command.
pub type CommandFuture = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send>>;

/// The environment of a running command.
#[derive(Clone)]
pub struct Context {
    /// The client.
    pub client: Client,
    /// The source of added commands, if there is one.
    pub extension: Option<Arc<dyn Extension>>,
    /// True if a requested chat becomes current when it opens.
    pub switches: bool,
    /// The places where files may be read and written.
    pub files: FileAccess,
}

impl Context {
    /// Runs a command that is a single request.
    pub fn ask(self, request: Request) -> CommandFuture {
        Box::pin(async move { Ok(self.client.request(request).await?) })
    }
}

impl Command {
    /// Returns a command without a name. Each command sets the fields that differ.
    pub(crate) const fn new(run: fn(Context, &Arguments) -> CommandFuture) -> Command {
        Command {
            name: "",
            aliases: &[],
            summary: "",
            example: "",
            note: "",
            parameters: &[],
            allowed: Allowed::Always,
            asks: Asks::Nothing,
            role: None,
            says: None,
            chat: None,
            is_quiet: false,
            run,
        }
    }

    /// Returns the command of this role. A test checks that each role has one.
    pub fn of(role: Role) -> &'static Command {
        let mut commands = TABLE.iter();
        commands.find(|command| command.role == Some(role)).expect("a command has each role")
    }

    /// Returns the usage, such as `connect WHO [force]`.
    pub fn usage(&self) -> String {
        let parameters: String = self.parameters.iter().map(Parameter::to_string).collect();
        format!("{}{parameters}", self.name)
    }
}

/// A command with valid arguments.
#[derive(Debug)]
pub struct Call {
    command: &'static Command,
    arguments: Arguments,
}

impl Call {
    fn new(command: &'static Command, arguments: Arguments) -> Call {
        Call { command, arguments }
    }

    /// Returns a call of the command of this role, without arguments.
    pub fn of(role: Role) -> Call {
        Call::new(Command::of(role), Arguments::default())
    }

    /// Returns the command's name.
    pub fn name(&self) -> &'static str {
        self.command.name
    }

    /// Returns the command.
    pub fn command(&self) -> &'static Command {
        self.command
    }

    /// Aims the call at this conversation if it would go to the current one.
    pub fn aimed_at(mut self, conversation: &ConversationId) -> Call {
        if let Some(chosen) = self.command.chat.filter(|chosen| !self.arguments.has(chosen)) {
            self.arguments.give(chosen, conversation.to_string());
        }
        self
    }

    /// Returns true if the call goes to the current conversation, since it names none.
    pub fn is_for_current(&self) -> bool {
        self.command.chat.is_some_and(|chosen| !self.arguments.has(chosen))
    }

    /// Returns a call of an extension's command, if the line is one.
    fn added(extension: &dyn Extension, line: &str) -> Option<Call> {
        let line = line.trim();
        let line = line.strip_prefix('/').unwrap_or(line).trim_start();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        extension.command(name)?;
        let mut arguments = Arguments::default();
        arguments.give(&extension::CALLED, name.to_owned());
        arguments.give(&extension::LINE, rest.to_owned());
        Some(Call::new(&extension::ADDED, arguments))
    }

    /// Returns the question for the missing text.
    pub fn question(&self) -> Option<&'static str> {
        match self.command.asks {
            Asks::Text(text, question) if !self.arguments.has(text) => Some(question),
            _ => None,
        }
    }

    /// Returns the call with the answer to that question.
    pub fn answered(mut self, answer: String) -> Call {
        if let Asks::Text(text, _) = self.command.asks {
            self.arguments.give(text, answer);
        }
        self
    }
}

impl Prepared {
    /// Returns a login that asks no questions: by the password file, if one is named, else by key.
    pub fn login(username: &str) -> Prepared {
        let mut call = Call::of(Role::LogIn);
        if let Some(account) = call.command.parameters.first() {
            call.arguments.give(account, username.to_owned());
        }
        Prepared(call)
    }

    /// Returns the command.
    pub fn command(&self) -> &'static Command {
        self.0.command
    }
}

/// A call with all missing arguments filled in.
#[derive(Debug)]
pub struct Prepared(Call);

/// The reason why a line or object is not a [`Call`].
#[derive(Debug, Clone)]
pub struct Rejection {
    /// The command, if it is known.
    pub command: Option<&'static Command>,
    /// The failure.
    pub failure: Failure,
}

/// The dispatcher, which runs commands of the table.
#[derive(Clone)]
pub struct Dispatcher {
    context: Context,
    passwords: Passwords,
    /// True if plugins filter sent text.
    is_filtered: bool,
}

impl Dispatcher {
    /// Creates a dispatcher for a client.
    pub fn new(client: Client, passwords: Passwords) -> Dispatcher {
        let files = FileAccess::Anywhere;
        let context = Context { client, extension: None, switches: true, files };
        Dispatcher { context, passwords, is_filtered: false }
    }

    /// Lets an extension add commands and filter sent text.
    pub fn with_extension(mut self, extension: Arc<dyn Extension>) -> Dispatcher {
        self.context.extension = Some(extension);
        self.is_filtered = true;
        self
    }

    /// Adds an extension's commands but not its filters, for a plugin. A chat that the plugin requests does
    /// not become current, so the user's text keeps its destination.
    pub fn below_extension(mut self, extension: Arc<dyn Extension>) -> Dispatcher {
        self.context.extension = Some(extension);
        self.at_a_prompt()
    }

    /// Reads and writes files at these places alone, for a script or a plugin.
    pub fn with_files(mut self, files: FileAccess) -> Dispatcher {
        self.context.files = files;
        self
    }

    /// Leaves requested chats to a prompt, which makes one current only if the user has typed nothing.
    pub fn at_a_prompt(mut self) -> Dispatcher {
        self.context.switches = false;
        self
    }

    fn extension(&self) -> Option<&dyn Extension> {
        self.context.extension.as_deref()
    }

    /// Returns the client.
    pub fn client(&self) -> &Client {
        &self.context.client
    }

    /// Returns the source of passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Parses a typed line: a command, or text for the current chat.
    pub fn parse_line(&self, line: &str) -> Result<Call, Rejection> {
        self.parse(line, &self.client().typing())
    }

    /// Parses a typed line with a known meaning of plain text.
    pub fn parse(&self, line: &str, typing: &Typing) -> Result<Call, Rejection> {
        let is_marked = is_marked(line);
        let in_chat = *typing != Typing::Commands;
        if !self.context.switches && !is_marked && !in_chat && is_said_by_alias(line) {
            return Err(needs_a_slash());
        }
        parse_line(line, in_chat).or_else(|rejection| {
            let extension = self.extension().filter(|_| is_marked || !in_chat);
            let call = extension.and_then(|extension| Call::added(extension, line));
            call.ok_or_else(|| if in_chat { rejection } else { self.offering_a_chat(rejection) })
        })
    }

    /// Adds the name of an open chat to a rejected line: the line may have been meant for that chat.
    fn offering_a_chat(&self, mut rejection: Rejection) -> Rejection {
        if rejection.failure.code == FailureCode::UnknownCommand
            && let Some(who) =
                self.client().read_view(|view| view.session.chats.keys().next().cloned())
        {
            let way = format!(" Your chat with {who} is open: `/switch {who}` goes there.");
            rejection.failure.message.push_str(&way);
        }
        rejection
    }

    /// Asks the user for missing arguments. A front end reads no lines meanwhile, since the user may be
    /// typing an answer. [`run`](Self::run) reads a password file later, since that may block forever.
    pub async fn prepare(&self, mut call: Call) -> Result<Prepared, Failure> {
        let arguments = &mut call.arguments;
        if arguments.has(&PASSWORD) {
            return Ok(Prepared(call));
        }
        let in_a_file = self.passwords.are_in_a_file();
        match call.command.asks {
            Asks::Nothing => {}
            Asks::Text(text, _) if arguments.has(text) => {}
            Asks::Text(text, _) => {
                let missing = ArgumentError::Missing(*text);
                return Err(misused(call.command, &missing).failure);
            }
            Asks::Password(_) | Asks::NewPassword(_) | Asks::Recovery if in_a_file => {}
            Asks::ChangedPassword if in_a_file => {
                if let Some([new, repeated]) =
                    self.passwords.new_for_change(self.own_name().as_ref()).await?
                {
                    arguments.give(&NEW_PASSWORD, new.0);
                    arguments.give(&REPEATED, repeated.0);
                }
            }
            Asks::Password(account) if !arguments.has(account) => {}
            Asks::Password(_) => {
                if let Some(password) = self.passwords.for_login().await? {
                    arguments.give(&PASSWORD, password.0);
                }
            }
            Asks::Recovery => {
                if let Some(password) = self.passwords.for_recovery().await? {
                    arguments.give(&PASSWORD, password.0);
                }
            }
            Asks::Passphrase { action, of_old, of_new } => {
                let action = arguments.optional(action).unwrap_or_default();
                if action == of_old && self.history_is_locked().await {
                    let given = self.passwords.for_history().await?;
                    given.into_iter().for_each(|one| arguments.give(&PASSWORD, one.0));
                } else if action == of_new
                    && !self.history_is_locked().await
                    && let Some([new, repeated]) =
                        self.passwords.new_for_history(self.own_name().as_ref()).await?
                {
                    arguments.give(&PASSWORD, new.0);
                    arguments.give(&REPEATED, repeated.0);
                }
            }
            Asks::NewPassword(account) => {
                let name = arguments.required(account);
                if let Some((password, repeated)) = self.passwords.for_signup(&name).await? {
                    arguments.give(&PASSWORD, password.0);
                    arguments.give(&REPEATED, repeated.0);
                }
            }
            Asks::ChangedPassword => {
                if let Some([present, new, repeated]) =
                    self.passwords.for_change(self.own_name().as_ref()).await?
                {
                    arguments.give(&PASSWORD, present.0);
                    arguments.give(&NEW_PASSWORD, new.0);
                    arguments.give(&REPEATED, repeated.0);
                }
            }
        }
        Ok(Prepared(call))
    }

    /// Runs a call if it is allowed now.
    pub async fn run(&self, call: Prepared) -> Result<Reply, Failure> {
        let Prepared(Call { command, mut arguments }) = call;
        if command.allowed == Allowed::LoggedIn && self.context.client.phase() == Phase::Offline {
            let message = match self.client().read_view(|view| view.session.link) {
                LinkState::Offline | LinkState::Connected => {
                    "You are not logged in; `/login NAME` first."
                }
                _ => "Not logged in yet; reconnecting…",
            };
            return Err(Failure::new(FailureCode::NotLoggedIn, message));
        }
        if !arguments.has(&PASSWORD)
            && self.takes_password_from_file(command, &arguments)
            && let Some(password) = self.password_of_file().await?
        {
            if matches!(command.asks, Asks::NewPassword(_)) {
                arguments.give(&REPEATED, password.0.clone());
            }
            arguments.give(&PASSWORD, password.0);
        }
        match self.filtered(command, arguments).await {
            Some(arguments) => (command.run)(self.context.clone(), &arguments).await,
            None => {
                let why = "A plugin has held it back; `/plugin list` shows which there are.";
                Err(Failure::new(FailureCode::HeldBack, why))
            }
        }
    }

    /// Returns true if the history waits for its passphrase.
    async fn history_is_locked(&self) -> bool {
        let checked = self.client().request(Request::History(HistoryAction::CheckOpen)).await;
        checked == Err(CoreFailure::History(HistoryFailure::Locked))
    }

    fn own_name(&self) -> Option<Username> {
        self.client().read_view(|view| view.session.username.clone())
    }

    fn takes_password_from_file(&self, command: &Command, arguments: &Arguments) -> bool {
        self.passwords.are_in_a_file()
            && match command.asks {
                Asks::Nothing | Asks::Text(..) | Asks::Passphrase { .. } => false,
                Asks::Password(account) => arguments.has(account),
                Asks::NewPassword(_) | Asks::Recovery => true,
                Asks::ChangedPassword => arguments.has(&NEW_PASSWORD),
            }
    }

    /// Reads the password file, if one is named. The end of the client cancels it.
    async fn password_of_file(&self) -> Result<Option<Secret>, Failure> {
        let ended = async {
            self.client().finished().await;
            Err(Failure::new(FailureCode::Ended, "The client has ended."))
        };
        self.passwords.from_file().or(ended).await
    }

    /// Returns the arguments after the plugins' filters, or `None` to send nothing.
    async fn filtered(&self, command: &Command, mut arguments: Arguments) -> Option<Arguments> {
        let Some(text) = command.says else { return Some(arguments) };
        let to = command.chat.and_then(|chat| arguments.optional(chat));
        if let Some(extension) = self.extension().filter(|_| self.is_filtered) {
            let sent = extension.filter_sent(to.as_deref(), &arguments.required(text)).await?;
            arguments.replace(text, sent);
        }
        Some(arguments)
    }
}
