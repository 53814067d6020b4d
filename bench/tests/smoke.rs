//! A smoke test of the bench: its shortest plan, with unoptimised programs and no judgement of
//! times.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use letschat_tests::programs;
use serde_json::Value;

/// The figures of crowds and of services, and of the relays, whose networks take a while.
const OF_CROWDS: &[&str] = &[
    "broadcast_cost",
    "broadcast_delay",
    "open_room",
    "memory",
    "coming_back",
    "passwords",
    "envelopes",
    "cluster",
    "class",
    "relay",
    "idle",
];

/// The figures of a few clients.
const OF_CLIENTS: &[&str] = &[
    "chat_round_trip",
    "chat_throughput",
    "send",
    "kept_mail",
    "group",
    "file",
    "client_start",
    "full_screen",
    "window",
    "history",
];

/// Runs the bench, which writes its numbers to this file.
fn bench(flags: &[&str], json: &Path) -> Output {
    programs::folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_letschat-bench"));
    command.arg("--smoke").args(flags).arg("--json").arg(json).output().unwrap()
}

#[test]
fn every_figure_of_a_crowd_is_measured_and_told() {
    are_measured_and_told(OF_CROWDS);
}

#[test]
fn every_figure_of_clients_is_measured_and_told() {
    are_measured_and_told(OF_CLIENTS);
}

fn are_measured_and_told(figures: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("bench.json");
    let names: Vec<String> = figures.iter().map(|figure| figure.replace('_', "-")).collect();
    let flags: Vec<&str> = names.iter().flat_map(|name| ["--only", name]).collect();
    let output = bench(&flags, &json);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    for told in ["form", "machine", "commit", "date", "seconds"] {
        assert!(!report[told].is_null(), "{told} is missing");
    }
    let table = String::from_utf8(output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    for row in rows {
        let what = row["what"].as_str().unwrap();
        assert!(table.contains(what), "the table lacks {what:?}:\n{table}");
        // A slope between a few clients may be negative; no other number is.
        let is_slope = what.contains("slope");
        assert!(is_slope || row["measured"].as_f64().unwrap() >= 0.0, "{row}");
    }
    for figure in figures {
        let of_it: Vec<&Value> = rows.iter().filter(|row| row["figure"] == *figure).collect();
        assert!(of_it.iter().any(|row| !row["to_reach"].is_null()), "{figure} has no bar");
        let is_something = |row: &&Value| row["measured"].as_f64().unwrap() > 0.0;
        // A few idle clients may need no measurable time.
        let is_measured = of_it.iter().any(is_something) || *figure == "idle";
        assert!(is_measured, "{figure} is not measured");
    }
}

#[test]
fn a_missed_figure_is_told_and_fails_the_run_if_that_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    // An unoptimised chat is slower than a bare echo, so it misses its target.
    let flags = ["--only", "chat-round-trip", "--strict"];
    let output = bench(&flags, &folder.path().join("bench.json"));
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(table.contains("  over\n"), "{table}");
}

#[test]
fn crowd_of_several_devices_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("bench.json");
    let output = bench(&["--only", "memory", "--devices", "2"], &json);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = bench(&["--devices", "9"], &json);
    assert_eq!(output.status.code(), Some(2), "an account has at most eight sessions");
}
