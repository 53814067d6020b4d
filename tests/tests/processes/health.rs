//! The health check for containers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::operator::{CommandOutput, letschat_server, run};
use letschat_tests::programs::nobodys_address;
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

fn health(arguments: &[&str]) -> CommandOutput {
    let data = tempfile::tempdir().unwrap();
    run(letschat_server(data.path()).arg("health").args(arguments), "")
}

fn health_of(address: SocketAddr) -> CommandOutput {
    health(&["--address", &address.to_string()])
}

#[test]
fn a_server_that_greets_is_well() {
    let mut server = TestServer::start(&[]);
    let outcome = health_of(server.address);
    assert_eq!((outcome.output.as_str(), outcome.errors.as_str()), ("", ""));
    outcome.ok();
    server.wait_log("ended without a login: said QUIT");
    server.stop();
    assert!(!server.process.errors().contains("WARN"), "{}", server.process.errors());
    let said = health_of(server.address).refused(1);
    assert!(said.contains(&format!("nobody answers at {}", server.address)), "{said}");
}

#[test]
fn it_is_looked_for_where_the_settings_say_that_it_listens() {
    let server = TestServer::start(&[]);
    let port = server.address.port().to_string();
    let data = tempfile::tempdir().unwrap();
    let asked = |command: &mut Command| run(command.arg("health"), "");
    asked(letschat_server(data.path()).env("LETSCHAT_SERVER_PORT", &port)).ok();
    asked(letschat_server(data.path()).args(["--port", &port])).ok();
    let (nobody, _held) = nobodys_address();
    let said = asked(letschat_server(data.path()).args(["--port", &nobody.port().to_string()]));
    assert!(said.refused(1).contains(&nobody.to_string()));
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "asking makes nothing");
}

#[test]
fn a_full_server_is_well_and_nobody_loses_a_place() {
    let server = TestServer::start(&["--places", "1"]);
    let mut alice = TestClient::join(&server, "alice");
    for _ in 0..40 {
        health_of(server.address).ok();
    }
    alice.is_in();
    alice.ok("leave", json!({}));
    for _ in 0..40 {
        health_of(server.address).ok();
    }
    Typist::joins(server.address, "harry");
}

#[test]
fn who_says_nothing_is_given_up_after_three_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begin = Instant::now();
    let said = health_of(silent.local_addr().unwrap()).refused(1);
    assert!(said.contains("within 3 s"), "{said}");
    let took = begin.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(20)).contains(&took), "{took:?}");
}

/// Starts a server that answers one connection with these bytes, in the clear or over TLS.
fn stranger(answer: &'static [u8], tls: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The thread ends with its only connection.
    thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        if tls {
            let mut tls = StreamOwned::new(ServerConnection::new(any_config()).unwrap(), tcp);
            tls.conn.complete_io(&mut tls.sock).unwrap();
            tls.write_all(answer).unwrap();
            tls.conn.send_close_notify();
            let _ = tls.flush();
            let _ = tls.read(&mut [0; 64]);
        } else {
            tcp.write_all(answer).unwrap();
            let _ = tcp.read(&mut [0; 1_024]);
        }
    });
    address
}

fn any_config() -> Arc<ServerConfig> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["stranger".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    letschat_protocol::tls::server(cert.der().clone(), key).unwrap()
}

#[test]
fn what_is_no_letschat_server_is_told_as_that() {
    for (answer, tls, told) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], false, "is no letschat-server: "),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", true, "it says \"HTTP/1.1 400 Bad Request\""),
        (b"500 go away \x1b[2J\n", true, "\\u{1b}[2J"),
        (b"220 without an end", true, "it says \"220 without an end\""),
        (b"", true, "it says \"\""),
    ] {
        let said = health_of(stranger(answer, tls)).refused(1);
        assert!(said.contains(told), "{said}");
        assert!(!said.contains('\u{1b}'), "{said}");
    }
    health_of(stranger(b"421 All places are taken.\n", true)).ok();
}

#[test]
fn an_address_that_is_none_is_refused() {
    for address in ["", "localhost", "127.0.0.1", "127.0.0.1:x", "no such host:1"] {
        health(&["--address", address]).refused(1);
    }
}
