//! The settings on the command line, in the environment and in the settings file.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use letschat_flags::number;
use letschat_flags::settings_file::{self, FlagsError, SettingsPlace};
use letschat_protocol::username::UsernameError;
use letschat_settings::flags::{self, ClientFlags, ClientFlagsError};
use letschat_settings::notify::{Notify, NotifyFlags, NotifyOf};

use crate::frontend::FirstLogin;
use crate::frontend::full::bindings::KeyBindings;
use crate::frontend::line::Interface;
use crate::frontend::line::notify::NotifyBy;
use crate::frontend::line::theme::{ColorChoice, Theme, ThemeName};
use letschat_commands::file_access::FileAccess;
use letschat_engine::address::{AddressError, ServerAddress, ServiceAddress};
use letschat_engine::client::{Classroom, Config};

/// Direct, encrypted chat between terminals.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "letschat",
    version,
    override_usage = USAGE,
    after_help = AFTER_HELP,
    disable_help_subcommand = true
)]
pub struct Options {
    /// The server's name or address, in place of --server
    #[arg(value_name = "HOST")]
    host: Option<String>,

    /// The server's port
    #[arg(value_name = "PORT", requires = "host", value_parser = number::<u16>(1..=u16::MAX.into()))]
    port: Option<u16>,

    /// With ID PORT1 PORT2: join a classroom on this machine as ID, from PORT1, with PORT2 for peers
    #[arg(
        value_name = "PORT2",
        requires = "port",
        conflicts_with_all = ["account", "no_login", "detach_on_chat", "script"],
        value_parser = number::<u16>(1..=u16::MAX.into())
    )]
    port2: Option<u16>,

    #[command(flatten)]
    pub(crate) client: ClientFlags,

    /// Read and write JSON lines, for programs
    #[arg(long, env = "LETSCHAT_JSON", conflicts_with = "plain")]
    json: bool,

    /// With --json, print own messages as events, too
    #[arg(long, env = "LETSCHAT_OWN_MESSAGES")]
    own_messages: bool,

    /// Plain lines, without colours or cursor movements
    #[arg(long, env = "LETSCHAT_PLAIN", global = true)]
    plain: bool,

    /// Use the whole screen of the terminal, with lists of conversations and people
    #[arg(long, env = "LETSCHAT_FULL", conflicts_with_all = ["json", "plain", "screen_reader"])]
    full: bool,

    /// Keys of the full screen, as in next-unread=alt+a,jump=f5; its help lists them
    #[arg(long, env = "LETSCHAT_KEYS", value_name = "ACTION=KEY,…")]
    keys: Option<KeyBindings>,

    #[command(flatten)]
    notify: NotifyFlags,

    /// The way to notify: by the terminal's bell, or by the terminal on the desktop
    #[arg(long, env = "LETSCHAT_NOTIFY_BY", value_name = "HOW", value_enum, default_value_t)]
    notify_by: NotifyBy,

    /// Plain lines for a screen reader: each begins with its sender, and nothing is drawn again
    #[arg(long, env = "LETSCHAT_SCREEN_READER", conflicts_with = "json")]
    screen_reader: bool,

    /// When to use colours; NO_COLOR is honoured
    #[arg(long, env = "LETSCHAT_COLOR", value_name = "WHEN", value_enum, default_value_t)]
    color: ColorChoice,

    /// The colours
    #[arg(long, value_name = "NAME", value_enum, default_value_t, env = "LETSCHAT_THEME")]
    theme: ThemeName,

    /// Accept an unknown server, even without a terminal
    #[arg(long, env = "LETSCHAT_ACCEPT_NEW_SERVER")]
    accept_new_server: bool,

    /// Run a Lua script with the arguments that follow; see docs/SCRIPTING.md
    #[arg(
        long,
        value_names = ["FILE", "ARGUMENTS"],
        num_args = 1..,
        allow_hyphen_values = true,
        conflicts_with_all = ["json", "plain"]
    )]
    script: Vec<String>,

    /// Check that a script compiles, and exit
    #[arg(long, value_name = "FILE", conflicts_with = "script")]
    check: Option<PathBuf>,

    /// A task other than a client of a server
    #[command(subcommand)]
    task: Option<Task>,
}

/// A task other than a client of a server.
#[derive(Debug, Clone, Subcommand)]
enum Task {
    /// Talk in an open room: by UDP, in clear text, without an account. Each line goes to everybody
    /// who has greeted the room
    OpenRoom {
        /// The room's name or address
        #[arg(value_name = "HOST")]
        room_host: String,
        /// The room's UDP port
        #[arg(value_name = "PORT", value_parser = number::<u16>(1..=u16::MAX.into()))]
        room_port: u16,
    },
}

const USAGE: &str = "\
letschat [OPTIONS] [HOST [PORT]]
       letschat [OPTIONS] ID PORT1 PORT2
       letschat open-room HOST PORT";

const AFTER_HELP: &str = "\
Commands are read from standard input; `/help` lists them.

Exit status: 0 all well, 1 a command or script failed, 2 wrong usage, 3 no server, 4 refused (login,
penalty, key changed). The first failure decides. SIGTERM, SIGINT and SIGHUP (not under nohup)
end it in order: 0 if all was well until then.";

/// The reason why parsed options are invalid.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// HOST and PORT are not an address.
    #[error("HOST: {0}")]
    Host(#[from] AddressError),
    /// The two ports of a classroom's client are one.
    #[error("PORT1 and PORT2 have to differ")]
    SamePorts,
    /// ID is no username.
    #[error("ID: {0}")]
    Id(#[from] UsernameError),
    /// An open room has no JSON or script mode.
    #[error("an open room is talked in at a prompt or with --plain, not with --json or --script")]
    OpenRoom,
    /// A flag that all front ends share can't be used.
    #[error(transparent)]
    Client(#[from] ClientFlagsError),
}

/// Returns the places of the settings file.
pub fn settings_place() -> SettingsPlace<'static> {
    flags::settings_place(&["script", "check"], &[])
}

impl Options {
    /// Reads the command line, the environment and the settings file.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, FlagsError> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        match settings_file::parse(&settings_place(), arguments.iter().cloned()) {
            Ok(parsed) => Ok(parsed.flags),
            Err(error) => Err(error.with_tip(|word| meant(word, &arguments))),
        }
    }

    /// Returns the script that drives the client, and its arguments.
    pub fn script(&self) -> Option<(&Path, &[String])> {
        let (file, arguments) = self.script.split_first()?;
        Some((Path::new(file), arguments))
    }

    /// Returns the script to check.
    pub fn check(&self) -> Option<&Path> {
        self.check.as_deref()
    }

    /// Returns the open room to join, if that is the task.
    pub fn open_room(&self) -> Result<Option<ServerAddress>, OptionsError> {
        match &self.task {
            None => Ok(None),
            Some(_) if self.is_driven() => Err(OptionsError::OpenRoom),
            Some(Task::OpenRoom { room_host, room_port }) => {
                match ServerAddress::with_port(room_host, *room_port)? {
                    // A room has no key.
                    room if room.fingerprint.is_some() => {
                        Err(AddressError::Host(room_host.clone()).into())
                    }
                    room => Ok(Some(room)),
                }
            }
        }
    }

    /// Returns the folder of plugins, unless none are wanted.
    pub fn plugins(&self) -> Option<PathBuf> {
        self.client.plugins()
    }

    /// Returns true if a program drives the client.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Returns true if that program also gets own messages.
    pub fn tells_own_messages(&self) -> bool {
        self.own_messages
    }

    /// Returns true if a person types the commands at a terminal.
    pub fn is_interactive(&self) -> bool {
        !self.is_driven() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Returns true for the line client: at a terminal, unless plain lines are wanted.
    pub fn is_line(&self) -> bool {
        let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        is_terminal && !self.is_driven() && !self.plain && !self.screen_reader && !is_dumb()
    }

    /// Returns the way in which the line client uses the terminal.
    pub fn interface(&self) -> Interface {
        if self.full {
            Interface::Full(self.keys.clone().unwrap_or_default())
        } else {
            Interface::Line
        }
    }

    /// Returns the user's wishes about notifications.
    pub fn notifications(&self) -> Notify {
        self.notify.notify(if self.full { NotifyOf::Direct } else { NotifyOf::Requests })
    }

    /// Returns the way to notify.
    pub fn notify_by(&self) -> NotifyBy {
        self.notify_by
    }

    /// Returns the reason why the whole screen is wanted and can't be used.
    pub fn no_full_screen(&self) -> Option<&'static str> {
        let why = "this terminal can't move its cursor (TERM is dumb or not set)";
        (self.full && self.is_interactive() && is_dumb()).then_some(why)
    }

    /// Returns true if a screen reader reads the output.
    pub fn has_screen_reader(&self) -> bool {
        self.screen_reader
    }

    /// Returns true if a program or a script drives the client.
    fn is_driven(&self) -> bool {
        self.json || !self.script.is_empty()
    }

    /// Returns the styles of the line client.
    pub fn theme(&self) -> Theme {
        let is_set = |value: std::ffi::OsString| !value.is_empty();
        Theme::new(self.theme, self.color, std::env::var_os("NO_COLOR").is_some_and(is_set))
    }

    /// Returns true to ask the questions of the first run if there is no login at the start.
    pub fn wants_welcome(&self) -> bool {
        !self.client.no_login
    }

    /// Returns the settings file for the answer if the server has to be asked for: at a terminal, with no server in the
    /// options, no account on this machine, and no settings file.
    pub fn asks_for_server(&self) -> Option<PathBuf> {
        if self.host.is_some() || !self.is_line() {
            return None;
        }
        self.client.asks_for_server(&settings_place())
    }

    /// Returns the options with this server.
    pub fn with_server(self, server: ServiceAddress) -> Options {
        let client = ClientFlags { server: Some(server), ..self.client };
        Options { client, ..self }
    }

    /// Returns the password file, if one was named.
    pub fn password_file(&self) -> Option<PathBuf> {
        self.client.password_file.clone()
    }

    /// Returns the config of the client.
    pub fn to_config(&self) -> Result<Config, OptionsError> {
        let server = self.server()?;
        let classroom = self.classroom();
        if classroom.is_some() && self.port == self.port2 {
            return Err(OptionsError::SamePorts);
        }
        // Nobody elsewhere is in a class on this machine.
        let first = server.servers().first().and_then(|first| first.host.parse().ok());
        let here = first.filter(IpAddr::is_loopback);
        let accepts_new = self.accept_new_server
            || classroom.is_some()
            || self.is_interactive()
            || self.is_line();
        let config = self.client.to_config(server, accepts_new)?;
        Ok(Config {
            peer_port: self.port2.unwrap_or(config.peer_port),
            peer_listen: config.peer_listen.or(here.filter(|_| classroom.is_some())),
            classroom,
            ..config
        })
    }

    /// Returns the part in a classroom, if this is a client of one.
    fn classroom(&self) -> Option<Classroom> {
        self.port2.and(self.port).map(|server_port| Classroom { server_port })
    }

    /// Returns the login at the start. Without a name it is the only unused account of this machine
    /// for the server.
    pub fn first_login(&self, config: &Config) -> Result<FirstLogin, OptionsError> {
        if let (Some(id), Some(_)) = (&self.host, self.port2) {
            return Ok(FirstLogin::As(id.parse()?));
        }
        let account = match &self.client.account {
            // A script logs in itself.
            None if self.script().is_some() => None,
            _ => self.client.first_account(config),
        };
        Ok(account.map_or(FirstLogin::None, FirstLogin::As))
    }

    fn server(&self) -> Result<ServiceAddress, AddressError> {
        match (&self.host, self.port) {
            (Some(host), None) if self.port2.is_none() => host.parse(),
            (Some(host), Some(port)) if self.port2.is_none() => {
                ServiceAddress::with_port(host, port)
            }
            _ => {
                let usual = || ServerAddress::on_this_machine().into();
                Ok(self.client.server.clone().unwrap_or_else(usual))
            }
        }
    }

    /// Returns the places where scripts and plugins may read and save files.
    ///
    /// # Errors
    ///
    /// A named folder does not exist.
    pub fn files(&self) -> Result<FileAccess, OptionsError> {
        Ok(self.client.files()?)
    }

    /// Returns the folder of keys and state.
    pub fn data_folder(&self) -> Result<PathBuf, OptionsError> {
        Ok(self.client.data_folder()?)
    }
}

/// Suggests the syntax for a flag that does not exist.
fn meant(word: &str, arguments: &[OsString]) -> Option<String> {
    if !matches!(word, "--port" | "-p") {
        return None;
    }
    let at = arguments.iter().position(|argument| argument.to_str() == Some(word));
    let next = at.and_then(|at| arguments.get(at + 1)?.to_str());
    let port = next.filter(|next| next.parse::<u16>().is_ok()).unwrap_or("PORT");
    if arguments.iter().any(|argument| argument == "open-room") {
        return Some(format!("the room's port follows its name, 'letschat open-room HOST {port}'"));
    }
    Some(format!(
        "the server's port follows its name, 'letschat HOST {port}' or '--server HOST:{port}'; \
         peers arrive at '--peer-port'"
    ))
}

/// Returns true for a terminal that can't move its cursor.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

#[cfg(test)]
mod tests;
