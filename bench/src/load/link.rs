//! One client's TLS connection. It never blocks: the crowd reports when the socket is ready.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use letschat_protocol::dialogue::{FromServer, ReplyAssembler, Request};
use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::tls::{self, Exported};
use rustix::event::epoll::EventFlags;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Protocol, Socket, Type};

const READ_BYTES: usize = 16 * 1024;

/// An event of the link.
pub(super) enum News {
    /// The handshake is done, with a server of this key.
    Secured(Fingerprint, Exported),
    /// The server sent a message.
    Said(FromServer),
}

pub(super) struct Link {
    pub(super) tcp: TcpStream,
    tls: ClientConnection,
    decoder: Decoder,
    replies: ReplyAssembler,
    pub(super) is_secured: bool,
    /// The events that epoll watches the socket for.
    pub(super) watched: EventFlags,
}

impl Link {
    /// Starts to connect from this address.
    pub(super) fn dial(
        source: Ipv4Addr,
        server: SocketAddr,
        config: Arc<ClientConfig>,
    ) -> io::Result<Link> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        match socket.connect(&server.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error);
            }
            _ => {}
        }
        Ok(Link {
            tcp: socket.into(),
            tls: ClientConnection::new(config, tls::unused_name()).map_err(io::Error::other)?,
            decoder: Decoder::new(),
            replies: ReplyAssembler::default(),
            is_secured: false,
            watched: EventFlags::empty(),
        })
    }

    /// Sends a request, as far as the socket accepts it now.
    pub(super) fn send(&mut self, request: &Request) -> io::Result<()> {
        self.tls.writer().write_all(&request.to_frame().to_bytes())?;
        self.flush()
    }

    /// Reads and writes as much as possible. Returns an error when the link or the server has
    /// ended.
    pub(super) fn advance(&mut self, news: &mut Vec<News>) -> io::Result<()> {
        self.flush()?;
        match self.tls.read_tls(&mut self.tcp) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let state = self.tls.process_new_packets().map_err(io::Error::other)?;
        self.flush()?;
        if !self.is_secured && !self.tls.is_handshaking() {
            self.is_secured = true;
            let fingerprint = tls::server_fingerprint(&self.tls).ok_or(ErrorKind::InvalidData)?;
            let exported = tls::export(&self.tls).map_err(io::Error::other)?;
            news.push(News::Secured(fingerprint, exported));
        }
        if state.plaintext_bytes_to_read() > 0 {
            self.read(news)?;
        }
        if state.peer_has_closed() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn read(&mut self, news: &mut Vec<News>) -> io::Result<()> {
        let mut chunk = [0; READ_BYTES];
        loop {
            match self.tls.reader().read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => self.decoder.extend(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            while let Some(frame) = self.decoder.next(Mode::Frame).map_err(io::Error::other)? {
                let said = self.replies.take(&frame).map_err(io::Error::other)?;
                news.extend(said.map(News::Said));
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.tcp) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns the events to watch the socket for.
    pub(super) fn wanted(&self) -> EventFlags {
        match self.tls.wants_write() {
            true => EventFlags::IN | EventFlags::OUT,
            false => EventFlags::IN,
        }
    }

    /// Closes TLS and the socket.
    pub(super) fn close(mut self) {
        self.tls.send_close_notify();
        // If this can't be sent now, the server still sees the end of the stream.
        let _ = self.flush();
    }
}
