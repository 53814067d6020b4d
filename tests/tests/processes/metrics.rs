//! The metrics, and who reads them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use letschat_server::store::mysql::location::MysqlLocation;
use letschat_tests::client::TestClient;
use letschat_tests::cluster::TestCluster;
use letschat_tests::mysql_server::{MysqlServer, Throwaway};
use letschat_tests::operator::{letschat_server, run};
use letschat_tests::programs::PATIENCE;
use letschat_tests::relay::{LinkCondition, Relay};
use letschat_tests::server::TestServer;
use serde_json::json;

/// The time limit for an answer beside hostile readers.
const SOON: Duration = Duration::from_secs(5);

/// The pause between two looks: an answer may be a second old.
const PAUSE: Duration = Duration::from_millis(200);

/// Starts a server with metrics at a free port, and returns that.
fn with_metrics(flags: &[&str]) -> (TestServer, SocketAddr) {
    let server = TestServer::start(&[&["--metrics", "127.0.0.1:0"], flags].concat());
    let port = port_of(&server);
    (server, port)
}

/// Returns the port of a server's metrics.
fn port_of(server: &TestServer) -> SocketAddr {
    let told = "metrics are at http://";
    server.wait_log(told);
    let errors = server.process.errors();
    errors.split(told).nth(1).unwrap().split('/').next().unwrap().parse().unwrap()
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

/// Waits until the metrics have something. Returns their text.
fn wait_for(at: SocketAddr, fits: impl Fn(&str) -> bool) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let (status, text) = get(at, "/metrics");
        assert_eq!(status, 200, "{text}");
        if fits(&text) {
            return text;
        }
        assert!(Instant::now() < until, "{text}");
        thread::sleep(PAUSE);
    }
}

/// Waits until the server says that it is ready, or not, by this status.
fn wait_ready(at: SocketAddr, status: u16) {
    let until = Instant::now() + PATIENCE;
    loop {
        let (now, text) = get(at, "/readyz");
        if now == status {
            return;
        }
        assert!(Instant::now() < until, "{now} {text}");
        thread::sleep(PAUSE);
    }
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
    let build = format!("letschat_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    let expected = [
        (build.as_str(), 1.0),
        ("letschat_connections_ended_total{reason=\"quit\"}", 1.0),
        ("letschat_connections_ended_total{reason=\"evicted\"}", 0.0),
        ("letschat_sessions", 1.0),
        ("letschat_places", 50.0),
        ("letschat_sign_ups_total", 2.0),
        ("letschat_logins_total{result=\"accepted\"}", 2.0),
        ("letschat_logins_total{result=\"wrong_password\"}", 1.0),
        ("letschat_broadcasts_total", 1.0),
        ("letschat_relays", 0.0),
        ("letschat_store_up", 1.0),
        ("letschat_store_failures_total", 0.0),
        ("letschat_store_step_seconds_count{step=\"committing broadcasts\"}", 1.0),
    ];
    // An answer may be a second old, and the end of a connection is noticed a moment later.
    let text = wait_for(at, |text| {
        expected.iter().all(|(sample, wanted)| value(text, sample) == Some(*wanted))
    });
    let pushed = value(&text, "letschat_envelopes_total{outcome=\"pushed\"}");
    assert!(pushed.is_some_and(|pushed| pushed >= 2.0), "{text}");
    assert!(value(&text, "letschat_mailbox_bytes").is_some(), "{text}");
    for name in ["alice", "bob", "secret", "127.0.0.1"] {
        assert!(!text.contains(name), "{name} is in {text}");
    }
    check_by_promtool(&text);
}

#[test]
fn dashboard_asks_for_metrics_that_are_there() {
    let (_server, at) = with_metrics(&[]);
    let (_, text) = get(at, "/metrics");
    // Those of a cluster are there in a cluster alone.
    expect_of_dashboard(&text, |metric| !metric.contains("_cluster_"));
}

/// Expects these metrics of the dashboard in a text.
fn expect_of_dashboard(text: &str, is_wanted: fn(&str) -> bool) {
    let dashboard = include_str!("../../../docs/grafana.json");
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = dashboard.split(|c: char| !is_of_a_name(c));
    for metric in words.filter(|word| word.starts_with("letschat_") && is_wanted(word)) {
        let is_there =
            text.contains(&format!("\n{metric} ")) || text.contains(&format!("\n{metric}{{"));
        assert!(is_there, "{metric} is not in {text}");
    }
}

#[test]
fn cluster_tells_of_its_servers_and_of_a_silent_bell() {
    let database = format!("monitored_{}", std::process::id());
    let metrics = ["--metrics", "127.0.0.1:0"];
    let mut cluster = TestCluster::start_with(MysqlServer::shared(), &database, 2, &metrics);
    let at = port_of(&cluster.servers[0]);
    let tells = |text: &str, bell: f64| {
        value(text, "letschat_cluster_other_servers") == Some(1.0)
            && value(text, "letschat_cluster_bell_up") == Some(bell)
    };
    let text = wait_for(at, |text| tells(text, 1.0));
    expect_of_dashboard(&text, |_| true);
    assert_eq!(get(at, "/readyz"), (200, "listening: ok\ndatabase: ok\nbell: ok\n".into()));
    cluster.bell.kill();
    wait_for(at, |text| tells(text, 0.0));
    // Everything works without the bell.
    assert_eq!(get(at, "/readyz"), (200, "listening: ok\ndatabase: ok\nbell: silent\n".into()));
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
    let before = server.descriptors();
    // They say nothing, or never end.
    let mut stuck: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(at).unwrap()).collect();
    for stream in stuck.iter_mut().step_by(2) {
        // It may have been closed already, to make room.
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nA: ");
    }
    let begin = Instant::now();
    assert_eq!(get(at, "/livez").0, 200);
    assert_eq!(get(at, "/readyz").0, 200);
    alice.ok("list", json!({}));
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert!(server.descriptors() < before + 50, "few are served at a time");
    // Each is closed, though it does nothing.
    for stream in &mut stuck {
        stream.set_read_timeout(Some(2 * SOON)).unwrap();
        let ended = stream.read(&mut [0]);
        let is_ended = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionReset;
        assert!(matches!(&ended, Ok(0)) || ended.as_ref().is_err_and(is_ended), "{ended:?}");
    }
}

#[test]
fn other_requests_are_refused() {
    let (_server, at) = with_metrics(&[]);
    let many_fields = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100));
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".to_owned(), 405),
        ("GET /etc/passwd HTTP/1.1\r\n\r\n".to_owned(), 404),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n".to_owned(), 400),
        (many_fields, 431),
        // It fills the space for a head, and is not whole.
        (format!("GET /{}", "a".repeat(4_091)), 431),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(50_000)), 431),
    ] {
        let begin = request[..request.len().min(60)].to_owned();
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{begin:?}: {answer}");
    }
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
    let here = IpAddr::from([127, 0, 0, 1]);
    let way = Relay::start(SocketAddr::new(here, 0), database.server.address, here);
    let (host, port) = (here.to_string(), way.address.port());
    let store = MysqlLocation { host, port, ..database.server.location("letschat") };
    let (_server, at) = with_metrics(&["--store", &store.to_string()]);
    assert_eq!(get(at, "/readyz"), (200, "listening: ok\ndatabase: ok\n".into()));
    database.stop();
    wait_ready(at, 503);
    assert_eq!(get(at, "/livez").0, 200);
    let (status, text) = get(at, "/metrics");
    assert_eq!((status, value(&text, "letschat_store_up")), (200, Some(0.0)));
    assert_eq!(value(&text, "letschat_mailbox_bytes"), None);
    let data = tempfile::tempdir().unwrap();
    let health =
        run(letschat_server(data.path()).args(["--metrics", &at.to_string(), "health"]), "");
    assert!(health.refused(1).contains("not ready: listening: ok, database: does not answer"));
    database.start_again();
    wait_ready(at, 200);
    // It hangs.
    way.weather(LinkCondition::BlackHole);
    wait_ready(at, 503);
    assert_eq!(get(at, "/livez").0, 200);
    way.weather(LinkCondition::Fine);
    wait_ready(at, 200);
}
