//! The duration and intensity of the fault tests, and their report.

use std::fs::File;
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

/// Returns the first value for `make test`, the second for `make chaos`.
pub fn short_or_full<T>(short: T, full: T) -> T {
    if is_full() { full } else { short }
}

/// Returns true for the full form. Only the full form enforces the limits of the table in
/// docs/OPERATING.md, since the short one runs beside other tests.
pub fn is_full() -> bool {
    static FORM: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("CHAOS").ok());
    match FORM.as_deref() {
        None => false,
        Some("full") => true,
        Some(other) => panic!("CHAOS is {other:?}; it may only be \"full\""),
    }
}

/// Returns the random seed: CHAOS_SEED, or a new one that the report shows.
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

/// Prints a row of the report: the fault, its form, and the result.
pub fn tell(fault: &str, played: &str, seen: &str) {
    let row = format!("| {fault} | {played} | {seen} |");
    println!("seed {}: {row}", seed());
    add_to_table(&row);
}

/// Reports a fault that this machine can't play. It bypasses the test harness, which hides the output of
/// passing tests.
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

/// Returns the quantile by the nearest-rank method.
pub fn quantile(times: &[Duration], share: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let rank = (share * times.len() as f64).ceil() as usize;
    times[rank.clamp(1, times.len()) - 1]
}
