//! The settings of the window's client: on the command line, in the environment and in the settings file.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use letschat_engine::address::{AddressError, ServerAddress, ServiceAddress};
use letschat_flags::number;
use letschat_flags::settings_file::{self, FlagsError, SettingsPlace};
use letschat_settings::flags::{self, ClientFlags};
use letschat_settings::notify::{Notify, NotifyFlags, NotifyOf};

/// The settings of the clients at a terminal, which share the file.
const OF_TERMINALS: &[&str] = &[
    "json",
    "own-messages",
    "plain",
    "full",
    "keys",
    "notify-by",
    "screen-reader",
    "color",
    "theme",
    "accept-new-server",
];

/// Direct, encrypted chat in a window.
#[derive(Debug, Clone, Parser)]
#[command(name = "letschat-gtk", version)]
pub(crate) struct Options {
    /// The server's name or address, in place of --server
    #[arg(value_name = "HOST")]
    host: Option<String>,

    /// The server's port
    #[arg(value_name = "PORT", requires = "host", value_parser = number::<u16>(1..=u16::MAX.into()))]
    port: Option<u16>,

    #[command(flatten)]
    pub(crate) client: ClientFlags,

    #[command(flatten)]
    notify: NotifyFlags,
}

/// Returns the place of the settings file.
pub(crate) fn settings_place() -> SettingsPlace<'static> {
    flags::settings_place(&[], OF_TERMINALS)
}

impl Options {
    /// Reads the command line, the environment and the settings file.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Options, FlagsError> {
        settings_file::parse(&settings_place(), arguments).map(|parsed| parsed.flags)
    }

    /// Returns the server, or `None` if the user has to be asked for it.
    pub(crate) fn server(&self) -> Result<Option<ServiceAddress>, AddressError> {
        match (&self.host, self.port) {
            (Some(host), Some(port)) => {
                ServerAddress::with_port(host, port).map(|server| Some(server.into()))
            }
            (Some(host), None) => host.parse().map(Some),
            (None, _) if self.client.asks_for_server(&settings_place()).is_some() => Ok(None),
            (None, _) => {
                let usual = || ServerAddress::on_this_machine().into();
                Ok(Some(self.client.server.clone().unwrap_or_else(usual)))
            }
        }
    }

    /// Returns the settings file that the window changes.
    pub(crate) fn settings_file(&self) -> Option<PathBuf> {
        let usual = || settings_place().defaults.into_iter().next();
        self.client.config.clone().or_else(usual)
    }

    /// Returns the user's wishes about notifications.
    pub(crate) fn notify(&self) -> Notify {
        self.notify.notify(NotifyOf::Direct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn command_line_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn settings_of_terminals_are_all_that_are_not_known_here() {
        let keys = |command: clap::Command, place| settings_file::keys(&command, &place);
        let own = keys(Options::command(), settings_place());
        let terminal = letschat::config::settings_place();
        let terminal = keys(letschat::config::Options::command(), terminal);
        let others: Vec<String> = terminal.into_iter().filter(|key| !own.contains(key)).collect();
        assert_eq!(others, OF_TERMINALS);
    }
}
