//! A running room, and visitors with a socket each.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;

use tempfile::TempDir;

use crate::ports::free_port;
use crate::programs::{PATIENCE, Running, program, program_by, without_settings};

/// A running room. Dropping it kills the program.
pub struct TestRoom {
    /// The running program.
    pub process: Running,
    /// The port of the room.
    pub port: u16,
    /// The home folder of the room's user. The room must leave nothing in it.
    pub home: TempDir,
}

impl TestRoom {
    /// Starts a room on a free port of all addresses.
    pub fn start() -> TestRoom {
        TestRoom::start_on(free_port())
    }

    /// Starts a room on this port.
    pub fn start_on(port: u16) -> TestRoom {
        TestRoom::start_by(&[], port)
    }

    /// Starts a room through programs that exec it, such as `env`.
    pub fn start_by(by: &[String], port: u16) -> TestRoom {
        let home = tempfile::tempdir().unwrap();
        let mut process = Running::start(&mut TestRoom::command(by, port, &home));
        process.wait_line("word that it runs", |line| line == "Server Initialized...");
        TestRoom { process, port, home }
    }

    /// Returns the command that starts a room.
    pub fn command(by: &[String], port: u16, home: &TempDir) -> Command {
        let mut command = program_by(by, "letschat-server");
        without_settings(&mut command);
        command.env("HOME", home.path()).env_remove("XDG_DATA_HOME");
        command.args(["--log", "debug", "open-room", &port.to_string()]);
        command
    }

    /// Returns the room's address at this IP address.
    pub fn at(&self, ip: impl Into<IpAddr>) -> SocketAddr {
        SocketAddr::new(ip.into(), self.port)
    }

    /// Returns a visitor who has greeted the room.
    pub fn visitor(&self) -> Visitor {
        let visitor = Visitor::from(Ipv4Addr::LOCALHOST, self.at(Ipv4Addr::LOCALHOST));
        visitor.greets();
        visitor
    }

    /// Starts a client without a terminal.
    pub fn client(&self) -> Running {
        client_of("127.0.0.1", self.port)
    }
}

/// Starts a client for a room that may not exist.
pub fn client_of(host: &str, port: u16) -> Running {
    let mut command = Command::new(program("letschat"));
    without_settings(&mut command);
    Running::start(command.args(["open-room", host, &port.to_string()]))
}

/// A visitor with a socket that receives only from the room. Over loopback a datagram is in the room's
/// socket when the call returns, so the order is kept.
pub struct Visitor(UdpSocket);

impl Visitor {
    /// Creates a visitor at this address for the room at that one.
    pub fn from(ip: impl Into<IpAddr>, room: SocketAddr) -> Visitor {
        let socket = UdpSocket::bind((ip.into(), 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(room).unwrap();
        Visitor(socket)
    }

    /// Returns the address of the socket.
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Greets the room.
    pub fn greets(&self) {
        self.sends(b"GREETING");
    }

    /// Sends a message to the room.
    pub fn says(&self, text: &str) {
        self.sends(format!("MESSAGE {text}").as_bytes());
    }

    /// Sends a datagram unchanged.
    pub fn sends(&self, datagram: &[u8]) {
        assert_eq!(self.0.send(datagram).unwrap(), datagram.len());
    }

    /// Returns the next datagram.
    pub fn hears(&self) -> String {
        let mut buffer = vec![0; 65_536];
        let length = self.0.recv(&mut buffer).expect("the room says something");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Expects this text from that address as the next datagram.
    pub fn hears_next(&self, from: SocketAddr, text: &str) {
        assert_eq!(self.hears(), format!("INCOMING {from} {text}"));
    }

    /// Returns all datagrams up to the one that ends with this text.
    pub fn hears_up_to(&self, text: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(|last: &String| last.ends_with(text)) {
            heard.push(self.hears());
        }
        heard
    }
}
