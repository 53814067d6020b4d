//! Several servers as one service: their database, their bell and their common key.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use letschat_server::store::mysql::location::MysqlLocation;
use tempfile::TempDir;

use crate::mysql_server::MysqlServer;
use crate::ports::free_port;
use crate::relay::Relay;
use crate::server::TestServer;

/// The files of a server's key, which the operator copies to the others.
const KEY_FILES: [&str; 2] = ["server-key.pem", "server-certificate.pem"];

/// The programs of Valkey and Redis, the first one that is there. Debian's redis-tools have the last one, which is the
/// same program under another name.
const PROGRAMS: [&str; 3] = ["valkey-server", "redis-server", "redis-check-rdb"];

/// A Valkey or Redis server. It keeps nothing on disk.
pub struct Bell {
    port: u16,
    flags: Vec<String>,
    process: Child,
}

impl Bell {
    /// Starts it on a free port of 127.0.0.1.
    pub fn start() -> Bell {
        let port = free_port();
        Bell::start_with(port, vec!["--port".into(), port.to_string()])
    }

    /// Starts one that speaks TLS alone and wants this password. The certificates are in the folder, by
    /// [`make_certificates`](crate::mysql_server::make_certificates).
    pub fn start_with_tls(folder: &Path, password: &str) -> Bell {
        let port = free_port();
        let mut flags = vec!["--port".into(), "0".into(), "--tls-port".into(), port.to_string()];
        for (flag, file) in [("--tls-cert-file", "server.pem"), ("--tls-key-file", "server.key")] {
            flags.extend([flag.into(), folder.join(file).display().to_string()]);
        }
        flags.extend(["--tls-auth-clients", "no", "--requirepass", password].map(str::to_owned));
        Bell::start_with(port, flags)
    }

    fn start_with(port: u16, flags: Vec<String>) -> Bell {
        let process = launch(&flags);
        Bell { port, flags, process }
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Returns the number of commands so far, this one included.
    pub fn commands(&self) -> u64 {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.write_all(b"INFO stats\r\n").unwrap();
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        let name = "total_commands_processed:";
        let counted = lines.into_iter().find_map(|line| line.strip_prefix(name)?.parse().ok());
        counted.unwrap()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }

    /// Starts it again, empty.
    pub fn start_again(&mut self) {
        self.process = launch(&self.flags);
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(flags: &[String]) -> Child {
    let is_there = |name: &&str| {
        let found = Command::new("sh").args(["-c", "command -v \"$0\"", name]).output();
        found.unwrap().status.success()
    };
    let program = PROGRAMS.into_iter().find(is_there).expect("Valkey or Redis is there");
    let mut command = Command::new(program);
    command.arg0("redis-server").args(flags).args(["--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "no"]).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let is_ready = lines.any(|line| line.contains("Ready to accept connections"));
    assert!(is_ready, "{program} does not start");
    // It may write more, which nobody needs.
    thread::spawn(move || lines.for_each(drop));
    process
}

/// Servers that share a database and a bell.
pub struct TestCluster {
    /// The bell.
    pub bell: Bell,
    /// The servers, called a, b, c and so on.
    pub servers: Vec<TestServer>,
    /// The way of each server to the others.
    pub wires: Vec<Wires>,
    /// The location of the database, as `--store` takes it.
    pub store: String,
}

/// A server's own way to the database and to the bell.
pub struct Wires {
    /// To the database.
    pub database: Relay,
    /// To the bell.
    pub bell: Relay,
}

impl TestCluster {
    /// Starts so many servers with a new database.
    pub fn start(count: u8) -> TestCluster {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let database = format!("cluster_{}_{number}", std::process::id());
        TestCluster::start_with(MysqlServer::shared(), &database, count, &[])
    }

    /// Starts so many servers with a database of this MySQL server and these flags.
    pub fn start_with(
        mysql: &MysqlServer,
        database: &str,
        count: u8,
        flags: &[&str],
    ) -> TestCluster {
        let bell = Bell::start();
        let (mut servers, mut wires): (Vec<TestServer>, Vec<Wires>) = (Vec::new(), Vec::new());
        for letter in (b'a'..).take(count.into()) {
            let data = tempfile::tempdir().unwrap();
            if let Some(first) = servers.first() {
                copy_key(&first.data, &data);
            }
            let name = char::from(letter).to_string();
            let own = Wires::to(mysql.address, bell.address());
            let place = own.database.address;
            let (host, port) = (place.ip().to_string(), place.port());
            let store = MysqlLocation { host, port, ..mysql.location(database) }.to_string();
            let cluster = format!("redis://{}", own.bell.address);
            let flags = [&["--store", &store, "--cluster", &cluster, "--name", &name], flags];
            servers.push(TestServer::start_in(data, &flags.concat()));
            wires.push(own);
        }
        TestCluster { bell, servers, wires, store: mysql.location(database).to_string() }
    }

    /// Returns the addresses of all servers for a client, that of this one first.
    pub fn location(&self, first: usize) -> String {
        let count = self.servers.len();
        let servers = (0..count).map(|step| self.servers[(first + step) % count].location());
        servers.collect::<Vec<_>>().join(",")
    }
}

impl Wires {
    fn to(database: SocketAddr, bell: SocketAddr) -> Wires {
        let here = IpAddr::from([127, 0, 0, 1]);
        let [database, bell] =
            [database, bell].map(|to| Relay::start(SocketAddr::new(here, 0), to, here));
        Wires { database, bell }
    }
}

fn copy_key(from: &TempDir, to: &TempDir) {
    for file in KEY_FILES {
        std::fs::copy(from.path().join(file), to.path().join(file)).unwrap();
    }
}
