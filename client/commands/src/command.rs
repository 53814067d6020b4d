//! Commands as data, and the one dispatcher that every front end goes through.

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
use self::reading::{is_marked, is_said_by_alias, misused, needs_a_slash, said_too_late, switch};
use crate::arguments::{ArgumentError, Arguments, Parameter};
use crate::commands::TABLE;
use crate::extension::{self, Extension};
use crate::failure::Failure;
use crate::passwords::{NEW_PASSWORD, PASSWORD, Passwords, REPEATED};
use letschat_core::codes::FailureCode;
use letschat_core::session::{Phase, Reply, Request, Typing};
use letschat_core::view::LinkState;
use letschat_engine::client::Client;

/// Something that a user can do.
#[derive(Debug)]
pub struct Command {
    /// What it is called.
    pub name: &'static str,
    /// What else it is called.
    pub aliases: &'static [&'static str],
    /// One line for help.
    pub summary: &'static str,
    /// A typed line that does something sensible.
    pub example: &'static str,
    /// A sentence for its own help alone; may be empty.
    pub note: &'static str,
    /// What it takes, in the order of a typed line.
    pub parameters: &'static [Parameter],
    /// When it is allowed; checked by the dispatcher.
    pub allowed: Allowed,
    /// What the dispatcher asks for if it was not given.
    pub asks: Asks,
    /// The role by which front ends find it.
    pub role: Option<Role>,
    /// The text that it says to others. Extensions filter it, and no file keeps it.
    pub says: Option<&'static Parameter>,
    /// The chat that it is for, if not the current one.
    pub chat: Option<&'static Parameter>,
    /// Success has no reply of its own: an event or the next prompt shows it.
    pub is_quiet: bool,
    /// Does it. The arguments fit the parameters.
    pub run: fn(Context, &Arguments) -> CommandFuture,
}

/// When a command is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// At any time.
    Always,
    /// While logged in, or once the session has logged in again a user who was dropped as idle.
    LoggedIn,
}

/// A purpose for which a front end runs a command without knowing its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Makes an account.
    SignUp,
    /// Logs in to one.
    LogIn,
    /// Asks for a chat.
    Connect,
    /// Says a text in a chat.
    Say,
    /// Makes another chat the current one.
    Switch,
    /// Ends a chat.
    EndChat,
    /// Leaves the server.
    Leave,
    /// Ends the client.
    Quit,
}

/// What is asked for if it was not given. A password may also come from the password file.
#[derive(Debug, Clone, Copy)]
pub enum Asks {
    /// None.
    Nothing,
    /// That of an account, if this parameter names one.
    Password(&'static Parameter),
    /// One for a new account, which this parameter names, and the same again as `repeated`.
    NewPassword(&'static Parameter),
    /// The account's present password, the one it is to have as `new_password`, and that again as
    /// `repeated`.
    ChangedPassword,
    /// This text, by this question, if a person types the command.
    Text(&'static Parameter, &'static str),
}

/// The result of a command, when it is there.
pub type CommandFuture = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send>>;

/// What a command works with.
#[derive(Clone)]
pub struct Context {
    /// The client.
    pub client: Client,
    /// The source of added commands, if there is one.
    pub extension: Option<Arc<dyn Extension>>,
    /// Whether a chat that is asked for becomes current when it opens.
    pub switches: bool,
}

impl Context {
    /// For commands that are one request.
    pub fn ask(self, request: Request) -> CommandFuture {
        Box::pin(async move { Ok(self.client.request(request).await?) })
    }
}

impl Command {
    /// Returns a command without a name, which is to be given the fields that it differs in.
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

    /// Returns the command of this role. Each has one, which a test sees to.
    pub fn of(role: Role) -> &'static Command {
        let mut commands = TABLE.iter();
        commands.find(|command| command.role == Some(role)).expect("a command has each role")
    }

    /// How it is typed: `connect WHO [force]`.
    pub fn usage(&self) -> String {
        let parameters: String = self.parameters.iter().map(Parameter::to_string).collect();
        format!("{}{parameters}", self.name)
    }
}

/// A command with arguments that fit it.
#[derive(Debug)]
pub struct Call {
    command: &'static Command,
    arguments: Arguments,
    /// True if a program gave it by name, false for a typed line.
    is_by_name: bool,
}

impl Call {
    fn new(command: &'static Command, arguments: Arguments) -> Call {
        Call { command, arguments, is_by_name: false }
    }

    /// Returns the call of the command of this role, without arguments.
    pub fn of(role: Role) -> Call {
        Call::new(Command::of(role), Arguments::default())
    }

    /// The command's name.
    pub fn name(&self) -> &'static str {
        self.command.name
    }

    /// The command.
    pub fn command(&self) -> &'static Command {
        self.command
    }

    /// The same for this chat, if it would be for the current one.
    pub fn aimed_at(mut self, chat: &Username) -> Call {
        if let Some(chosen) = self.command.chat.filter(|chosen| !self.arguments.has(chosen)) {
            self.arguments.give(chosen, chat.to_string());
        }
        self
    }

    /// A typed command that the table does not have, but an extension.
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

    /// The question that a person is asked for the text that is missing.
    pub fn question(&self) -> Option<&'static str> {
        match self.command.asks {
            Asks::Text(text, question) if !self.arguments.has(text) => Some(question),
            _ => None,
        }
    }

    /// The same with the answer to that question.
    pub fn answered(mut self, answer: String) -> Call {
        if let Asks::Text(text, _) = self.command.asks {
            self.arguments.give(text, answer);
        }
        self
    }
}

impl Prepared {
    /// Returns a login that asks nobody: by the password file, if one was named, or by key.
    pub fn login(username: &str) -> Prepared {
        let mut call = Call::of(Role::LogIn);
        if let Some(account) = call.command.parameters.first() {
            call.arguments.give(account, username.to_owned());
        }
        Prepared(call)
    }

    /// The command.
    pub fn command(&self) -> &'static Command {
        self.0.command
    }
}

/// A call of which everything has been asked that there was to ask.
#[derive(Debug)]
pub struct Prepared(Call);

/// Why there is no [`Call`].
#[derive(Debug, Clone)]
pub struct Rejection {
    /// The command, if it is known.
    pub command: Option<&'static Command>,
    /// Why.
    pub failure: Failure,
}

/// Runs commands of the table.
#[derive(Clone)]
pub struct Dispatcher {
    context: Context,
    passwords: Passwords,
    /// Whether plugins filter what is sent.
    is_filtered: bool,
}

impl Dispatcher {
    /// A dispatcher for one client.
    pub fn new(client: Client, passwords: Passwords) -> Dispatcher {
        let context = Context { client, extension: None, switches: true };
        Dispatcher { context, passwords, is_filtered: false }
    }

    /// The same for a user whose plugins add commands and filter what is sent.
    pub fn with_extension(mut self, extension: Arc<dyn Extension>) -> Dispatcher {
        self.context.extension = Some(extension);
        self.is_filtered = true;
        self
    }

    /// The same for a plugin: what it sends it does not filter itself, and its user's text goes where it
    /// went.
    pub fn below_extension(mut self, extension: Arc<dyn Extension>) -> Dispatcher {
        self.context.extension = Some(extension);
        self.at_a_prompt()
    }

    /// The same for a prompt, which goes to a chat that was asked for if nothing has been typed.
    pub fn at_a_prompt(mut self) -> Dispatcher {
        self.context.switches = false;
        self
    }

    fn extension(&self) -> Option<&dyn Extension> {
        self.context.extension.as_deref()
    }

    /// The client that the commands go to.
    pub fn client(&self) -> &Client {
        &self.context.client
    }

    /// Where passwords come from.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Reads a typed line: a command, or text for the current chat.
    pub fn parse_line(&self, line: &str) -> Result<Call, Rejection> {
        self.parse(line, &self.client().typing())
    }

    /// Makes plain lines commands again if this one is a command and a chat was over when it was typed:
    /// its user knows of that end. One that goes to another chat does more than that, or fails.
    pub async fn note_command(&self, line: &str, seen: &Typing) {
        if let Typing::Over(who) = seen
            && is_marked(line)
            && switch(line).is_none()
        {
            // A client that has ended reads no more lines.
            let _ = self.client().request(Request::AcceptEnd(who.clone())).await;
        }
    }

    /// Reads a typed line where it is known what plain text means.
    pub fn parse(&self, line: &str, typing: &Typing) -> Result<Call, Rejection> {
        let is_marked = is_marked(line);
        if let Typing::Over(who) = typing
            && !is_marked
        {
            return switch(line).ok_or_else(|| said_too_late(who));
        }
        let in_chat = matches!(typing, Typing::Chat(_));
        if !self.context.switches && !is_marked && !in_chat && is_said_by_alias(line) {
            return Err(needs_a_slash());
        }
        parse_line(line, in_chat).or_else(|rejection| {
            let extension = self.extension().filter(|_| is_marked || !in_chat);
            extension.and_then(|extension| Call::added(extension, line)).ok_or(rejection)
        })
    }

    /// Asks the user for what a call lacks. While this waits the user may be answering a question, so
    /// a front end reads no lines meanwhile. A password file is read later, by [`run`](Self::run): that
    /// may take for ever.
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
            Asks::Password(_) | Asks::NewPassword(_) if in_a_file => {}
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

    /// Runs a call, if it is allowed now.
    pub async fn run(&self, call: Prepared) -> Result<Reply, Failure> {
        let Prepared(Call { command, mut arguments, is_by_name }) = call;
        // A program that gives a command by name means no chat that is over. A plugin may, for its user.
        if let Typing::Over(who) = self.client().typing()
            && is_by_name
            && self.context.switches
            && command.says.is_none()
        {
            // A client that has ended runs nothing more.
            let _ = self.client().request(Request::AcceptEnd(who)).await;
        }
        if command.allowed == Allowed::LoggedIn && self.context.client.phase() == Phase::Offline {
            let message = match self.client().read_view(|view| view.session.link) {
                LinkState::Offline => "You are not logged in; `/login NAME` first.",
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

    fn own_name(&self) -> Option<Username> {
        self.client().read_view(|view| view.session.username.clone())
    }

    fn takes_password_from_file(&self, command: &Command, arguments: &Arguments) -> bool {
        self.passwords.are_in_a_file()
            && match command.asks {
                Asks::Nothing | Asks::Text(..) => false,
                Asks::Password(account) => arguments.has(account),
                Asks::NewPassword(_) => true,
                Asks::ChangedPassword => arguments.has(&NEW_PASSWORD),
            }
    }

    /// The password in the file, if one was named. The end of the client ends the wait for it.
    async fn password_of_file(&self) -> Result<Option<Secret>, Failure> {
        let ended = async {
            self.client().finished().await;
            Err(Failure::new(FailureCode::Ended, "The client has ended."))
        };
        self.passwords.from_file().or(ended).await
    }

    /// What is to be sent once the plugins have seen it; `None`: nothing.
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
