//! What the server tells its monitoring.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::mysql_server::Throwaway;
use letschat_tests::operator::{letschat_server, run};
use letschat_tests::server::TestServer;
use serde_json::json;

/// The time limit for an answer beside hostile readers.
const SOON: Duration = Duration::from_secs(5);

/// Starts a server with metrics at a free port, and returns that.
fn with_metrics(flags: &[&str]) -> (TestServer, SocketAddr) {
    let server = TestServer::start(&[&["--metrics", "127.0.0.1:0"], flags].concat());
    let told = "metrics are at http://";
    server.wait_log(told);
    let errors = server.process.errors();
    let port = errors.split(told).nth(1).unwrap().split('/').next().unwrap();
    (server, port.parse().unwrap())
}

/// Returns the status and the text of an answer.
fn get(at: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), text.to_owned())
}

/// Returns the value of a sample.
fn value(text: &str, sample: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{sample} ")))?;
    line.parse().ok()
}

#[test]
fn metrics_count_what_happens_and_name_nobody() {
    let (server, at) = with_metrics(&[]);
    let mut alice = TestClient::join(&server, "alice");
    alice.ok("broadcast", json!({"text": "a secret"}));
    let mut guest = TestClient::start(&server, "guest");
    guest.fails("login", json!({"username": "alice", "password": "not the password"}));
    let mut bob = TestClient::join(&server, "bob");
    bob.befriend(&mut alice);
    bob.quits();
    // A report may be a second old.
    let until = Instant::now() + SOON;
    let text = loop {
        let (status, text) = get(at, "/metrics");
        assert_eq!(status, 200);
        if value(&text, "letschat_connections_ended_total{reason=\"quit\"}") == Some(1.0) {
            break text;
        }
        assert!(Instant::now() < until, "{text}");
    };
    for (sample, expected) in [
        ("letschat_build_info{version=\"0.1.0\"}", 1.0),
        ("letschat_sessions", 1.0),
        ("letschat_places", 50.0),
        ("letschat_sign_ups_total", 2.0),
        ("letschat_logins_total{result=\"accepted\"}", 2.0),
        ("letschat_logins_total{result=\"wrong_password\"}", 1.0),
        ("letschat_broadcasts_total", 1.0),
        ("letschat_mailbox_bytes", 0.0),
        ("letschat_relays", 0.0),
        ("letschat_store_up", 1.0),
        ("letschat_store_failures_total", 0.0),
    ] {
        assert_eq!(value(&text, sample), Some(expected), "{sample} in {text}");
    }
    let pushed = value(&text, "letschat_envelopes_total{outcome=\"pushed\"}");
    assert!(pushed.is_some_and(|pushed| pushed >= 2.0), "{text}");
    let commits = "letschat_store_step_seconds_count{step=\"committing broadcasts\"}";
    assert_eq!(value(&text, commits), Some(1.0), "{text}");
    for name in ["alice", "bob", "secret", "127.0.0.1"] {
        assert!(!text.contains(name), "{name} is in {text}");
    }
    for word in include_str!("../../../docs/grafana.json")
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
    {
        let is_metric = word.starts_with("letschat_");
        let is_there =
            text.contains(&format!("\n{word} ")) || text.contains(&format!("\n{word}{{"));
        assert!(!is_metric || is_there, "the dashboard wants {word}, which is not in {text}");
    }
    check_by_promtool(&text);
}

/// Lets Prometheus' own tool judge the text, where it is installed.
fn check_by_promtool(text: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    let Ok(mut promtool) = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn hostile_readers_cost_nobody_anything() {
    let (server, at) = with_metrics(&[]);
    let mut alice = TestClient::join(&server, "alice");
    // They say nothing, never end, or never read.
    let stuck: Vec<TcpStream> = (0..60)
        .map(|number| {
            let mut stream = TcpStream::connect(at).unwrap();
            // It may have been closed already, to make room.
            let _ = match number % 3 {
                0 => Ok(()),
                1 => stream.write_all(b"GET /metrics HTTP/1.1\r\nA: "),
                _ => stream.write_all("GET /metrics HTTP/1.1\r\n\r\n".repeat(50).as_bytes()),
            };
            stream
        })
        .collect();
    let begin = Instant::now();
    assert_eq!(get(at, "/livez").0, 200);
    assert_eq!(get(at, "/readyz").0, 200);
    alice.ok("list", json!({}));
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    drop(stuck);
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("GET /etc/passwd HTTP/1.1\r\n\r\n", "404"),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n", "400"),
    ] {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let head = "A".repeat(100_000);
    let mut stream = TcpStream::connect(at).unwrap();
    // The server answers and closes before it has read all of that.
    let _ = stream.write_all(format!("GET /{head} HTTP/1.1\r\n\r\n").as_bytes());
    alice.ok("list", json!({}));
}

#[test]
fn socket_is_for_its_owner_and_health_asks_there() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("metrics.sock");
    let path = socket.to_str().unwrap();
    let mut server = TestServer::start(&["--metrics", path]);
    let data = tempfile::tempdir().unwrap();
    let health = || run(letschat_server(data.path()).args(["--metrics", path, "health"]), "");
    health().ok();
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(b"HEAD /livez HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    server.stop();
    assert!(!socket.exists(), "a server that ends takes its socket with it");
    assert!(health().refused(1).contains("nobody answers at"));
}

#[test]
fn server_without_its_database_is_alive_and_not_ready() {
    if !Throwaway::is_here_to_test("server_without_its_database_is_alive_and_not_ready") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut database = Throwaway::private(&folder);
    let store = database.server.location("letschat").to_string();
    let (server, at) = with_metrics(&["--store", &store]);
    assert_eq!(get(at, "/readyz"), (200, "listening: ok\ndatabase: ok\n".into()));
    database.stop();
    let until = Instant::now() + 4 * SOON;
    while get(at, "/readyz").0 != 503 {
        assert!(Instant::now() < until, "it is still ready");
    }
    assert_eq!(get(at, "/livez").0, 200);
    let (status, text) = get(at, "/metrics");
    assert_eq!((status, value(&text, "letschat_store_up")), (200, Some(0.0)));
    assert_eq!(value(&text, "letschat_mailbox_bytes"), None);
    let data = tempfile::tempdir().unwrap();
    let health =
        run(letschat_server(data.path()).args(["--metrics", &at.to_string(), "health"]), "");
    assert!(health.refused(1).contains("not ready: listening: ok, database: does not answer"));
    database.start_again();
    while get(at, "/readyz").0 != 200 {
        assert!(Instant::now() < until, "it is not ready again");
    }
    drop(server);
}
