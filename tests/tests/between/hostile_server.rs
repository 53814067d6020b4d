//! A server that lies. The client checks its answers and follows a limited number of misleading ones.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use futures_lite::future::block_on;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use futures_rustls::TlsAcceptor;
use letschat_protocol::dialogue::{SessionId, Welcome};
use letschat_protocol::frame::{Decoder, Frame, Mode};
use letschat_tests::client::{PASSWORD, TestClient};
use rustls::ServerConfig;
use serde_json::json;

use crate::keys::Faces;

/// The server's answer to the words of a request.
type Answers = dyn Fn(&[&str]) -> String + Send + Sync;

/// Starts a server that answers each request with this function.
fn start(answers: impl Fn(&[&str]) -> String + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tls = Faces::of_a_server().to_dialler;
    let answers: Arc<Answers> = Arc::new(answers);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (tls, answers) = (tls.clone(), answers.clone());
            // The connection ends when the client goes away.
            thread::spawn(move || drop(block_on(serve(stream, tls, &*answers))));
        }
    });
    address
}

async fn serve(stream: TcpStream, tls: Arc<ServerConfig>, answers: &Answers) -> io::Result<()> {
    let stream = async_net::TcpStream::try_from(stream)?;
    let mut stream = TlsAcceptor::from(tls).accept(stream).await?;
    stream.write_all(b"220 say HELLO\n").await?;
    stream.flush().await?;
    let (mut decoder, mut chunk) = (Decoder::new(), [0; 4_096]);
    loop {
        let length = stream.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        decoder.extend(&chunk[..length]);
        while let Some(frame) = decoder.next(Mode::Frame).map_err(io::Error::other)? {
            let words: Vec<&str> = frame.words().collect();
            stream.write_all(answers(&words).as_bytes()).await?;
            stream.flush().await?;
        }
    }
}

/// Returns an honest server's answer, except for the name in the welcome.
fn as_usual(words: &[&str], let_in_as: &str) -> String {
    match words[0] {
        "HELLO" => "300 log in or sign up?\n".into(),
        "LOGIN" | "KEY" => welcome(let_in_as),
        _ => "250 0 done\n".into(),
    }
}

fn welcome(name: &str) -> String {
    let welcome = Welcome {
        username: name.parse().unwrap(),
        session: SessionId(1),
        epoch: 1,
        head: 0,
        udp_port: 9,
        address: [127, 0, 0, 1].into(),
    };
    let mut bytes = Vec::new();
    welcome.to_reply().encode(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn client(address: SocketAddr) -> TestClient {
    TestClient::start_at(&address.to_string(), "alice", &[])
}

fn log_in(alice: &mut TestClient) {
    alice.ok("login", json!({"username": "alice", "password": PASSWORD}));
}

#[test]
fn login_as_somebody_else_is_refused() {
    let mut alice = client(start(|words| as_usual(words, "mallory")));
    let login = json!({"username": "alice", "password": PASSWORD});
    assert_eq!(alice.fails("login", login), "malformed");
    assert_eq!(alice.ok("status", json!({}))["state"], "offline");
}

#[test]
fn list_that_leads_nowhere_fails() {
    let pages = Arc::new(AtomicUsize::new(0));
    let counted = pages.clone();
    let mut alice = client(start(move |words| match words[0] {
        "LIST" => {
            let page = counted.fetch_add(1, Ordering::Relaxed);
            format!("250-a{page:09} 127.0.0.1 4401\n250 1 more after a{page:09}\n")
        }
        _ => as_usual(words, "alice"),
    }));
    log_in(&mut alice);
    assert_eq!(alice.fails("list", json!({})), "malformed");
    assert!(pages.load(Ordering::Relaxed) <= 1_000);
}

#[test]
fn login_that_is_ended_at_once_is_tried_ever_more_rarely() {
    let mut alice = client(start(|words| match words[0] {
        "LOGIN" | "KEY" => welcome("alice") + "* CLOSING terminated Server: terminated.\n",
        _ => as_usual(words, "alice"),
    }));
    log_in(&mut alice);
    let mut waits_ms = Vec::new();
    for attempt in 1..=4 {
        let retrying = alice.wait_event("retrying");
        assert_eq!(retrying["attempt"], attempt, "{retrying}");
        waits_ms.push(retrying["in_ms"].as_u64().unwrap());
    }
    assert!(waits_ms.is_sorted() && waits_ms[3] >= 3_200, "{waits_ms:?}");
}

#[test]
fn introduction_of_somebody_else_is_refused() {
    let mut alice = client(start(|words| match words[0] {
        "CONNECT" => {
            let key = crate::keys::own_identity().public_key();
            let line = format!("250 mallory 127.0.0.1 9 {key} introduced");
            String::from_utf8(Frame::line(line).to_bytes()).unwrap()
        }
        _ => as_usual(words, "alice"),
    }));
    log_in(&mut alice);
    for who in ["bob", "127.0.0.2"] {
        let connect = json!({"who": who, "force": true});
        assert_eq!(alice.fails("connect", connect), "malformed", "{who}");
    }
}
