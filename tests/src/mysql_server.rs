//! A database server for the tests: the one that `LETSCHAT_TEST_MYSQL` names
//! (`mysql://USER[:PASSWORD]@HOST[:PORT]`, with all privileges), else a temporary one.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use ::mysql::prelude::Queryable as _;
use ::mysql::{Conn, DriverError, Error, Opts, OptsBuilder, SslOpts};
use letschat_protocol::dialogue::Secret;
use letschat_server::store::mysql::location::MysqlLocation;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::form::tell_not_played;
use crate::ports::free_port;

/// The time limit for the server's start. It is generous, since the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// The number of attempts to start: another program may take the free port first.
const TRIES: usize = 5;

/// The address of a database server and its administrator.
pub struct MysqlServer {
    /// The address and port.
    pub address: SocketAddr,
    user: String,
    password: Option<String>,
}

impl MysqlServer {
    /// Returns the server for all tests that can share it.
    pub fn shared() -> &'static MysqlServer {
        NAMED.as_ref().unwrap_or_else(|| &Throwaway::shared().server)
    }

    /// Opens a connection with all privileges.
    pub fn administrator(&self) -> Conn {
        Conn::new(self.options()).unwrap()
    }

    /// Returns the number of statements so far. The count of another call in between is the same each time.
    pub fn statements(&self) -> u64 {
        let show = "SHOW GLOBAL STATUS LIKE 'Questions'";
        let row: Option<(String, u64)> = self.administrator().query_first(show).unwrap();
        row.unwrap().1
    }

    /// Returns true if the server supports TLS.
    pub fn offers_tls(&self) -> bool {
        let tls = SslOpts::default().with_danger_accept_invalid_certs(true);
        match Conn::new(self.options().ssl_opts(tls)) {
            Err(Error::DriverError(DriverError::TlsNotSupported)) => false,
            connected => connected.map(|_| true).unwrap(),
        }
    }

    fn options(&self) -> OptsBuilder {
        OptsBuilder::new()
            .ip_or_hostname(Some(self.address.ip().to_string()))
            .tcp_port(self.address.port())
            .user(Some(&self.user))
            .pass(self.password.as_ref())
            .prefer_socket(false)
    }

    /// Returns the location of a database, as the administrator.
    pub fn location(&self, database: &str) -> MysqlLocation {
        MysqlLocation {
            user: self.user.clone(),
            host: self.address.ip().to_string(),
            port: self.address.port(),
            database: database.to_owned(),
            password: self.password.clone().map(Secret),
            wanted_tls: None,
        }
    }

    /// Closes the connections that use a database, as if their programs had died.
    pub fn end_connections(&self, database: &str) {
        let mut administrator = self.administrator();
        let connections: Vec<::mysql::Row> = administrator.query("SHOW PROCESSLIST").unwrap();
        for row in connections {
            if row.get::<Option<String>, _>("db").unwrap().as_deref() == Some(database) {
                let id: u64 = row.get("Id").unwrap();
                // The connection may have already closed.
                let _ = administrator.query_drop(format!("KILL {id}"));
            }
        }
    }
}

static NAMED: LazyLock<Option<MysqlServer>> = LazyLock::new(|| {
    let url = std::env::var("LETSCHAT_TEST_MYSQL").ok().filter(|url| !url.is_empty())?;
    Some(named(&url))
});

fn named(url: &str) -> MysqlServer {
    let options = Opts::from_url(url).expect("LETSCHAT_TEST_MYSQL is mysql://USER@HOST[:PORT]");
    let place = (options.get_ip_or_hostname().into_owned(), options.get_tcp_port());
    MysqlServer {
        address: place.to_socket_addrs().unwrap().next().unwrap(),
        user: options.get_user().expect("LETSCHAT_TEST_MYSQL names a user").to_owned(),
        password: options.get_pass().map(str::to_owned),
    }
}

/// A temporary server on this machine or in a container, with TLS. It ends with the tests.
pub struct Throwaway {
    /// The server's address and administrator.
    pub server: MysqlServer,
    folder: PathBuf,
    process: Child,
}

impl Throwaway {
    /// Returns true if a temporary server can be started. If not, and a server is named, it reports the
    /// untested part.
    pub fn is_here_to_test(what: &str) -> bool {
        static IS_HERE: LazyLock<bool> = LazyLock::new(|| {
            let check = || Command::new(SCRIPT).arg("--check").stderr(Stdio::null()).status();
            NAMED.is_none() || check().unwrap().success()
        });
        if !*IS_HERE {
            let why =
                "the server that LETSCHAT_TEST_MYSQL names can't show it, and no other is here";
            tell_not_played(what, why);
        }
        *IS_HERE
    }

    /// Returns the server for every test that needs no other.
    pub fn shared() -> &'static Throwaway {
        static SHARED: LazyLock<Throwaway> = LazyLock::new(|| {
            let folder = TempDir::new().unwrap().keep();
            Throwaway::start_on_any_port(&folder, &[])
        });
        &SHARED
    }

    /// Starts a server for a single test, which can stop and restart it.
    pub fn private(folder: &TempDir) -> Throwaway {
        Throwaway::start_on_any_port(folder.path(), &["--keep"])
    }

    /// Starts a server through programs that exec it, at this port. It runs the statements of a file at its start.
    /// `None` if the server would be in a container, where the programs have no effect; this is reported.
    pub fn start_by(
        by: &[String],
        folder: &TempDir,
        port: u16,
        setup: &Path,
        test: &str,
    ) -> Option<Throwaway> {
        if !Command::new(SCRIPT).arg("--check-here").status().unwrap().success() {
            tell_not_played(test, "no database server is installed here");
            return None;
        }
        make_certificates(folder.path());
        let setup = format!("--init-file={}", setup.display());
        let process = launch(by, folder.path(), &["--keep"], port, &[setup]).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let server = MysqlServer { address, user: "root".into(), password: None };
        Some(Throwaway { server, folder: folder.path().to_owned(), process })
    }

    /// Returns the CA certificate of the server.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Kills the server, as a power cut would.
    pub fn stop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }

    /// Restarts the server on the same port and data.
    pub fn start_again(&mut self) {
        let port = self.server.address.port();
        self.process = launch(&[], &self.folder, &["--keep"], port, &[]).unwrap();
    }

    fn start_on_any_port(folder: &Path, flags: &[&str]) -> Throwaway {
        for _ in 0..TRIES {
            // The folder is gone if the server did not start.
            make_certificates(folder);
            let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
            match launch(&[], folder, flags, address.port(), &[]) {
                Ok(process) => {
                    let server = MysqlServer { address, user: "root".into(), password: None };
                    return Throwaway { server, folder: folder.to_owned(), process };
                }
                Err(said) => eprintln!("{said}"),
            }
        }
        let _ = std::fs::remove_dir_all(folder);
        panic!("no throwaway MySQL server starts; what it said is above");
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        self.stop();
    }
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/throwaway-mysql.sh");

/// Starts a server and waits until it listens. An error holds the server's output.
fn launch(
    by: &[String],
    folder: &Path,
    flags: &[&str],
    port: u16,
    options: &[String],
) -> Result<Child, String> {
    let script = [SCRIPT.to_owned()];
    let words = [by, &script].concat();
    let mut process = Command::new(&words[0])
        .args(&words[1..])
        .args(flags)
        .arg(port.to_string())
        .arg(folder)
        .arg(format!("--ssl-cert={}", folder.join("server.pem").display()))
        .arg(format!("--ssl-key={}", folder.join("server.key").display()))
        .arg(format!("--ssl-ca={}", folder.join("authority.pem").display()))
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(&mut process);
    let until = Instant::now() + PATIENCE;
    let mut said = String::new();
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains("socket:") && line.contains(&format!("port: {port}")) => {
                return Ok(process);
            }
            Ok(line) => said = said + &line + "\n",
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                drop(process.stdin.take());
                process.wait().unwrap();
                return Err(said);
            }
        }
    }
}

/// Returns the output as lines. A thread reads it to the end, since a full pipe would block the server.
fn lines_of(process: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let stderr = BufReader::new(process.stderr.take().unwrap());
    thread::spawn(move || {
        for line in stderr.split(b'\n').map_while(Result::ok) {
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
    lines
}

/// Creates a CA, and a certificate for 127.0.0.1.
/// Makes an authority (`authority.pem`) and a certificate of it for 127.0.0.1 (`server.pem`, `server.key`).
pub fn make_certificates(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "an authority of the tests");
    let key = KeyPair::generate().unwrap();
    write(folder, "authority.pem", &authority.self_signed(&key).unwrap().pem());
    let authority = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    write(folder, "server.pem", &server.signed_by(&key, &authority).unwrap().pem());
    write(folder, "server.key", &key.serialize_pem());
}

fn write(folder: &Path, name: &str, content: &str) {
    std::fs::write(folder.join(name), content).unwrap();
}
