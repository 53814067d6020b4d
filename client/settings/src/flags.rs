//! The flags that every front end has.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use letschat_commands::file_access::FileAccess;
use letschat_engine::account;
use letschat_engine::address::ServiceAddress;
use letschat_engine::client::{Config, HistoryConfig};
use letschat_flags::settings_file::SettingsPlace;
use letschat_flags::{ip_address, number};
use letschat_protocol::devices::DeviceName;
use letschat_protocol::username::Username;

/// The default port for peers.
pub const DEFAULT_PEER_PORT: u16 = 4401;

/// The flags of a client, whatever its front end.
#[derive(Debug, Clone, Args)]
pub struct ClientFlags {
    /// The server; with #FINGERPRINT only that key is accepted, and remembered. Several servers of
    /// one service stand with commas between them [default: 127.0.0.1:4400; the first run asks]
    #[arg(long, value_name = "HOST[:PORT][#FINGERPRINT]", env = "LETSCHAT_SERVER")]
    pub server: Option<ServiceAddress>,

    /// A file with settings: `detach-on-chat = true` for --detach-on-chat
    /// [default: letschat/settings.toml in the user's config folder]
    #[arg(long, value_name = "FILE", env = "LETSCHAT_CONFIG")]
    pub config: Option<PathBuf>,

    /// The folder for keys and state [default: letschat in the user's data folder]
    #[arg(long, value_name = "DIR", env = "LETSCHAT_DATA")]
    pub data: Option<PathBuf>,

    /// Log in as this account [default: the only one on this machine]
    #[arg(long = "as", env = "LETSCHAT_AS", value_name = "NAME", conflicts_with = "no_login")]
    pub account: Option<Username>,

    /// Do not log in at the start
    #[arg(long, env = "LETSCHAT_NO_LOGIN")]
    pub no_login: bool,

    /// The port for peers; if it is taken, another one is used
    #[arg(long, env = "LETSCHAT_PEER_PORT", value_name = "PORT", default_value_t = DEFAULT_PEER_PORT)]
    pub peer_port: u16,

    /// The address for peers [default: all, IPv6 and IPv4]
    #[arg(long, env = "LETSCHAT_PEER_LISTEN", value_name = "ADDRESS", value_parser = ip_address)]
    pub peer_listen: Option<IpAddr>,

    /// A file with the password for signup and login in its first line
    #[arg(long, env = "LETSCHAT_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Leave the server as soon as a chat opens
    #[arg(long, env = "LETSCHAT_DETACH_ON_CHAT")]
    pub detach_on_chat: bool,

    /// Attempts before giving up on a server that is busy or not there [default: tries for minutes, in a classroom without end]
    #[arg(long, env = "LETSCHAT_TRIES", value_name = "N", value_parser = number::<u32>(1..=u32::MAX.into()))]
    pub tries: Option<u32>,

    /// Log in again by itself after an idle timeout
    #[arg(long, env = "LETSCHAT_RETURN_AFTER_IDLE")]
    pub return_after_idle: bool,

    /// The name of this device, for your other devices [default: the host's name]
    #[arg(long, env = "LETSCHAT_DEVICE_NAME", value_name = "NAME")]
    pub device_name: Option<DeviceName>,

    /// The folder for received files [default: the user's download folder]
    #[arg(long, env = "LETSCHAT_DOWNLOADS", value_name = "DIR")]
    pub downloads: Option<PathBuf>,

    /// Keep messages on this machine, encrypted; see `/help history`
    #[arg(long, env = "LETSCHAT_HISTORY")]
    pub history: bool,

    /// With --history, the days for which messages are kept [default: without end]
    #[arg(long, env = "LETSCHAT_HISTORY_DAYS", value_name = "N", value_parser = number::<u32>(1..=36_500))]
    pub history_days: Option<u32>,

    /// A folder in which scripts and plugins may read and save files; may be given several times
    #[arg(long, env = "LETSCHAT_FILES", value_name = "DIR")]
    pub files: Vec<PathBuf>,

    /// The folder of plugins [default: letschat/plugins in the user's config folder]
    #[arg(long, value_name = "DIR", env = "LETSCHAT_PLUGINS")]
    pub plugins: Option<PathBuf>,

    /// Load no plugins
    #[arg(long, conflicts_with = "plugins")]
    pub no_plugins: bool,
}

/// The reason why flags can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientFlagsError {
    /// A folder for the files of scripts can't be used.
    #[error("--files {folder}: {source}")]
    #[allow(missing_docs)]
    Files { folder: PathBuf, source: std::io::Error },
    /// The system has no data folder for this user.
    #[error("this user has no data folder; name one with --data")]
    NoDataFolder,
}

/// Returns the places of the settings file, which all front ends share. `never` are the flags that make no sense there,
/// and `others` the settings of other front ends.
pub fn settings_place<'a>(never: &'a [&'a str], others: &'a [&'a str]) -> SettingsPlace<'a> {
    let folder = dirs::config_dir().map(|folder| folder.join("letschat"));
    let defaults = folder.into_iter().map(|folder| folder.join("settings.toml")).collect();
    SettingsPlace { defaults, never, others }
}

impl ClientFlags {
    /// Returns the config of a client of this server. `accepts_new` is true if a person is there to read the notice
    /// about a key that was never seen.
    pub fn to_config(
        &self,
        server: ServiceAddress,
        accepts_new: bool,
    ) -> Result<Config, ClientFlagsError> {
        Ok(Config {
            server,
            data_folder: self.data_folder()?,
            accept_new: accepts_new,
            peer_port: self.peer_port,
            peer_listen: self.peer_listen,
            classroom: None,
            detach_on_chat: self.detach_on_chat,
            tries: self.tries,
            return_after_idle: self.return_after_idle,
            device_name: self.device_name.clone(),
            downloads: self.downloads()?,
            history: self.history.then_some(HistoryConfig { days: self.history_days }),
        })
    }

    /// Returns the account to log in to at the start. Without a name it is the only unused account of this machine for
    /// the server.
    pub fn first_account(&self, config: &Config) -> Option<Username> {
        match &self.account {
            _ if self.no_login => None,
            Some(account) => Some(account.clone()),
            None => config.only_account(),
        }
    }

    /// Returns the settings file for the user's server if it has to be asked for: no server is named, this machine has
    /// no account, and there is no settings file. `place` is the one that was read.
    pub fn asks_for_server(&self, place: &SettingsPlace<'_>) -> Option<PathBuf> {
        if self.server.is_some() || self.config.is_some() || self.no_login {
            return None;
        }
        let has_account = account::any(&self.data_folder().ok()?);
        let file = place.defaults.first()?;
        (!has_account && !file.exists()).then(|| file.clone())
    }

    /// Returns the folder of plugins, unless none are wanted.
    pub fn plugins(&self) -> Option<PathBuf> {
        let usual = || Some(dirs::config_dir()?.join("letschat").join("plugins"));
        if self.no_plugins { None } else { self.plugins.clone().or_else(usual) }
    }

    /// Returns the folder for received files. Without a usual one it is in the data folder.
    pub fn downloads(&self) -> Result<PathBuf, ClientFlagsError> {
        match self.downloads.clone().or_else(dirs::download_dir) {
            Some(folder) => Ok(folder),
            None => Ok(self.data_folder()?.join("downloads")),
        }
    }

    /// Returns the places where scripts and plugins may read and save files.
    ///
    /// # Errors
    ///
    /// A named folder does not exist.
    pub fn files(&self) -> Result<FileAccess, ClientFlagsError> {
        let folder = |folder: &PathBuf| {
            folder
                .canonicalize()
                .map_err(|source| ClientFlagsError::Files { folder: folder.clone(), source })
        };
        let folders: Vec<PathBuf> = self.files.iter().map(folder).collect::<Result<_, _>>()?;
        Ok(FileAccess::Below(folders.into()))
    }

    /// Returns the folder of keys and state.
    pub fn data_folder(&self) -> Result<PathBuf, ClientFlagsError> {
        match &self.data {
            Some(folder) => Ok(folder.clone()),
            None => {
                let parent = dirs::data_dir().ok_or(ClientFlagsError::NoDataFolder)?;
                Ok(parent.join("letschat"))
            }
        }
    }
}
