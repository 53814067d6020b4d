//! Commands and requests of the window.

use letschat_commands::command::{Call, Command, Prepared, Rejection, Role, parse_object};
use letschat_commands::failure::Failure;
use letschat_commands::passwords::PASSWORD;
use letschat_core::codes::FailureCode;
use letschat_core::conversation::ConversationId;
use letschat_core::session::{Reply, Request};
use letschat_protocol::username::Username;
use serde_json::{Map, Value};

use crate::live::Live;

/// The name of an account, as the commands take it.
pub(crate) const USERNAME: &str = "username";

impl Live {
    /// Runs the command of a role with these arguments.
    pub(crate) async fn run_role<const N: usize>(
        &self,
        role: Role,
        arguments: [(&str, String); N],
    ) -> Result<Reply, Failure> {
        let arguments = arguments.map(|(name, value)| (name.to_owned(), Value::String(value)));
        self.run_object(Command::of(role).name, &arguments.into_iter().collect()).await
    }

    /// Runs a command with the arguments of an object.
    pub(crate) async fn run_object(
        &self,
        name: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Reply, Failure> {
        self.run_call(parse_object(name, arguments), self.shown()).await
    }

    /// Runs a line, which is a command, as it was typed while this conversation was shown.
    pub(crate) async fn run_line(
        &self,
        line: &str,
        shown: Option<ConversationId>,
    ) -> Result<Reply, Failure> {
        self.run_call(self.dispatcher().parse_line(line), shown).await
    }

    /// Runs a call. Without a target it goes to the conversation that is shown, whatever the session's current one is.
    async fn run_call(
        &self,
        call: Result<Call, Rejection>,
        shown: Option<ConversationId>,
    ) -> Result<Reply, Failure> {
        let call = call.map_err(|rejection| rejection.failure)?;
        let call = match shown {
            Some(shown) => call.aimed_at(&shown),
            None if call.is_for_current() => {
                let why = "Choose a conversation first.";
                return Err(Failure::new(FailureCode::NoChat, why));
            }
            None => call,
        };
        let role = call.command().role;
        let call = self.dispatcher().prepare(call).await?;
        let reply = self.dispatcher().run(call).await?;
        if matches!(role, Some(Role::Switch | Role::Connect)) {
            self.note_asked_for(self.client().typing().conversation());
        }
        Ok(reply)
    }

    /// Logs in by key or by the password file, without a question.
    pub(crate) async fn log_in(&self, username: &Username) -> Result<Reply, Failure> {
        self.dispatcher().run(Prepared::login(username.as_str())).await
    }

    /// Logs in by a password, or by key if it is empty.
    pub(crate) async fn log_in_as(
        &self,
        username: &str,
        password: String,
    ) -> Result<Reply, Failure> {
        match username.parse() {
            Ok(name) if password.is_empty() => self.log_in(&name).await,
            _ => {
                let arguments = [(USERNAME, username.to_owned()), (PASSWORD.name, password)];
                self.run_role(Role::LogIn, arguments).await
            }
        }
    }

    /// Runs a request.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        Ok(self.client().request(request).await?)
    }
}
