//! The settings from flags, the environment and the settings file.

mod cluster;
mod mysql;
mod password;

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use letschat_flags::settings_file::{self, FlagsError, SettingsPlace};
use letschat_flags::{ip_address, number};
use letschat_protocol::clock::DAY_MS;
use letschat_server::clients_file::MAX_CLIENTS;
use letschat_server::hub;
use letschat_server::settings::{
    CLIENTS_FILE, DEFAULT_PORT, MetricsAddress, RelayRates, ServerSettings, StoreLocation,
};

use tracing::Level;

use self::cluster::{ClusterFlags, ClusterFlagsError};
use self::mysql::{MysqlFlags, MysqlFlagsError};
use self::password::SecretParser;
use crate::account_admin::AccountTask;
use crate::log::LogFormat;

/// The upper limit of durations: ten years, far below an overflow in milliseconds.
const MAX_SECONDS: u64 = 10 * 365 * 24 * 60 * 60;

/// The server of Let's Chat.
#[derive(Debug, Parser)]
#[command(name = "letschat-server", version, disable_help_subcommand = true)]
pub(crate) struct Flags {
    /// The address to listen on [default: all, IPv6 and IPv4]
    #[arg(long, env = "LETSCHAT_SERVER_LISTEN", value_name = "ADDRESS",
          value_parser = ip_address, global = true)]
    listen: Option<IpAddr>,

    /// The port, for TCP and UDP; 0 takes any that is free
    #[arg(long, env = "LETSCHAT_SERVER_PORT", default_value_t = DEFAULT_PORT, global = true)]
    port: u16,

    /// Maximum number of logged-in clients
    #[arg(long, env = "LETSCHAT_SERVER_PLACES", default_value_t = 50,
          value_parser = number::<usize>(1..=1_000_000))]
    places: usize,

    /// The database: sqlite:PATH or mysql://USER@HOST[:PORT]/DATABASE
    /// [default: a file in the data folder]
    #[arg(long, env = "LETSCHAT_SERVER_STORE", hide_env_values = true, value_name = "STORE",
          value_parser = SecretParser::<StoreLocation>::of("--store (or LETSCHAT_SERVER_STORE)"),
          global = true)]
    store: Option<StoreLocation>,

    #[command(flatten)]
    mysql: MysqlFlags,

    #[command(flatten)]
    cluster: ClusterFlags,

    /// The folder of the server's key and database
    /// [default: letschat-server in $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, env = "LETSCHAT_SERVER_DATA", value_name = "FOLDER", global = true)]
    data: Option<PathBuf>,

    /// A file with settings: `places = 100` for --places 100 [default: letschat-server/settings.toml
    /// in the user's config folder, else in /etc]
    #[arg(long, env = "LETSCHAT_SERVER_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// Drop a client without commands, messages and broadcasts for this long. Clients report
    /// messages once a minute: a lower value drops people who chat
    #[arg(long, env = "LETSCHAT_SERVER_IDLE_SECONDS", value_name = "SECONDS", default_value_t = 3_600,
          value_parser = number::<u64>(1..=MAX_SECONDS))]
    idle_seconds: u64,

    /// Keep broadcasts for this long
    #[arg(long, env = "LETSCHAT_SERVER_RETENTION_SECONDS", value_name = "SECONDS",
          default_value_t = 1_800, value_parser = number::<u64>(1..=MAX_SECONDS))]
    retention_seconds: u64,

    /// Broadcasts that an account may send at once
    #[arg(long, env = "LETSCHAT_SERVER_BROADCAST_BURST", value_name = "COUNT", default_value_t = 5,
          value_parser = number::<u32>(1..=u32::MAX.into()))]
    broadcast_burst: u32,

    /// Time until an account may send one more
    #[arg(long, env = "LETSCHAT_SERVER_BROADCAST_INTERVAL_MS", value_name = "MILLISECONDS",
          default_value_t = 2_000,
          value_parser = number::<u64>(1..=MAX_SECONDS * 1_000))]
    broadcast_interval_ms: u64,

    /// Envelopes that an account may post at once; one to many devices counts
    /// once for each 16 devices
    #[arg(long, env = "LETSCHAT_SERVER_POST_BURST", value_name = "COUNT", default_value_t = 30,
          value_parser = number::<u32>(1..=u32::MAX.into()))]
    post_burst: u32,

    /// Time until an account may post one more
    #[arg(long, env = "LETSCHAT_SERVER_POST_INTERVAL_MS", value_name = "MILLISECONDS",
          default_value_t = 200,
          value_parser = number::<u64>(1..=MAX_SECONDS * 1_000))]
    post_interval_ms: u64,

    /// Keep envelopes for devices that are away for this long
    #[arg(long, env = "LETSCHAT_SERVER_MAIL_RETENTION_DAYS", value_name = "DAYS", default_value_t = 14,
          value_parser = number::<u64>(1..=30))]
    mail_retention_days: u64,

    /// Accounts that may be made from one address at once
    #[arg(long, env = "LETSCHAT_SERVER_SIGNUP_BURST", value_name = "COUNT", default_value_t = 50,
          value_parser = number::<u32>(1..=u32::MAX.into()))]
    signup_burst: u32,

    /// Time until one more may be made from an address
    #[arg(long, env = "LETSCHAT_SERVER_SIGNUP_INTERVAL_MS", value_name = "MILLISECONDS",
          default_value_t = 10_000,
          value_parser = number::<u64>(1..=MAX_SECONDS * 1_000))]
    signup_interval_ms: u64,

    /// Relays at a time, for clients that can't connect to each other directly; 0 turns them off
    #[arg(long, env = "LETSCHAT_SERVER_RELAYS", value_name = "COUNT", default_value_t = 64,
          value_parser = number::<usize>(0..=100_000))]
    relays: usize,

    /// The rate of one relay, in kilobytes (1,000 bytes) per second
    #[arg(long, env = "LETSCHAT_SERVER_RELAY_RATE", value_name = "KB_PER_SECOND",
          default_value_t = 4_000, value_parser = number::<u64>(1..=1_000_000_000))]
    relay_rate: u64,

    /// The rate of all relays together
    #[arg(long, env = "LETSCHAT_SERVER_RELAY_RATE_TOTAL", value_name = "KB_PER_SECOND",
          default_value_t = 32_000, value_parser = number::<u64>(1..=1_000_000_000))]
    relay_rate_total: u64,

    /// Serve a classroom: clients need no password, a new name belongs to the key that first uses
    /// it, and there is no limit on broadcasts and on idle time. Listens on 127.0.0.1 without
    /// --listen
    #[arg(long, env = "LETSCHAT_SERVER_CLASSROOM")]
    classroom: bool,

    /// The file of a classroom's clients, a line for each [default: clients.txt in the data folder]
    #[arg(long, env = "LETSCHAT_SERVER_CLIENTS_FILE", value_name = "FILE")]
    clients_file: Option<PathBuf>,

    /// Offer this server to people on the local network, by mDNS, under this machine's name
    #[arg(long, env = "LETSCHAT_SERVER_ANNOUNCE")]
    announce: bool,

    /// Tell the monitoring of this machine about the server, over HTTP: 127.0.0.1:PORT, [::1]:PORT, or the path of a socket
    #[arg(long, env = "LETSCHAT_SERVER_METRICS", value_name = "ADDRESS", global = true)]
    pub(crate) metrics: Option<MetricsAddress>,

    /// The level of the log: error, warn, info, debug or trace
    /// [default: info, or warn in a classroom]
    #[arg(long, env = "LETSCHAT_SERVER_LOG", value_name = "LEVEL")]
    log: Option<Level>,

    /// The format of the log
    #[arg(
        long,
        env = "LETSCHAT_SERVER_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub(crate) log_format: LogFormat,

    /// A task to run instead of serving
    #[command(subcommand)]
    pub(crate) task: Option<Task>,
}

/// A task other than serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Manage accounts, also while the server runs
    #[command(subcommand)]
    Account(AccountTask),
    /// Serve an open room instead: everybody who greets gets what everybody says, by UDP, in clear
    /// text and without accounts
    OpenRoom {
        /// The UDP port
        #[arg(value_name = "PORT")]
        room_port: u16,
        /// Greet public addresses too; attackers can forge them to make the room flood others
        #[arg(long)]
        public: bool,
    },
    /// Print the fingerprint of the server's key, by which clients know it
    Fingerprint,
    /// Check that the server answers: exit status 0, else 1
    Health {
        /// The server's address [default: this machine, at the --metrics or the --port of the settings]
        #[arg(long, value_name = "HOST:PORT")]
        address: Option<String>,
    },
}

/// Returns the locations of the settings file: the user's own, else the system's.
fn settings_place() -> SettingsPlace<'static> {
    let folders = dirs::config_dir().into_iter().chain([PathBuf::from("/etc")]);
    let defaults = folders.map(|folder| folder.join("letschat-server/settings.toml")).collect();
    SettingsPlace { defaults, never: &[], others: &[] }
}

/// Suggests a flag for an unknown word.
fn meant(word: &str) -> Option<String> {
    let flag = match word {
        _ if word.parse::<u16>().is_ok() => format!("--port {word}"),
        _ if word.parse::<IpAddr>().is_ok() => format!("--listen {word}"),
        "--host" | "--bind" | "--address" => "--listen ADDRESS".into(),
        "-p" => "--port PORT".into(),
        _ => return None,
    };
    Some(format!("'letschat-server {flag}' was perhaps meant"))
}

/// A reason why the flags are no valid settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The system does not provide the user's data folder.
    #[error("there is no home folder to keep data in; choose a folder with --data")]
    NoDataFolder,
    /// A file is named and not used.
    #[error("--clients-file is of use only with --classroom")]
    UselessClientsFile,
    /// A classroom has fewer places.
    #[error("a classroom has at most {MAX_CLIENTS} places; choose fewer with --places")]
    TooManyPlaces,
    /// The file's folder is unknown.
    #[error("can't use {path}, which --clients-file names: {source}", path = path.display())]
    ClientsFile { path: PathBuf, source: io::Error },
    /// Nobody on the network reaches the server that is to be announced to it.
    #[error(
        "--announce offers the server to other machines, and none of them reaches {0}; \
         choose an address of the network with --listen"
    )]
    AnnouncedAlone(IpAddr),
    /// The credentials for the database are incomplete.
    #[error(transparent)]
    Mysql(#[from] MysqlFlagsError),
    /// The settings of the cluster are incomplete.
    #[error(transparent)]
    Cluster(#[from] ClusterFlagsError),
}

impl Flags {
    /// Reads the command line, the environment and the settings file.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Flags, FlagsError> {
        match settings_file::parse(&settings_place(), arguments) {
            Ok(parsed) => Ok(parsed.flags),
            Err(error) => Err(error.with_tip(meant)),
        }
    }

    /// Returns the settings of the server.
    pub(crate) fn settings(&self) -> Result<ServerSettings, SettingsError> {
        let (data_folder, store) = (self.data_folder()?, self.store()?);
        let clients_file = self.clients_file(&data_folder)?;
        let hub = hub::Settings {
            places: self.places,
            idle_ms: self.idle_seconds * 1_000,
            retention_ms: self.retention_seconds * 1_000,
            broadcast_burst: self.broadcast_burst,
            broadcast_interval_ms: self.broadcast_interval_ms,
            post_burst: self.post_burst,
            post_interval_ms: self.post_interval_ms,
            mail_retention_ms: self.mail_retention_days * DAY_MS,
            sign_up_burst: self.signup_burst,
            sign_up_interval_ms: self.signup_interval_ms,
            relays: self.relays,
            classroom: false,
        };
        let hub = if self.classroom { hub.in_classroom() } else { hub };
        let here = self.classroom.then_some(Ipv4Addr::LOCALHOST.into());
        let (listen, port) = (self.listen.or(here), self.port);
        match listen {
            Some(ip) if self.announce && ip.to_canonical().is_loopback() => {
                return Err(SettingsError::AnnouncedAlone(ip));
            }
            _ => {}
        }
        let relay_rates =
            RelayRates { each: self.relay_rate * 1_000, all: self.relay_rate_total * 1_000 };
        let cluster = self.cluster.settings(&store)?;
        Ok(ServerSettings {
            listen,
            port,
            data_folder,
            store,
            clients_file,
            hub,
            relay_rates,
            metrics: self.metrics.clone(),
            cluster,
        })
    }

    /// Returns the path of the classroom's file, with its folder.
    fn clients_file(&self, data_folder: &Path) -> Result<PathBuf, SettingsError> {
        if self.classroom && self.places > MAX_CLIENTS {
            return Err(SettingsError::TooManyPlaces);
        }
        match &self.clients_file {
            Some(_) if !self.classroom => Err(SettingsError::UselessClientsFile),
            Some(path) => std::path::absolute(path)
                .map_err(|source| SettingsError::ClientsFile { path: path.clone(), source }),
            None => Ok(data_folder.join(CLIENTS_FILE)),
        }
    }

    /// Returns true if the server serves a classroom.
    pub(crate) fn is_classroom(&self) -> bool {
        self.classroom && self.task.is_none()
    }

    /// Returns true if the server offers itself on the local network.
    pub(crate) fn announces(&self) -> bool {
        self.announce
    }

    /// Returns the level of the log. In a classroom the terminal shows what is said.
    pub(crate) fn log_level(&self) -> Level {
        self.log.unwrap_or(if self.is_classroom() { Level::WARN } else { Level::INFO })
    }

    /// Returns the address to listen on, or `None` for all addresses.
    pub(crate) fn listen(&self) -> Option<IpAddr> {
        self.listen
    }

    /// Returns the server's address for a program on the same machine.
    pub(crate) fn address_here(&self) -> SocketAddr {
        let ip = self.listen.filter(|ip| !ip.is_unspecified());
        SocketAddr::new(ip.unwrap_or(Ipv4Addr::LOCALHOST.into()), self.port)
    }

    /// Returns the folder of the server's key.
    pub(crate) fn data_folder(&self) -> Result<PathBuf, SettingsError> {
        match &self.data {
            Some(folder) => Ok(folder.clone()),
            None => {
                Ok(dirs::data_dir().ok_or(SettingsError::NoDataFolder)?.join("letschat-server"))
            }
        }
    }

    /// Returns the location of the database, with credentials.
    pub(crate) fn store(&self) -> Result<StoreLocation, SettingsError> {
        match self.store.clone() {
            Some(StoreLocation::Mysql(location)) => {
                Ok(StoreLocation::Mysql(self.mysql.complete(location)?))
            }
            Some(store) => Ok(store),
            None => Ok(StoreLocation::in_folder(&self.data_folder()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use letschat_flags::settings_file::sample;
    use letschat_server::hub::HEADERS_PER_TOKEN;

    #[test]
    fn the_flags_are_consistent() {
        Flags::command().debug_assert();
    }

    #[test]
    fn the_sample_settings_are_all_there_are() {
        let sample = include_str!("../settings.sample.toml");
        assert_eq!(sample::check::<Flags>(sample, &settings_place()), Ok(()));
    }

    #[test]
    fn help_tells_how_many_headers_a_token_pays_for() {
        let flags = Flags::command();
        let flag = flags.get_arguments().find(|flag| flag.get_id() == "post_burst").unwrap();
        let help = flag.get_help().unwrap().to_string();
        assert!(help.contains(&format!("each {HEADERS_PER_TOKEN} devices")), "{help}");
    }

    #[test]
    fn program_on_the_same_machine_finds_the_server() {
        for (arguments, address) in [
            (&[][..], "127.0.0.1:4400"),
            (&["--port", "5"], "127.0.0.1:5"),
            (&["--listen", "::"], "127.0.0.1:4400"),
            (&["--listen", "0.0.0.0"], "127.0.0.1:4400"),
            (&["--listen", "::1"], "[::1]:4400"),
            (&["--listen", "192.0.2.1", "--port", "5"], "192.0.2.1:5"),
        ] {
            let flags = Flags::parse_from(["letschat-server"].iter().chain(arguments));
            assert_eq!(flags.address_here().to_string(), address);
        }
    }

    #[test]
    fn word_that_is_no_command_is_told_its_flag() {
        for (word, told) in [
            ("9090", "letschat-server --port 9090"),
            ("0.0.0.0", "letschat-server --listen 0.0.0.0"),
            ("--bind", "letschat-server --listen ADDRESS"),
        ] {
            let error = Flags::read(["letschat-server", word].map(OsString::from)).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    fn settings(arguments: &[&str]) -> Result<ServerSettings, SettingsError> {
        let always = ["letschat-server", "--data", "/data"];
        Flags::parse_from(always.iter().chain(arguments)).settings()
    }

    #[test]
    fn classroom_is_on_this_machine_unless_told_otherwise() {
        let classroom = settings(&["--classroom"]).unwrap();
        assert_eq!(classroom.listen, Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(classroom.clients_file, Path::new("/data/clients.txt"));
        assert!(classroom.hub.classroom);
        let told = ["--classroom", "--listen", "::", "--clients-file", "/c.txt"];
        let classroom = settings(&told).unwrap();
        assert_eq!(classroom.listen, Some("::".parse().unwrap()));
        assert_eq!(classroom.clients_file, Path::new("/c.txt"));
    }

    #[test]
    fn clients_file_gets_a_folder() {
        let classroom = settings(&["--classroom", "--clients-file", "c.txt"]).unwrap();
        assert_eq!(classroom.clients_file, std::env::current_dir().unwrap().join("c.txt"));
    }

    #[test]
    fn contradictions_about_a_classroom_are_refused() {
        for arguments in [&["--clients-file", "/c.txt"][..], &["--classroom", "--places", "257"]] {
            assert!(settings(arguments).is_err(), "{arguments:?}");
        }
        assert!(settings(&["--classroom", "--places", "256"]).is_ok());
    }

    #[test]
    fn only_a_server_that_others_reach_is_announced() {
        for arguments in [
            &["--announce"][..],
            &["--announce", "--listen", "192.0.2.1"],
            &["--announce", "--classroom", "--listen", "::"],
        ] {
            assert!(settings(arguments).is_ok(), "{arguments:?}");
        }
        for arguments in [
            &["--announce", "--listen", "127.0.0.1"][..],
            &["--announce", "--listen", "::1"],
            &["--announce", "--listen", "::ffff:127.0.0.1"],
            &["--announce", "--classroom"],
        ] {
            let error = settings(arguments).unwrap_err();
            assert!(matches!(error, SettingsError::AnnouncedAlone(_)), "{arguments:?}: {error}");
        }
        assert!(!Flags::parse_from(["letschat-server"]).announces());
    }

    #[test]
    fn classroom_logs_little_unless_told_otherwise() {
        for (arguments, level) in [
            (&[][..], Level::INFO),
            (&["--classroom"], Level::WARN),
            (&["--classroom", "--log", "info"], Level::INFO),
            (&["--classroom", "open-room", "9090"], Level::INFO),
        ] {
            let flags = Flags::parse_from(["letschat-server"].iter().chain(arguments));
            assert_eq!(flags.log_level(), level, "{arguments:?}");
        }
    }

    #[test]
    fn the_defaults_are_the_librarys() {
        let flags = Flags::parse_from(["letschat-server", "--data", "/data"]);
        let (ours, theirs) = (flags.settings().unwrap(), ServerSettings::in_folder("/data".into()));
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }
}
