//! A server process and clients that speak the protocol by themselves.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Closing, Credentials, FromServer, Notice, Reply, ReplyAssembler, Request,
};
use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::identity::Identity;
use letschat_protocol::peer::PeerMessage;
use letschat_protocol::signing::LoginStatement;
use letschat_protocol::tls;
use letschat_protocol::username::Username;
use rustls::{ClientConnection, ServerConnection, StreamOwned};

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A classroom's server. Dropping it kills the process.
pub(crate) struct Classroom {
    child: Child,
    lines: Receiver<String>,
    pub(crate) address: SocketAddr,
}

impl Classroom {
    pub(crate) fn start(data: &Path, flags: &[&str]) -> Classroom {
        let mut child = Command::new(env!("CARGO_BIN_EXE_letschat-server"))
            .env_clear()
            .args(["--classroom", "--port", "0", "--config", "/dev/null", "--data"])
            .arg(data)
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let next = || lines.recv_timeout(PATIENCE).expect("the server does not start");
        let address = next().strip_prefix("listening on ").unwrap().parse().unwrap();
        assert!(next().starts_with("fingerprint "));
        Classroom { child, lines, address }
    }

    /// Types a line at the server's console.
    pub(crate) fn types(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits until the server has received so many lines from clients. Asks for its statistics again
    /// and again, since an unanswered line shows nowhere else.
    pub(crate) fn has_heard(&mut self, lines: u64) {
        let heard = format!("heard           {lines} lines");
        loop {
            self.types("/stats");
            loop {
                let line = self.shows();
                if line.starts_with(&heard) {
                    return;
                }
                if line.starts_with("store failures") {
                    break;
                }
            }
        }
    }

    /// Returns the next line on the server's screen.
    pub(crate) fn shows(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the server shows nothing")
    }

    /// Waits for the end. Returns what the log says.
    pub(crate) fn ends(mut self) -> String {
        assert!(self.child.wait().unwrap().success());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Classroom {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (send, lines) = channel();
    thread::spawn(move || {
        let mut read = BufReader::new(output).lines().map_while(Result::ok);
        read.try_for_each(|line| send.send(line))
    });
    lines
}

/// A client with a receiver, which listens also while the server is away.
pub(crate) struct Client {
    name: String,
    identity: Identity,
    receiver: TcpListener,
    link: Option<Link>,
}

struct Link {
    stream: StreamOwned<ClientConnection, TcpStream>,
    decoder: Decoder,
    assembler: ReplyAssembler,
    notices: VecDeque<Notice>,
}

impl Client {
    pub(crate) fn new(name: &str) -> Client {
        let (identity, receiver) =
            (Identity::generate().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        Client { name: name.into(), identity, receiver, link: None }
    }

    /// Creates a client that joins the classroom.
    pub(crate) fn join(server: &Classroom, name: &str) -> Client {
        let mut client = Client::new(name);
        assert_eq!(client.log_in(server).code, Code::LoggedIn);
        client
    }

    pub(crate) fn receiver(&self) -> SocketAddr {
        self.receiver.local_addr().unwrap()
    }

    /// Returns the client's line in the server's file.
    pub(crate) fn entry(&self) -> String {
        format!("{} {} {}\n", self.name, self.receiver().ip(), self.receiver().port())
    }

    /// Logs in by key. Returns the server's answer.
    pub(crate) fn log_in(&mut self, server: &Classroom) -> Reply {
        let mut link = Link::dial(server.address);
        assert_eq!(link.reply().code, Code::Ready);
        assert_eq!(link.ask(&Request::Hello).code, Code::WhichWay);
        let username: Username = self.name.parse().unwrap();
        let binding = tls::export(&link.stream.conn).unwrap().binding;
        let fingerprint = tls::server_fingerprint(&link.stream.conn).unwrap();
        let statement =
            LoginStatement { server: &fingerprint, username: &username, binding: &binding };
        let credentials = Credentials {
            key: self.identity.public_key(),
            signature: self.identity.sign(&statement),
            port: self.receiver().port(),
            take: false,
        };
        let reply = link.ask(&Request::Key { username: self.name.clone(), credentials });
        self.link = Some(link);
        reply
    }

    pub(crate) fn ask(&mut self, request: &Request) -> Reply {
        self.link.as_mut().unwrap().ask(request)
    }

    /// Sends a request and does not wait for its answer.
    pub(crate) fn sends(&mut self, request: &Request) {
        self.link.as_mut().unwrap().send(&request.to_frame().to_bytes());
    }

    /// Waits until the server closes the connection without a notice.
    pub(crate) fn is_dropped(&mut self) {
        let mut link = self.link.take().unwrap();
        assert_eq!(link.notices.pop_front(), None);
        // The read fails if the server ends without close_notify.
        let ended = link.stream.read(&mut [0]).or_else(|error| match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => Ok(0),
            _ => Err(error),
        });
        assert_eq!(ended.unwrap(), 0);
    }

    /// Sends requests without waiting, and then takes all answers.
    pub(crate) fn pastes(&mut self, requests: &[Request]) -> Vec<Code> {
        let link = self.link.as_mut().unwrap();
        let mut bytes = Vec::new();
        requests.iter().for_each(|request| request.to_frame().encode(&mut bytes));
        link.send(&bytes);
        requests.iter().map(|_| link.reply().code).collect()
    }

    /// Returns the next introduction: the name, and whether it is new.
    pub(crate) fn hears_of(&mut self) -> (String, bool) {
        loop {
            if let Notice::Client { who, is_new } = self.link.as_mut().unwrap().notice() {
                return (who.username.to_string(), is_new);
            }
        }
    }

    /// Returns the next text that the server's operator said.
    pub(crate) fn hears_server(&mut self) -> String {
        loop {
            if let Notice::Say(text) = self.link.as_mut().unwrap().notice() {
                return text;
            }
        }
    }

    /// Returns the next broadcast.
    pub(crate) fn hears_broadcast(&mut self) -> String {
        loop {
            if let Notice::Broadcast { entry, .. } = self.link.as_mut().unwrap().notice() {
                return format!("{}: {}", entry.sender, entry.text);
            }
        }
    }

    /// Waits for the reason why the server closes.
    pub(crate) fn hears_closing(&mut self) -> Closing {
        loop {
            if let Notice::Closing(why) = self.link.as_mut().unwrap().notice() {
                self.link = None;
                return why;
            }
        }
    }

    /// Loses the connection.
    pub(crate) fn is_cut_off(&mut self) {
        self.link = None;
    }

    /// Waits for somebody at the receiver, and returns the message.
    pub(crate) fn is_knocked(&self) -> PeerMessage {
        let (stream, _) = self.receiver.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let own = tls::raw_key(self.identity.public_key(), &self.identity).unwrap();
        let tls = ServerConnection::new(tls::receiver(own)).unwrap();
        let mut stream = StreamOwned::new(tls, stream);
        let (mut decoder, mut bytes) = (Decoder::new(), Vec::new());
        stream.read_to_end(&mut bytes).unwrap();
        decoder.extend(&bytes);
        PeerMessage::from_frame(&decoder.next(Mode::Frame).unwrap().unwrap()).unwrap()
    }

    /// Returns true if somebody waits at the receiver.
    pub(crate) fn has_a_visitor(&self) -> bool {
        self.receiver.set_nonblocking(true).unwrap();
        let came = self.receiver.accept().is_ok();
        self.receiver.set_nonblocking(false).unwrap();
        came
    }
}

impl Link {
    fn dial(server: SocketAddr) -> Link {
        let tcp = TcpStream::connect(server).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        let tls = ClientConnection::new(tls::client(), tls::unused_name()).unwrap();
        Link {
            stream: StreamOwned::new(tls, tcp),
            decoder: Decoder::new(),
            assembler: ReplyAssembler::default(),
            notices: VecDeque::new(),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
        self.stream.flush().unwrap();
    }

    fn ask(&mut self, request: &Request) -> Reply {
        self.send(&request.to_frame().to_bytes());
        self.reply()
    }

    fn reply(&mut self) -> Reply {
        loop {
            match self.next() {
                FromServer::Reply(reply) => return reply,
                FromServer::Notice(notice) => self.notices.push_back(notice),
                FromServer::Unknown => panic!("an unknown notice"),
            }
        }
    }

    fn notice(&mut self) -> Notice {
        if let Some(notice) = self.notices.pop_front() {
            return notice;
        }
        match self.next() {
            FromServer::Notice(notice) => notice,
            other => panic!("{other:?}"),
        }
    }

    fn next(&mut self) -> FromServer {
        let mut bytes = [0; 4_096];
        loop {
            while let Some(frame) = self.decoder.next(Mode::Frame).unwrap() {
                if let Some(message) = self.assembler.take(&frame).unwrap() {
                    return message;
                }
            }
            match self.stream.read(&mut bytes).unwrap() {
                0 => panic!("the server closed"),
                count => self.decoder.extend(&bytes[..count]),
            }
        }
    }
}

/// Waits until the file of the clients has this content. The server replaces it some time after its
/// answers and reports that to nobody, so the file is polled.
pub(crate) fn wait_for_file(path: &Path, content: &str) {
    let until = std::time::Instant::now() + PATIENCE;
    while fs::read_to_string(path).unwrap_or_default() != content {
        assert!(std::time::Instant::now() < until, "{content:?}: {:?}", fs::read_to_string(path));
        thread::sleep(Duration::from_millis(5));
    }
}
