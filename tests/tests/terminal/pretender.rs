//! A server that says what no honest one would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use letschat_protocol::frame::{Decoder, Frame, Mode};
use letschat_protocol::tls;
use rcgen::generate_simple_self_signed;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConnection, StreamOwned};

use crate::hostile::{pieces, texts};

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// Characters that end a line, so that they can't be within one.
pub(crate) const NOT_IN_A_LINE: &[char] = &['\n', '\r'];

/// Takes everybody for its account, and puts something hostile into all that it says.
pub(crate) struct Pretender {
    pub(crate) address: SocketAddr,
}

impl Pretender {
    pub(crate) fn start() -> Pretender {
        let made = generate_simple_self_signed(vec!["server".into()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = tls::server(made.cert.der().clone(), key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(config.clone()).unwrap();
                thread::spawn(move || converse(StreamOwned::new(connection, stream)));
            }
        });
        Pretender { address }
    }
}

/// Answers each request, until the client has gone.
fn converse(mut stream: Stream) {
    let words = pieces(NOT_IN_A_LINE).concat();
    let mut decoder = Decoder::new();
    let mut bytes = [0; 4_096];
    let mut say = format!("220 {words}\n");
    loop {
        if stream.write_all(say.as_bytes()).and_then(|()| stream.flush()).is_err() {
            return;
        }
        let frame = loop {
            if let Some(frame) = decoder.next(Mode::Frame).unwrap() {
                break frame;
            }
            match stream.read(&mut bytes) {
                Ok(count @ 1..) => decoder.extend(&bytes[..count]),
                _ => return,
            }
        };
        say = answer(&frame, &words);
    }
}

fn answer(frame: &Frame, words: &str) -> String {
    let mut asked = frame.words();
    match asked.next().unwrap_or_default() {
        "HELLO" => format!("300 {words}\n"),
        "SIGNUP" => format!("201 {words}\n"),
        "LOGIN" | "KEY" => {
            let name = asked.next().unwrap_or_default();
            format!("230 {name} 1 1 0 9 127.0.0.1 {words}\n")
        }
        // Asks for nothing: it is what tells the pretender that somebody is ready to listen.
        "WATCH" => {
            let names = notices_about_names(words);
            format!("250 {words}\n{names}{}{}", broadcasts(), said())
        }
        "LIST" => format!("250-{words} 127.0.0.1 1\n250-bob {words} 1\n250 {words}\n"),
        "PING" => format!("250 0 {words}\n"),
        "CONNECT" => format!("451-bob {words}\n451 {words}endofconnect\n"),
        _ => format!("553 {words}endofrefusal\n"),
    }
}

/// None of these has a name that could be one.
fn notices_about_names(words: &str) -> String {
    let key = "0".repeat(64);
    [
        format!("* JOINED {words}\n"),
        format!("* LEFT bob {words}\n"),
        format!("* CROWD {words} 1\n"),
        format!("* INTRODUCTION {words} 127.0.0.1 1 {key}\n"),
        format!("* INTRODUCTION bob {words} 1 {key}\n"),
        format!("* BROADCAST 1 {words} 1 - +1\na\n"),
        format!("* CLOSING {words}\n"),
        format!("* {words}\n"),
    ]
    .concat()
}

fn broadcasts() -> String {
    let told = texts(&[], 800, "endofbroadcasts").into_iter().zip(1..);
    told.map(|(text, number)| {
        format!("* BROADCAST {number} bob {number} - +{}\n{text}\n", text.len())
    })
    .collect()
}

fn said() -> String {
    let told = texts(&[], 4_000, "endofnotices").into_iter();
    told.map(|text| format!("* SAY +{}\n{text}\n", text.len())).collect()
}
