//! How long and how hard a fault is played, and what is told of it.

use std::fs::File;
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

/// What is there of the short form, which `make test` plays, and of the full one of `make chaos`.
pub fn short_or_full<T>(short: T, full: T) -> T {
    if is_full() { full } else { short }
}

/// Whether this is the full form. Only that one judges times as strictly as the table in
/// docs/OPERATING.md: the short one runs beside other tests.
pub fn is_full() -> bool {
    static FORM: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("CHAOS").ok());
    match FORM.as_deref() {
        None => false,
        Some("full") => true,
        Some(other) => panic!("CHAOS is {other:?}; it may only be \"full\""),
    }
}

/// What chance is drawn from: CHAOS_SEED, or a seed of this run's own, which the table tells.
pub fn seed() -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| match std::env::var("CHAOS_SEED") {
        Ok(seed) => seed.parse().expect("CHAOS_SEED is a number"),
        Err(_) => {
            let seed = fastrand::u64(..1_000_000);
            eprintln!("chance is drawn from the seed {seed}");
            seed
        }
    });
    *SEED
}

/// A row of the table: a fault, how it was played, what was seen.
pub fn tell(fault: &str, played: &str, seen: &str) {
    let row = format!("| {fault} | {played} | {seen} |");
    println!("seed {}: {row}", seed());
    add_to_table(&row);
}

/// A fault that can't be played on this machine. It is said past the test harness, too, which keeps
/// quiet about a test that passes.
#[allow(
    clippy::explicit_write,
    reason = "what `eprintln!` says of a test that passes, nobody reads"
)]
pub fn tell_not_played(test: &str, why: &str) {
    writeln!(std::io::stderr(), "NOT TESTED: {test}; {why}").unwrap();
    add_to_table(&format!("| {test} | not played | {why} |"));
}

fn add_to_table(row: &str) {
    if let Ok(table) = std::env::var("CHAOS_TABLE") {
        let table = File::options().create(true).append(true).open(table);
        writeln!(table.unwrap(), "{row}").unwrap();
    }
}

/// The value that this share of the times does not exceed (nearest rank).
pub fn quantile(times: &[Duration], share: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let rank = (share * times.len() as f64).ceil() as usize;
    times[rank.clamp(1, times.len()) - 1]
}
