//! The first run: to an account, step by step.

use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt as _;
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;
use serde_json::{Map, Value};

use super::handles::{Keyboard, Screen};
use letschat_commands::command::{Command, Dispatcher, Prepared, Role, find, parse_object};
use letschat_commands::failure::Failure;
use letschat_commands::passwords::{PASSWORD, REPEATED};
use letschat_commands::render;
use letschat_core::session::{Reply, Request};

const GREETING: &str = "\
Welcome to Let's Chat. A few questions, and you are in; Ctrl+C skips them.";

/// A server that does not answer is tried for long. After this time there is a prompt.
const PATIENCE: Duration = Duration::from_secs(10);

const LEFT_OUT: &str = "\
`/signup NAME` makes an account, `/login NAME` logs in, `/help` shows everything.";

const NEXT: &str = "\
What next?
  /list            shows who is here
  /connect NAME    asks somebody for a chat; in a chat just type
  /broadcast TEXT  tells everybody who is here
  /help            shows all commands
  /quit            ends, as does Ctrl+D";

const AT_QUESTIONS: &str = "\
Answer the question. Ctrl+C skips the questions, `quit` ends.";

/// Leads to a login, or past it. The screen outlives this, so nothing that is shown is lost.
pub(super) async fn lead(dispatcher: &Dispatcher, keyboard: &Keyboard, screen: &Screen) {
    let guide = Guide { dispatcher, keyboard, screen };
    guide.greet().await;
    let text = if guide.lead().await.is_some() { NEXT } else { LEFT_OUT };
    guide.show(text).await;
}

struct Guide<'a> {
    dispatcher: &'a Dispatcher,
    keyboard: &'a Keyboard,
    screen: &'a Screen,
}

impl Guide<'_> {
    async fn greet(&self) {
        self.show(GREETING).await;
        if let Ok(Reply::Status(status)) = self.dispatcher.client().request(Request::Status).await {
            let server = Printable(&status.server);
            let text = format!("The server is {server}; `letschat HOST [PORT]` names another.");
            self.show(&text).await;
        }
    }

    /// `None` if the user calls it off.
    async fn lead(&self) -> Option<()> {
        loop {
            let answer = self.ask("Do you have an account here (y/n)? ").await?;
            let is_in = match answer.to_lowercase().as_str() {
                "y" | "yes" => self.log_in().await?,
                "n" | "no" => self.sign_up().await?,
                _ => false,
            };
            if is_in {
                return Some(());
            }
        }
    }

    /// Asks a question. Returns `None` if the user skips it, or ends the client instead.
    async fn ask(&self, question: &str) -> Option<String> {
        loop {
            let answer = self.keyboard.ask(question).await?;
            match find(answer.trim_start_matches('/')) {
                Ok(command) if command.role == Some(Role::Quit) => {
                    // A client that has ended needs no other word.
                    let _ = self.dispatcher.client().request(Request::Quit).await;
                    return None;
                }
                Ok(_) => self.show(AT_QUESTIONS).await,
                Err(_) => return Some(answer),
            }
        }
    }

    async fn log_in(&self) -> Option<bool> {
        let name = self.ask("Your name: ").await?;
        let password = self.dispatcher.passwords().for_login().await.ok()?;
        let Some(password) = password else { return self.log_in_by_key(name).await };
        let mut arguments = username(name);
        arguments.insert(PASSWORD.name.into(), password.0.into());
        self.run(Role::LogIn, &arguments).await
    }

    async fn log_in_by_key(&self, name: String) -> Option<bool> {
        let result = in_time(self.dispatcher.run(Prepared::login(&name))).await?;
        self.tell(&result).await;
        Some(result.is_ok())
    }

    async fn sign_up(&self) -> Option<bool> {
        let name = self.ask_for_name().await?;
        let (password, repeated) = self.dispatcher.passwords().for_signup(&name).await.ok()??;
        let mut arguments = username(name);
        arguments.insert(PASSWORD.name.into(), password.0.into());
        let login = arguments.clone();
        arguments.insert(REPEATED.name.into(), repeated.0.into());
        match self.run(Role::SignUp, &arguments).await? {
            true => self.run(Role::LogIn, &login).await,
            false => Some(false),
        }
    }

    /// A name that the server can't refuse for its letters, before a password is thought up for it.
    async fn ask_for_name(&self) -> Option<String> {
        loop {
            let name = self.ask("The name you want (a-z, 0-9, _ - .): ").await?;
            match name.parse::<Username>() {
                Ok(_) => return Some(name),
                Err(error) => self.show(&format!("Sorry: {error}.")).await,
            }
        }
    }

    /// Runs a command and shows its result. Returns true if it succeeded, `None` if that is not known yet.
    async fn run(&self, role: Role, arguments: &Map<String, Value>) -> Option<bool> {
        let result = in_time(self.carry_out(role, arguments)).await?;
        // What comes after a sign-up is done here, not by the user.
        if result.is_err() || role != Role::SignUp {
            self.tell(&result).await;
        }
        Some(result.is_ok())
    }

    async fn tell(&self, result: &Result<Reply, Failure>) {
        let text = match result {
            Ok(reply) => render::reply(reply),
            Err(failure) => Some(render::failure(failure)),
        };
        if let Some(text) = text {
            self.show(&text).await;
        }
    }

    async fn carry_out(
        &self,
        role: Role,
        arguments: &Map<String, Value>,
    ) -> Result<Reply, Failure> {
        let call = parse_object(Command::of(role).name, arguments)
            .map_err(|rejection| rejection.failure)?;
        let call = self.dispatcher.prepare(call).await?;
        self.dispatcher.run(call).await
    }

    async fn show(&self, text: &str) {
        // The screen is open as long as anybody asks.
        let _ = self.screen.show(text).await;
    }
}

/// `None` if it takes longer than somebody wants to look at a welcome.
async fn in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let expired = async {
        Timer::after(PATIENCE).await;
        None
    };
    async { Some(work.await) }.or(expired).await
}

fn username(name: String) -> Map<String, Value> {
    Map::from_iter([("username".to_owned(), Value::String(name))])
}
