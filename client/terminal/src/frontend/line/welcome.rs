//! The questions of the first run, up to the login.

use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt as _;
use letschat_protocol::password;
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;
use serde_json::{Map, Value};

use super::handles::{EditorRequest, Keyboard, Screen, Typed};
use crate::frontend::FIRST_COMMANDS;
use letschat_commands::command::{Command, Dispatcher, Prepared, Role, find, parse_object};
use letschat_commands::failure::Failure;
use letschat_commands::passwords::{PASSWORD, REPEATED};
use letschat_commands::render;
use letschat_core::codes::FailureCode;
use letschat_core::session::{Reply, Request};
use letschat_protocol::dialogue::Secret;

const GREETING: &str = "\
Welcome to Let's Chat. A few questions, and you are in; Ctrl+C skips them.";

/// The maximum wait for the server's answer. The attempt goes on after it, at the prompt.
const PATIENCE: Duration = Duration::from_secs(10);

const NEXT: &str = "\
What next?
  /list            shows who is here
  /send NAME TEXT  writes to anybody, also to those who are away
  /connect NAME    asks somebody for a chat; in a chat just type
  /broadcast TEXT  tells everybody who is here
  /help            shows all commands
  /quit            ends, as does Ctrl+D";

const AT_QUESTIONS: &str = "\
Answer the question. Ctrl+C skips the questions, `quit` or Ctrl+D ends.";

/// The user's way out of the questions.
enum Stop {
    Skip,
    Quit,
}

/// Asks the questions up to the login, unless the user skips them.
pub(super) async fn lead(dispatcher: &Dispatcher, keyboard: &Keyboard, screen: &Screen) {
    let guide = Guide { dispatcher, keyboard, screen };
    guide.show(GREETING).await;
    match guide.lead().await {
        Ok(()) => guide.show(NEXT).await,
        Err(Stop::Skip) => guide.show(FIRST_COMMANDS).await,
        // The client may have ended.
        Err(Stop::Quit) => drop(dispatcher.client().request(Request::Quit).await),
    }
}

struct Guide<'a> {
    dispatcher: &'a Dispatcher,
    keyboard: &'a Keyboard,
    screen: &'a Screen,
}

impl Guide<'_> {
    async fn lead(&self) -> Result<(), Stop> {
        self.reach_server().await?;
        loop {
            let answer = self.ask("Do you have an account here (y/n)? ").await?;
            match answer.to_lowercase().as_str() {
                "y" | "yes" => return self.log_in().await,
                "n" | "no" => return self.sign_up().await,
                _ => self.show("Please answer `y` or `n`.").await,
            }
        }
    }

    /// Connects to the server before asking for a name and a password.
    async fn reach_server(&self) -> Result<(), Stop> {
        let server = match self.dispatcher.client().request(Request::Status).await {
            Ok(Reply::Status(status)) => Printable(&status.server).to_string(),
            _ => return Err(Stop::Quit),
        };
        loop {
            let reaching = self.dispatcher.client().request(Request::Reach);
            let reached = self.wait(&format!("Connecting to {server}"), reaching).await?;
            let Err(failure) = reached else { return Ok(()) };
            self.show(&render::failure(&failure.into())).await;
            self.show("Another server: `quit`, then `letschat HOST [PORT]`.").await;
            self.ask("Press Enter to try again. ").await?;
        }
    }

    /// Asks a question. An answer may be `help` or `quit` instead.
    async fn ask(&self, question: &str) -> Result<String, Stop> {
        loop {
            match self.keyboard.order(EditorRequest::Answer(question.to_owned())).await {
                Typed::Answer(Some(answer)) => match command(&answer) {
                    None => return Ok(answer),
                    Some(Role::Quit) => return Err(Stop::Quit),
                    Some(_) => self.show(AT_QUESTIONS).await,
                },
                typed => return Err(stop(&typed)),
            }
        }
    }

    /// Waits for the server. Cancels the work if the user gives up.
    async fn wait<T>(&self, text: &str, work: impl Future<Output = T>) -> Result<T, Stop> {
        let heard = async |line: &str| match command(line) {
            Some(Role::Quit) => false,
            Some(_) => {
                self.show(AT_QUESTIONS).await;
                true
            }
            None => true,
        };
        let waited = self.keyboard.wait(&format!("{text}… (Ctrl+C skips)"), work, heard).await;
        match waited {
            Ok(result) => Ok(result),
            Err(typed) => {
                // The work may be done already.
                let _ = self.dispatcher.client().request(Request::Cancel(None)).await;
                Err(stop(&typed))
            }
        }
    }

    async fn log_in(&self) -> Result<(), Stop> {
        let mut name = None;
        loop {
            let username = self.ask_for_name("Your name", name.as_ref()).await?;
            let password = self.dispatcher.passwords().for_login().await;
            let result = match password.map_err(|failure| refused(&failure))? {
                Some(password) => {
                    let login = arguments(&username, [(PASSWORD.name, password)]);
                    self.run(Role::LogIn, &login).await?
                }
                None => {
                    let login = self.dispatcher.run(Prepared::login(username.as_str()));
                    self.wait("Logging in", in_time(login)).await?.ok_or(Stop::Skip)?
                }
            };
            let Err(failure) = result else { return Ok(()) };
            self.show(&render::failure(&failure)).await;
            name = Some(username);
        }
    }

    async fn sign_up(&self) -> Result<(), Stop> {
        let mut name = self.ask_for_new_name().await?;
        let mut chosen = None;
        loop {
            let password = match chosen.take().filter(|chosen| is_good(chosen, &name)) {
                Some(password) => password,
                None => self.ask_for_password(&name).await?,
            };
            let repeated = (REPEATED.name, password.clone());
            let sign_up = arguments(&name, [(PASSWORD.name, password.clone()), repeated]);
            let Err(failure) = self.run(Role::SignUp, &sign_up).await? else {
                let login = arguments(&name, [(PASSWORD.name, password)]);
                return match self.run(Role::LogIn, &login).await? {
                    Ok(_) => Ok(()),
                    Err(failure) => {
                        self.show(&render::failure(&failure)).await;
                        Err(Stop::Skip)
                    }
                };
            };
            self.show(&render::failure(&failure)).await;
            match failure.code {
                // Keep the password for another name.
                FailureCode::NameTaken | FailureCode::NameInvalid => {
                    self.show("Your password stays the one that you gave.").await;
                    name = self.ask_for_new_name().await?;
                    chosen = Some(password);
                }
                FailureCode::PasswordWeak | FailureCode::PasswordsDiffer => {}
                _ => return Err(Stop::Skip),
            }
        }
    }

    async fn ask_for_new_name(&self) -> Result<Username, Stop> {
        self.ask_for_name("The name you want (a-z, 0-9, _ - .)", None).await
    }

    /// Asks for a valid name. An empty answer means the `usual` one.
    async fn ask_for_name(
        &self,
        question: &str,
        usual: Option<&Username>,
    ) -> Result<Username, Stop> {
        let hint = usual.map(|usual| format!(" (empty: {usual})")).unwrap_or_default();
        loop {
            let answer = self.ask(&format!("{question}{hint}: ")).await?;
            match (answer.parse::<Username>(), usual) {
                (Ok(name), _) => return Ok(name),
                (Err(_), Some(usual)) if answer.is_empty() => return Ok(usual.clone()),
                (Err(error), _) => self.show(&format!("Sorry: {error}.")).await,
            }
        }
    }

    async fn ask_for_password(&self, name: &Username) -> Result<Secret, Stop> {
        let chosen = self.dispatcher.passwords().for_signup(name.as_str()).await;
        let chosen = chosen.map_err(|failure| refused(&failure))?;
        chosen.map(|(password, _)| password).ok_or(Stop::Skip)
    }

    /// Runs a command with its arguments. The outer result is an error after [`PATIENCE`].
    async fn run(
        &self,
        role: Role,
        arguments: &Map<String, Value>,
    ) -> Result<Result<Reply, Failure>, Stop> {
        let work = async {
            let call = parse_object(Command::of(role).name, arguments)
                .map_err(|rejection| rejection.failure)?;
            let call = self.dispatcher.prepare(call).await?;
            self.dispatcher.run(call).await
        };
        let text = if role == Role::SignUp { "Making your account" } else { "Logging in" };
        self.wait(text, in_time(work)).await?.ok_or(Stop::Skip)
    }

    async fn show(&self, text: &str) {
        // The screen outlives the questions.
        let _ = self.screen.show(text).await;
    }
}

/// Returns the role of an answer that is a command: one of those that the questions name, or any with a slash.
fn command(answer: &str) -> Option<Role> {
    let (is_marked, name) = match answer.trim().strip_prefix('/') {
        Some(name) => (true, name),
        None => (false, answer.trim()),
    };
    let role = find(name).ok().and_then(|command| command.role);
    match role {
        Some(Role::Quit | Role::Help) => role,
        _ => is_marked.then_some(Role::Help),
    }
}

fn stop(typed: &Typed) -> Stop {
    if matches!(typed, Typed::Answer(None)) { Stop::Skip } else { Stop::Quit }
}

/// Returns the meaning of a hidden question's failure.
fn refused(failure: &Failure) -> Stop {
    if failure.code == FailureCode::Cancelled { Stop::Skip } else { Stop::Quit }
}

fn is_good(password: &Secret, name: &Username) -> bool {
    password::check(&password.0, name).is_ok()
}

/// Runs the work for at most [`PATIENCE`].
async fn in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let expired = async {
        Timer::after(PATIENCE).await;
        None
    };
    async { Some(work.await) }.or(expired).await
}

fn arguments<const N: usize>(name: &Username, secrets: [(&str, Secret); N]) -> Map<String, Value> {
    let secrets = secrets.map(|(key, secret)| (key.to_owned(), Value::String(secret.0)));
    let name = ("username".to_owned(), Value::String(name.to_string()));
    [name].into_iter().chain(secrets).collect()
}
