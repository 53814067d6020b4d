//! Invalid lines and datagrams. The answers say what was expected, are bounded and do not repeat the input.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

use letschat_protocol::limits::{MAX_LINE_BYTES, MAX_PAYLOAD_BYTES};
use letschat_tests::client::TestClient;
use letschat_tests::programs::{PATIENCE, nobodys_address};
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;

/// Checks that the session still works.
fn goes_on(typist: &mut Typist) {
    typist.types("PING");
    typist.expects("250 ");
}

/// Checks that new clients are still served, from the first line to datagrams.
fn serves(server: &TestServer, name: &str) -> TestClient {
    let client = TestClient::join(server, name);
    server.wait_log(&format!("datagrams reach {name}"));
    client
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_is_read() {
    let server = TestServer::start(&[]);
    let mut typist = Typist::greeted_as_program(server.address);
    typist.types(&"x".repeat(100 * MAX_LINE_BYTES));
    assert!(typist.expects("500 ").contains("at most 2048 bytes"));
    goes_on(&mut typist);
}

#[test]
fn a_line_that_is_no_text_is_refused_and_the_next_is_read() {
    let server = TestServer::start(&[]);
    let mut typist = Typist::greeted_as_program(server.address);
    typist.sends(b"PING \xff\xfe\n");
    assert!(typist.expects("500 ").contains("UTF-8"));
    goes_on(&mut typist);
}

#[test]
fn a_payload_is_never_read_as_a_command() {
    let server = TestServer::start(&[]);
    let mut typist = Typist::greeted_as_program(server.address);
    for (line, answer) in
        [("NONSENSE", "502 "), ("LIST", "501 "), ("\u{1b}", "502 "), (" ", "502 ")]
    {
        typist.types(&format!("{line} +5\nQUIT\n"));
        typist.expects(answer);
    }
    goes_on(&mut typist);
}

#[test]
fn a_command_at_the_wrong_time_is_told_what_comes_first() {
    let server = TestServer::start(&[]);
    let mut typist = Typist::connect(server.address);
    typist.types("LIST");
    assert!(typist.expects("503 ").contains("HELLO"));
    typist.types("HELLO letschat/1");
    typist.expects("300 ");
    typist.types("LIST");
    assert!(typist.expects("503 ").contains("LOGIN"));
    let mut member = Typist::joins(server.address, "harry");
    member.types("LOGIN");
    assert!(member.expects("503 ").contains("logged in"));
}

#[test]
fn payload_of_a_wrong_length_ends_the_connection() {
    let server = TestServer::start(&[]);
    let too_long = format!("PING +{}", MAX_PAYLOAD_BYTES + 1);
    for (line, expected) in [
        (too_long.as_str(), "payload of at most 65536 bytes"),
        ("PING +99999999999999999999", "payload of at most 65536 bytes"),
        ("PING +2\nabc", "a line end right after"),
    ] {
        let mut typist = Typist::greeted_as_program(server.address);
        typist.types(line);
        let error = typist.expects("500 ");
        assert!(error.contains(expected), "{error}");
        typist.expects("* CLOSING flood ");
        typist.expects_end();
    }
}

#[test]
fn the_fifth_line_that_makes_no_sense_is_the_last() {
    let server = TestServer::start(&[]);
    let mut stranger = Typist::connect(server.address);
    stranger.expects("220 ");
    let mut person = Typist::connect(server.address);
    person.types("HELLO");
    person.expects("300 ");
    let member = Typist::joins(server.address, "harry");
    let program = Typist::greeted_as_program(server.address);
    for mut typist in [stranger, person, program, member] {
        let before = typist.heard.len();
        for _ in 0..5 {
            typist.types("NONSENSE");
            typist.expects("50");
        }
        typist.expects("* ");
        typist.expects_end();
        assert_eq!(typist.heard.len(), before + 6, "{:?}", typist.heard);
    }
}

#[test]
fn no_error_repeats_what_was_sent() {
    const MARKER: &str = "Zx9-marker";
    let server = TestServer::start(&[]);
    let bad_lines: [&[u8]; 11] = [
        b"Zx9-marker",
        b"Zx9-marker \xff",
        b"Zx9-marker +10\nZx9-marker",
        b"LIST Zx9-marker \x1b[2J",
        b"WATCH Zx9-marker",
        b"KEY Zx9-marker Zx9-marker",
        b"LOGIN Zx9-marker Zx9-marker +10\nZx9-marker",
        b"SIGNUP Zx9-marker Zx9-marker +10\nZx9-marker",
        b"SIGNUP Zx9-marker!",
        b"REPLAY FROM Zx9-marker",
        b"CONNECT Zx9-marker Zx9-marker",
    ];
    for hello in ["HELLO", "HELLO letschat/1"] {
        for line in bad_lines {
            let mut typist = Typist::connect(server.address);
            typist.types("HELLO Zx9-marker");
            typist.expects("503 ");
            typist.types(hello);
            typist.expects("300 ");
            typist.sends(line);
            typist.sends(b"\n");
            typist.expects("5");
            assert!(!typist.heard.concat().contains(MARKER), "{:?}", typist.heard);
        }
    }
    assert!(!server.process.errors().contains('\u{1b}'), "{}", server.process.errors());
}

/// Returns random bytes.
fn garbage(random: &mut fastrand::Rng, length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// Sends bytes without TLS and reads the answer to its end.
fn plain_tcp(server: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may have closed before everything was sent.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("it is not closed"),
        _ => answer,
    }
}

#[test]
fn who_speaks_no_tls_is_closed_with_an_alert_at_most() {
    let server = TestServer::start(&[]);
    let mut random = fastrand::Rng::with_seed(1);
    let binary = garbage(&mut random, 2_000);
    for bytes in [&binary[..], b"HELLO\n", b"GET / HTTP/1.1\r\n\r\n"] {
        let answer = plain_tcp(server.address, bytes);
        // An alert is a record of type 21 with a payload of two bytes (RFC 8446, section 6).
        assert!(answer.is_empty() || (answer.len() == 7 && answer[0] == 21), "{answer:?}");
    }
    serves(&server, "alice");
}

/// Returns the session id from the reply to a program's login. It is not secret.
fn session_of(typist: &Typist) -> u64 {
    let welcome = typist.heard.last().unwrap();
    u64::from_str_radix(welcome.split(' ').nth(2).unwrap(), 16).unwrap()
}

#[test]
fn a_datagram_that_does_not_open_is_not_answered_by_one_byte() {
    let server = TestServer::start(&[]);
    let (nobodys, _held) = nobodys_address();
    let member = Typist::joins_as_program(&server, "harry", nobodys.port());
    let session = session_of(&member).to_be_bytes();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut random = fastrand::Rng::with_seed(2);
    for length in [0, 1, 7, 8, 16, 33, 500, 1_200, 1_201, 9_000] {
        let bytes = garbage(&mut random, length);
        socket.send_to(&bytes, server.address).unwrap();
        socket.send_to(&[&session[..], &bytes].concat(), server.address).unwrap();
    }
    // Datagrams are processed in order, so the server has now processed all of them.
    serves(&server, "alice");
    socket.set_nonblocking(true).unwrap();
    let answer = socket.recv_from(&mut [0; 2_000]);
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Sends random datagrams as fast as the server takes them, so that the server drops them and not the
/// kernel.
fn flood_with_datagrams(server: SocketAddr, random: &mut fastrand::Rng, count: usize) {
    const AT_ONCE: usize = 50;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..count / AT_ONCE {
        for _ in 0..AT_ONCE {
            let length = random.usize(0..700);
            socket.send_to(&garbage(random, length), server).unwrap();
        }
        let until = Instant::now() + PATIENCE;
        while udp_queue_bytes(server.port()) != Some(0) {
            assert!(Instant::now() < until, "the server does not take its datagrams");
            std::thread::yield_now();
        }
    }
}

/// Returns the kernel's queue in bytes for the UDP socket of this port, from its table (proc(5)). The table
/// is no snapshot: it can miss a row while other sockets change, and then this is `None`.
fn udp_queue_bytes(port: u16) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    let ending = format!(":{port:04X}");
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.get(1).is_some_and(|local| local.ends_with(&ending)))?;
    Some(u64::from_str_radix(row[4].split_once(':').unwrap().1, 16).unwrap())
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn garbage_does_not_grow_the_server() {
    let server = TestServer::start(&[]);
    let mut random = fastrand::Rng::with_seed(3);
    let mut bother = |datagrams: usize, connections: usize| {
        flood_with_datagrams(server.address, &mut random, datagrams);
        for _ in 0..connections {
            plain_tcp(server.address, &garbage(&mut random, 2_000));
        }
    };
    // The server first allocates what every server comes to hold.
    serves(&server, "alice").quits();
    bother(1_000, 50);
    let before = resident_kib(server.process.pid());
    bother(20_000, 200);
    let after = resident_kib(server.process.pid());
    assert!(after <= before + 3 * 1_024, "it grew from {before} to {after} KiB");
    serves(&server, "bob").quits();
}
