//! A history of many messages: how fast it is written, how long searches take, and the memory for them.

use std::time::{Duration, Instant};

use letschat_engine::HistoryConfig;
use serde_json::{Value, json};

use super::chat_throughput::say_all;
use crate::json_client::JsonClient;
use crate::people::{Person, config, in_a_chat_of};
use crate::process;
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::server::ServerProcess;

const FIGURE: &str = "history";
const MEBIBYTE: f64 = 1_024.0 * 1_024.0;

/// The words of a message, and all words there are.
const WORDS: u64 = 9;
const ALL_WORDS: u64 = 8_192;

/// A word that a thousand messages have, and nothing else.
const RARE: &str = " yesterday";
const RARE_ONES: usize = 1_000;

/// The pause between two samples of memory.
const SAMPLE: Duration = Duration::from_millis(20);

/// The deadline of each step.
const PATIENCE: Duration = Duration::from_secs(120);

/// Fills a history through a chat, and searches it from a program of its own.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let server = ServerProcess::start(bench)?;
    let count = bench.plan.history;
    let folders = [tempfile::tempdir_in(&bench.programs.target)?, tempfile::tempdir()?];
    let mut configs = Vec::new();
    for folder in &folders {
        configs.push(config(&server, folder.path().to_owned())?);
    }
    let [first, second] = &mut configs[..] else { return Err(Failed("two people".into()).into()) };
    first.history = Some(HistoryConfig::default());
    let configs = [second.clone(), first.clone()];
    let begin = Instant::now();
    let every = (count / RARE_ONES).max(1);
    let rare = |number: usize| if number.is_multiple_of(every) { RARE } else { "" };
    let said = |number: usize| text(number as u64) + rare(number);
    let write = async |person: &Person| say_all(person, count, said).await;
    let read = async |person: &Person| {
        for _ in 0..count {
            person.reads().await?;
        }
        // The account is free for the next client then.
        person.quits().await
    };
    in_a_chat_of(bench, configs, write, read)?;
    let rate = count as f64 / begin.elapsed().as_secs_f64();

    let mut searcher = JsonClient::start_in(bench, &server, folders[0].path(), &["--history"])?;
    let until = Instant::now() + PATIENCE;
    let own = bench.accounts.member(1).username.to_string();
    searcher.ask(until, "login", &json!({"username": own}))?;
    // The last messages are loaded by the time of the next answer.
    searcher.ask(until, "history", &json!({}))?;
    let before = process::memory(searcher.pid())?;
    let (recent, found) = search(&mut searcher, RARE.trim())?;
    let (whole, none) = search(&mut searcher, "absent")?;
    if (found["messages"].as_array().map(Vec::len), &none["messages"]) != (Some(20), &json!([])) {
        return Err(Failed(format!("found {found} and {none}")).into());
    }
    let peak = peak_during(&mut searcher)?;
    let growth = peak.saturating_sub(before) as f64 / MEBIBYTE;
    let size = std::fs::metadata(find_history(folders[0].path())?)?.len() as f64 / MEBIBYTE;
    let judged = |row: Row, most| row.judged(Bar::AtMost(most));
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    Ok(vec![
        Row::new(FIGURE, format!("messages a second into a history of {count}"), rate, "/s"),
        Row::new(FIGURE, "its size on the disk", size, "MiB"),
        judged(Row::new(FIGURE, "search: the 20 most recent hits", ms(recent), "ms"), 200.0),
        judged(Row::new(FIGURE, "search of all, without a hit", ms(whole), "ms"), 4_000.0),
        judged(Row::new(FIGURE, "memory (PSS) of that search", growth, "MiB"), 16.0),
    ])
}

/// Searches. Returns the time and the reply.
fn search(searcher: &mut JsonClient, words: &str) -> BenchResult<(Duration, Value)> {
    let (begin, until) = (Instant::now(), Instant::now() + PATIENCE);
    let id = searcher.tell("history", &json!({"action": "search", "text": words}));
    let is_reply = |line: &Value| line["reply"] == "history" && line["id"] == id;
    let reply = searcher.wait(until, "hits", is_reply)?;
    Ok((begin.elapsed(), reply))
}

/// Returns the peak of memory during another search of all.
fn peak_during(searcher: &mut JsonClient) -> BenchResult<u64> {
    let until = Instant::now() + PATIENCE;
    let id = searcher.tell("history", &json!({"action": "search", "text": "absent"}));
    let mut peak = 0;
    loop {
        peak = peak.max(process::memory(searcher.pid())?);
        if let Some((_, line)) = searcher.next_line(Instant::now() + SAMPLE)?
            && line["id"] == id
        {
            return Ok(peak);
        }
        if Instant::now() > until {
            return Err(Failed("a search has no end".into()).into());
        }
    }
}

/// Returns the path of the only history below a folder.
fn find_history(folder: &std::path::Path) -> BenchResult<std::path::PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("history.sqlite") {
                return Ok(path);
            }
        }
    }
    Err(Failed("there is no history".into()).into())
}

/// Returns the text of a message: words of a dictionary, in no order.
fn text(number: u64) -> String {
    let words = (0..WORDS).map(|place| word(scramble(number * WORDS + place) % ALL_WORDS));
    words.collect::<Vec<_>>().join(" ")
}

/// Returns a word of three syllables.
fn word(number: u64) -> String {
    let syllable = |digit: u64| {
        let consonant = b"bdfghjklmnprstvz"[(digit % 16) as usize] as char;
        let vowel = b"aeiouaei"[(digit / 16 % 8) as usize] as char;
        format!("{consonant}{vowel}")
    };
    [number, number / 128, scramble(number)].map(syllable).concat()
}

/// Returns the number at this place of a random sequence (SplitMix64).
fn scramble(counter: u64) -> u64 {
    let mut number = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number ^ (number >> 27)
}
