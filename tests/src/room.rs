//! A running room, and visitors with a socket each.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;

use tempfile::TempDir;

use crate::ports::free_port;
use crate::programs::{PATIENCE, Running, program, program_by, without_settings};

/// A running room. Killed when it is dropped.
pub struct TestRoom {
    /// The running program.
    pub process: Running,
    /// The port of the room.
    pub port: u16,
    /// The home of the room's user, in which it is to leave nothing.
    pub home: TempDir,
}

impl TestRoom {
    /// Starts a room on a free port of every address.
    pub fn start() -> TestRoom {
        TestRoom::start_on(free_port())
    }

    /// The same on this port.
    pub fn start_on(port: u16) -> TestRoom {
        TestRoom::start_by(&[], port)
    }

    /// The same by a program that then gives way to the room, such as `env`.
    pub fn start_by(by: &[String], port: u16) -> TestRoom {
        let home = tempfile::tempdir().unwrap();
        let mut process = Running::start(&mut TestRoom::command(by, port, &home));
        process.wait_line("word that it runs", |line| line == "Server Initialized...");
        TestRoom { process, port, home }
    }

    /// What starts it.
    pub fn command(by: &[String], port: u16, home: &TempDir) -> Command {
        let mut command = program_by(by, "letschat-server");
        without_settings(&mut command);
        command.env("HOME", home.path()).env_remove("XDG_DATA_HOME");
        command.args(["--log", "debug", "open-room", &port.to_string()]);
        command
    }

    /// The room as this address of the machine has it.
    pub fn at(&self, ip: impl Into<IpAddr>) -> SocketAddr {
        SocketAddr::new(ip.into(), self.port)
    }

    /// A visitor who has greeted the room.
    pub fn visitor(&self) -> Visitor {
        let visitor = Visitor::from(Ipv4Addr::LOCALHOST, self.at(Ipv4Addr::LOCALHOST));
        visitor.greets();
        visitor
    }

    /// A client's program, without a terminal.
    pub fn client(&self) -> Running {
        client_of("127.0.0.1", self.port)
    }
}

/// The client's program for a room that may not be there.
pub fn client_of(host: &str, port: u16) -> Running {
    let mut command = Command::new(program("letschat"));
    without_settings(&mut command);
    Running::start(command.args(["open-room", host, &port.to_string()]))
}

/// Somebody with a socket, who hears the room's address alone. What a test sends over loopback is in the room's
/// socket when the call returns, so that the room takes it in that order.
pub struct Visitor(UdpSocket);

impl Visitor {
    /// A visitor at this address, of a room at that one.
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

    /// Says a text to the room.
    pub fn says(&self, text: &str) {
        self.sends(format!("MESSAGE {text}").as_bytes());
    }

    /// Sends a datagram as it is.
    pub fn sends(&self, datagram: &[u8]) {
        assert_eq!(self.0.send(datagram).unwrap(), datagram.len());
    }

    /// The next datagram.
    pub fn hears(&self) -> String {
        let mut buffer = vec![0; 65_536];
        let length = self.0.recv(&mut buffer).expect("the room says something");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Waits for this text from that address, and expects nothing else before it.
    pub fn hears_next(&self, from: SocketAddr, text: &str) {
        assert_eq!(self.hears(), format!("INCOMING {from} {text}"));
    }

    /// All datagrams up to the one with this text at its end.
    pub fn hears_up_to(&self, text: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(|last: &String| last.ends_with(text)) {
            heard.push(self.hears());
        }
        heard
    }
}
