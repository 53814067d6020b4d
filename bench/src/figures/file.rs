//! A file from one client to another, against a bare copy of the same bytes between two threads. Then the same file
//! with messages in a chat beside it, and the memory of both clients meanwhile.
//!
//! Both clients are programs of their own, so that their memory can be read. The source and all copies are on the disk
//! with the builds, since the usual temporary folder may be in memory.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use letschat_protocol::files::CHUNK_BYTES;
use serde_json::{Value, json};

use crate::baselines::{file_copy, scp};
use crate::json_client::JsonClient;
use crate::letters;
use crate::process;
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::statistics::Samples;

const FIGURE: &str = "file";
const MEGABYTE: f64 = 1e6;
const MEBIBYTE: f64 = 1_024.0 * 1_024.0;

/// The number of turns. The bare copy and the clients alternate, since the speed of the disk affects both and varies.
const TURNS: usize = 3;

/// The interval of messages, and of samples of memory.
const INTERVAL: Duration = Duration::from_millis(50);

/// The deadline of each transfer, and of the steps before.
const PATIENCE: Duration = Duration::from_secs(300);

/// Measures bare copies and transfers in turns, and one more transfer beside a chat.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let bytes = bench.plan.file_bytes;
    let server = ServerProcess::start(bench)?;
    let folder = tempfile::tempdir_in(&bench.programs.target)?;
    let [source, copy] = ["source", "copy"].map(|name| folder.path().join(name));
    write_source(&source, bytes)?;
    let mut pair = Pair::log_in(bench, &server, &folder.path().join("downloads"))?;
    pair.befriend()?;
    let offer = pair.offer(&source)?;

    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        bare.push(rate(bytes, file_copy::over_tls(&source, &copy)?));
        fs::remove_file(&copy)?;
        ours.push(rate(bytes, pair.fetch(&offer)?));
    }
    let mut rows = throughput_rows(bytes, ours, bare);
    if let Some(time) = scp::copy(&source, &copy) {
        fs::remove_file(&copy)?;
        rows.push(Row::new(FIGURE, "the same by scp", rate(bytes, time), "MB/s"));
    }
    rows.extend(pair.fetch_beside_chat(&offer)?.rows());
    Ok(rows)
}

/// Compares the rates of both in each turn.
fn throughput_rows(bytes: u64, ours: Vec<f64>, bare: Vec<f64>) -> Vec<Row> {
    let percents: Vec<f64> = ours.iter().map(|rate| 100.0 * rate).collect();
    let share = Samples::ratios(&percents, &bare);
    let size = bytes >> 20;
    let what = format!("throughput of a file of {size} MiB, as a share of a bare copy");
    let speed = |what, rates| Row::median_of(FIGURE, what, &Samples::new(rates), "MB/s");
    vec![
        Row::median_of(FIGURE, what, &share, "%").judged(Bar::AtLeast(85.0)),
        speed("a file from client to client: median", ours),
        speed("a bare copy over TLS: median", bare),
    ]
}

/// Returns the megabytes a second.
fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / MEGABYTE / time.as_secs_f64()
}

/// Writes so many bytes that neither repeat nor can be compressed, and waits for the disk.
pub(super) fn write_source(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(CHUNK_BYTES as usize, File::create(path)?);
    for counter in 0..bytes / 8 {
        file.write_all(&scramble(counter).to_le_bytes())?;
    }
    file.into_inner()?.sync_all()
}

/// Returns the number at this place of a random sequence without repetitions (SplitMix64).
fn scramble(counter: u64) -> u64 {
    let mut number = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Two people, of whom one offers a file to the other.
struct Pair {
    sender: JsonClient,
    receiver: JsonClient,
    sender_name: String,
    receiver_name: String,
}

impl Pair {
    /// Logs both in. The receiver saves files in this folder.
    fn log_in(bench: &Bench, server: &ServerProcess, downloads: &Path) -> BenchResult<Pair> {
        let until = Instant::now() + PATIENCE;
        let [one, other] = [0, 1].map(|number| &bench.accounts.member(number).username);
        let mut sender = JsonClient::start(bench, server)?;
        let mut receiver = JsonClient::start_with_downloads(bench, server, downloads)?;
        sender.log_in(until, one)?;
        receiver.log_in(until, other)?;
        let (sender_name, receiver_name) = (one.to_string(), other.to_string());
        Ok(Pair { sender, receiver, sender_name, receiver_name })
    }

    /// Lets both approve each other's messages. An offer is a message.
    fn befriend(&mut self) -> BenchResult<()> {
        let until = Instant::now() + PATIENCE;
        // The server answers in order, so that it has the receiver's prekey then.
        self.receiver.ask(until, "list", &json!({}))?;
        self.sender.ask(until, "send", &json!({"to": self.receiver_name, "text": "hello"}))?;
        self.receiver.wait(until, "somebody writes", |line| is_request(line, "message"))?;
        self.receiver.ask(until, "approve", &json!({"who": self.sender_name}))?;
        self.receiver.ask(until, "send", &json!({"to": self.sender_name, "text": "hello"}))?;
        self.sender.wait(until, "an answer", is_message)?;
        Ok(())
    }

    /// Offers a file. Returns the id of the offer.
    fn offer(&mut self, source: &Path) -> BenchResult<Value> {
        let until = Instant::now() + PATIENCE;
        let to = &self.receiver_name;
        // Answered once the file has been read.
        self.sender.ask(until, "file", &json!({"action": "send", "to": to, "path": source}))?;
        let is_offer = |line: &Value| line["event"] == "file_offered";
        let offered = self.receiver.wait(until, "a file is offered", is_offer)?;
        Ok(offered["id"].clone())
    }

    /// Fetches the file, and deletes the copy. Returns the time from the request to the event of the saved file.
    fn fetch(&mut self, offer: &Value) -> BenchResult<Duration> {
        let begin = Instant::now();
        self.get(offer);
        let ends = |line: &Value| is_end(line, offer);
        let (at, end) = self.receiver.wait_at(begin + PATIENCE, "a file is saved", ends)?;
        self.clean_up(&end)?;
        Ok(at.saturating_duration_since(begin))
    }

    /// Fetches the file, and deletes the copy. Meanwhile the sender says something in a chat at a steady pace.
    fn fetch_beside_chat(&mut self, offer: &Value) -> BenchResult<Beside> {
        self.open_chat()?;
        let pids = [self.sender.pid(), self.receiver.pid()];
        pids.into_iter().try_for_each(process::forget_peak)?;
        let mut beside = Beside::default();
        let until = Instant::now() + PATIENCE;
        self.get(offer);
        let end = self.talk_until_end(offer, until, &mut beside)?;
        while beside.shown.len() < beside.said.len() {
            let (at, _) = self.receiver.wait_at(until, "the last messages", is_message)?;
            beside.shown.push(at);
        }
        for (peak, pid) in beside.peak_resident.iter_mut().zip(pids) {
            *peak = process::peak_resident(pid)?;
        }
        self.clean_up(&end)?;
        Ok(beside)
    }

    fn open_chat(&mut self) -> BenchResult<()> {
        let until = Instant::now() + PATIENCE;
        let call = self.sender.tell("connect", &json!({"who": self.receiver_name}));
        self.receiver.wait(until, "a call", |line| is_request(line, "chat"))?;
        self.receiver.ask(until, "approve", &json!({"who": self.sender_name}))?;
        self.sender.reply(until, "connect", call)
    }

    /// Asks for the file, and does not wait for the reply.
    fn get(&mut self, offer: &Value) {
        self.receiver.tell("file", &json!({"action": "get", "id": offer}));
    }

    /// Says something and samples the memory at a steady pace, until the transfer ends. Returns its last event.
    fn talk_until_end(
        &mut self,
        offer: &Value,
        until: Instant,
        beside: &mut Beside,
    ) -> BenchResult<Value> {
        let message = json!({"to": self.receiver_name, "text": letters::text()});
        let mut tick = Instant::now();
        while tick < until {
            beside.said.push(Instant::now());
            self.sender.tell("say", &message);
            beside.sample([self.sender.pid(), self.receiver.pid()])?;
            tick += INTERVAL;
            if let Some(end) = self.listen(offer, tick, &mut beside.shown)? {
                return Ok(end);
            }
        }
        Err(Failed("a file is not saved in time".into()).into())
    }

    /// Notes the messages that the receiver shows until this time. Returns early with the last event of the transfer.
    fn listen(
        &mut self,
        offer: &Value,
        until: Instant,
        shown: &mut Vec<Instant>,
    ) -> BenchResult<Option<Value>> {
        while let Some((at, line)) = self.receiver.next_line(until)? {
            if is_end(&line, offer) {
                return Ok(Some(line));
            }
            if is_message(&line) {
                shown.push(at);
            }
        }
        Ok(None)
    }

    /// Deletes the copy, and waits until the sender's side of the transfer has ended as well.
    fn clean_up(&mut self, end: &Value) -> BenchResult<()> {
        let Some(path) = end["path"].as_str() else {
            return Err(Failed(format!("the file is not saved: {end}")).into());
        };
        fs::remove_file(path)?;
        let until = Instant::now() + PATIENCE;
        self.sender.wait(until, "a file is sent", |line| line["event"] == "file_done")?;
        Ok(())
    }
}

/// Returns true for a request of this kind.
fn is_request(line: &Value, kind: &str) -> bool {
    line["event"] == "request" && line["kind"] == kind
}

/// Returns true for somebody else's message.
fn is_message(line: &Value) -> bool {
    line["event"] == "message"
}

/// Returns true for the receiver's last event of a transfer, and for a refusal to begin it.
fn is_end(line: &Value, offer: &Value) -> bool {
    let is_last = line["event"] == "file_done" || line["event"] == "file_failed";
    (is_last && line["id"] == *offer) || line.get("error").is_some()
}

/// The observations during a transfer. Those of two clients begin with the sender's.
#[derive(Default)]
struct Beside {
    /// The time of each message's request.
    said: Vec<Instant>,
    /// The time at which each was shown.
    shown: Vec<Instant>,
    /// The highest sample of memory (PSS), in bytes.
    memory: [u64; 2],
    /// The peak of resident memory, in bytes.
    peak_resident: [u64; 2],
}

impl Beside {
    /// Samples the memory of both clients.
    fn sample(&mut self, pids: [u32; 2]) -> BenchResult<()> {
        for (most, pid) in self.memory.iter_mut().zip(pids) {
            *most = process::memory(pid)?.max(*most);
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        // A chat keeps the order.
        let ways = self.said.iter().zip(&self.shown);
        let delays = ways.map(|(said, shown)| shown.saturating_duration_since(*said));
        let delays = Samples::of_times_ms(delays);
        let mut rows = vec![
            Row::median_of(FIGURE, "a chat message beside a file: median", &delays, "ms"),
            Row::new(FIGURE, "a chat message beside a file: the latest", delays.most(), "ms")
                .judged(Bar::AtMost(100.0)),
        ];
        for (who, bytes) in ["sender", "receiver"].into_iter().zip(self.memory) {
            let what = format!("memory (PSS) of the {who} of a file: most");
            let row = Row::new(FIGURE, what, bytes as f64 / MEBIBYTE, "MiB");
            rows.push(row.judged(Bar::AtMost(24.0)));
        }
        for (who, bytes) in ["sender", "receiver"].into_iter().zip(self.peak_resident) {
            let what = format!("resident memory of the {who} of a file: peak");
            rows.push(Row::new(FIGURE, what, bytes as f64 / MEBIBYTE, "MiB"));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn source_does_not_repeat() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("source");
        write_source(&path, 1 << 16).expect("there is room");
        let content = fs::read(path).expect("it is there");
        assert_eq!(content.len(), 1 << 16);
        let words: HashSet<&[u8]> = content.chunks(8).collect();
        assert_eq!(words.len(), 1 << 13);
    }
}
