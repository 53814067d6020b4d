//! Relayed links: the rate of a file against a direct link in the same networks, the server's memory for a pair, and
//! broadcasts while many pairs chat.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use letschat_protocol::identity::Identity;
use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::nat::Between::Restricted;
use letschat_tests::nat::Nats;
use letschat_tests::pace::Pace;
use letschat_tests::server::TestServer;
use letschat_tests::typist::{NO_RECEIVER, Typist};
use serde_json::{Value, json};

use super::broadcast_delay;
use super::file::write_source;
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row};
use crate::run::{Bench, say};
use crate::server::ServerProcess;
use crate::statistics::Samples;
use crate::under_load::ServerUnderLoad;

const FIGURE: &str = "relay";

/// The number of files over each kind of link.
const TURNS: usize = 3;

/// The deadline of each step of a transfer.
const PATIENCE: Duration = Duration::from_secs(300);

/// The relays of each two accounts, as many as an account may have.
const RELAYS_OF_TWO: usize = 8;

/// The clients that get broadcasts meanwhile.
const CLIENTS: usize = 1_000;

/// A chat message of some 100 bytes, as the peers' TLS puts it on the wire.
const RECORD: [u8; 133] = {
    let mut record = [7; 133];
    (record[0], record[1], record[2], record[3], record[4]) = (23, 3, 3, 0, 128);
    record
};

/// Measures all.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let mut rows = file_rows(bench)?;
    let clients = CLIENTS.min(bench.plan.largest());
    let under_load = ServerUnderLoad::open(bench, clients)?;
    let alone = broadcast_delay::until_the_last(&under_load)?;
    let mut pairs = Pairs::log_in(&under_load.server, bench.plan.relays);
    let before = under_load.server.memory()?;
    pairs.relay(bench.plan.relays);
    let chat = pairs.chat();
    let beside = broadcast_delay::until_the_last(&under_load)?;
    let memory = under_load.server.memory()?.saturating_sub(before) as f64 / 1_024.0;
    drop(chat);
    let count = bench.plan.relays;
    let delay = |what: &str, samples: &Samples| {
        let what = format!("broadcast until the last client has it, {what}: median");
        Row::median_of(FIGURE, what, samples, "ms").with_clients(clients)
    };
    let ratio = beside.median() / alone.median();
    rows.extend([
        Row::new(FIGURE, "server memory (PSS) for a relayed pair", memory / count as f64, "KiB")
            .judged(Bar::AtMost(300.0)),
        delay("without relays", &alone),
        delay(&format!("while {count} relayed pairs chat"), &beside),
        Row::new(FIGURE, "the latter as a multiple", ratio, "times").judged(Bar::AtMost(1.5)),
    ]);
    Ok(rows)
}

/// Compares files over a direct and over a relayed link between the same two machines.
fn file_rows(bench: &Bench) -> BenchResult<Vec<Row>> {
    let Some(nats) = Nats::between([Restricted, Restricted], FIGURE) else {
        say("the rate of a relayed file is not measured: nobody may make networks here");
        return Ok(Vec::new());
    };
    let bytes = bench.plan.file_bytes;
    let folder = tempfile::tempdir_in(&bench.programs.target)?;
    let source = folder.path().join("source");
    write_source(&source, bytes)?;
    let flags = ["--listen", Nats::SERVER, "--relay-rate", "1000000000"];
    let flags = [&flags[..], &["--relay-rate-total", "1000000000"]].concat();
    let server = TestServer::start_by(&nats.server(), &flags);
    let downloads = folder.path().join("downloads");
    let mut people = [("alice", 1), ("bob", 2)].map(|(name, n)| {
        // The test kit panics too where the machine has no room for its files.
        let data = tempfile::tempdir().expect("a temporary folder");
        let downloads = downloads.to_str().expect("a path of text");
        let flags = ["--peer-port", "4401", "--downloads", downloads];
        let by = nats.client(n);
        let mut client = TestClient::start_in_by(&by, data, &server.location(), name, &flags);
        client.sign_up_and_log_in();
        client
    });
    let [alice, bob] = &mut people;
    alice.befriend(bob);
    bob.ok("file", json!({"action": "send", "to": "alice", "path": source}));
    let offer = wait(alice, "file_offered", |_| true)?["id"].clone();
    let direct = fetches(alice, &offer, bytes, "direct")?;
    nats.forbid_direct_links();
    let relayed = fetches(alice, &offer, bytes, "relay")?;
    let share =
        Samples::ratios(&relayed.iter().map(|rate| 100.0 * rate).collect::<Vec<_>>(), &direct);
    let speed = |what, rates| Row::median_of(FIGURE, what, &Samples::new(rates), "MB/s");
    Ok(vec![
        Row::median_of(FIGURE, "a relayed file, as a share of a direct one", &share, "%")
            .judged(Bar::AtLeast(30.0)),
        speed("a file over a direct link: median", direct),
        speed("a file over a relayed link: median", relayed),
    ])
}

/// Fetches the file a few times. Returns the rates in MB/s, from the first chunk on.
fn fetches(alice: &mut TestClient, offer: &Value, bytes: u64, link: &str) -> BenchResult<Vec<f64>> {
    (0..TURNS).map(|_| fetch(alice, offer, bytes, link)).collect()
}

fn fetch(alice: &mut TestClient, offer: &Value, bytes: u64, link: &str) -> BenchResult<f64> {
    alice.ok("file", json!({"action": "get", "id": offer}));
    // The link is up, and nothing has come over it.
    let begun = wait(alice, "file_progress", |line| line["bytes"] == 0)?;
    let begin = Instant::now();
    if begun["link"] != link {
        return Err(Failed(format!("the link is {}, not {link}", begun["link"])).into());
    }
    let done = wait(alice, "file_done", |_| true)?;
    let time = begin.elapsed();
    std::fs::remove_file(Path::new(done["path"].as_str().unwrap_or_default()))?;
    Ok(bytes as f64 / 1e6 / time.as_secs_f64())
}

fn wait(client: &mut TestClient, event: &str, fits: impl Fn(&Value) -> bool) -> BenchResult<Value> {
    let found = client.wait_within(PATIENCE, |line| line["event"] == event && fits(line));
    found.ok_or_else(|| Failed(format!("no {event} in time")).into())
}

/// Pairs of clients that the server relays to each other.
struct Pairs {
    /// The sessions of each two accounts, and the name and key of the second.
    accounts: Vec<([Typist; 2], String, Identity)>,
    ends: Vec<Typist>,
}

impl Pairs {
    /// Logs in as many accounts as so many relays need.
    fn log_in(server: &ServerProcess, relays: usize) -> Pairs {
        // This fails only where the system gives no random numbers, without which no TLS works.
        let identity = || Identity::generate().expect("random numbers");
        let accounts = (0..relays.div_ceil(RELAYS_OF_TWO)).map(|number| {
            let (one, other) = (format!("caller{number}"), format!("called{number}"));
            let key = identity();
            let sessions = [session(server, &one, &identity()), session(server, &other, &key)];
            (sessions, other, key)
        });
        Pairs { accounts: accounts.collect(), ends: Vec::new() }
    }

    /// Has the server relay so many pairs.
    fn relay(&mut self, count: usize) {
        for number in 0..count {
            let (sessions, name, identity) = &mut self.accounts[number / RELAYS_OF_TWO];
            let [asking, invited] = sessions;
            asking.types(&format!("MEET {name} {}", identity.public_key()));
            let token = word(&asking.expects("250 "), 1);
            let others = word(&invited.expects("* MEETING"), 4);
            // The server has just answered over it.
            let server = asking.tcp().peer_addr().expect("it is connected");
            let mut pair = [token, others].map(|token| {
                let mut end = Typist::connect(server);
                end.types(&format!("JOIN {token} 127.0.0.1:1"));
                end
            });
            for end in &mut pair {
                end.expects("250 ");
                end.types("RELAY");
            }
            for end in &mut pair {
                end.expects("250 ");
            }
            self.ends.extend(pair);
        }
    }

    /// Has every side say something once a second, until the returned value is dropped. What comes is not read: it is
    /// little, and waits in the kernel.
    fn chat(mut self) -> Chat {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = is_over.clone();
        let interval = Duration::from_secs(1) / self.ends.len() as u32;
        let talking = thread::spawn(move || {
            let mut pace = Pace::every(interval);
            while !seen.load(Ordering::Relaxed) {
                for end in &mut self.ends {
                    pace.wait();
                    end.sends(&RECORD);
                }
            }
        });
        Chat { is_over, talking: Some(talking) }
    }
}

/// Pairs that chat. They stop when this is dropped.
struct Chat {
    is_over: Arc<AtomicBool>,
    talking: Option<thread::JoinHandle<()>>,
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // A thread that panicked has said so.
        let _ = self.talking.take().map(thread::JoinHandle::join);
    }
}

/// Signs up and logs in.
fn session(server: &ServerProcess, name: &str, identity: &Identity) -> Typist {
    let mut typist = Typist::greeted_as_program(server.address());
    let payload = format!("{PASSWORD}\n{PASSWORD}");
    typist.types(&format!("SIGNUP {name} +{}\n{payload}", payload.len()));
    typist.expects("201 ");
    let fingerprint = server.fingerprint().to_string();
    let credentials = typist.credentials(&fingerprint, name, identity, NO_RECEIVER);
    typist.types(&format!("LOGIN {name} {credentials} +{}\n{PASSWORD}", PASSWORD.len()));
    typist.expects("230 ");
    typist
}

fn word(line: &str, place: usize) -> String {
    line.split(' ').nth(place).unwrap_or_default().to_owned()
}
