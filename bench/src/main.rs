//! `letschat-bench`: starts a real server, runs its clients, and prints the measurements beside their
//! limits. docs/PERFORMANCE.md explains each figure.
//!
//! * [`run`] – the order of the figures; [`plan`] – their sizes and durations
//! * [`figures`] – one file for each figure
//! * [`baselines`] – the baselines of the ratios
//! * [`load`] – many clients on one thread
//! * [`people`], [`sides`] – two clients of the library, each on its own core
//! * [`json_client`] – a client that is a program of its own
//! * [`terminal`] – a client at a pseudoterminal
//! * [`letters`] – envelopes that are sealed before the clock runs
//! * [`server`], [`under_load`], [`accounts`] – the measured server, its clients, and their accounts
//! * [`process`], [`machine`], [`statistics`] – clocks, memory, summaries
//! * [`report`] – the table and the JSON
//!
//! Deliberately absent: any access to the server other than the wire. It is a separate process of the
//! release build.

mod accounts;
mod baselines;
mod figures;
mod json_client;
mod letters;
mod load;
mod machine;
mod people;
mod plan;
mod process;
mod programs;
mod report;
mod run;
mod server;
mod sides;
mod statistics;
mod terminal;
mod under_load;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use letschat_flags::output;

use figures::Figure;
use machine::{Machine, Span};
use plan::Plan;
use programs::{BenchResult, Programs};
use report::Report;
use run::Bench;

/// Measures the cost of Let's Chat.
#[derive(Debug, Parser)]
#[command(name = "letschat-bench", version)]
struct Flags {
    /// Fewer clients and shorter, within a minute
    #[arg(long)]
    quick: bool,

    /// A few clients for a few seconds, only to see that it works
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,

    /// End with status 1 if a figure is missed
    #[arg(long)]
    strict: bool,

    /// Measure only this; may be given several times
    #[arg(long, value_name = "FIGURE", value_enum)]
    only: Vec<Figure>,

    /// One crowd of so many, instead of several
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    clients: Option<u16>,

    /// The devices of each account, all of which are clients; for crowds
    #[arg(long, value_name = "COUNT", default_value = "1")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=8))]
    devices: u16,

    /// The JSON file for the figures [default: bench.json in the folder of all builds]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match measure(&flags) {
        Ok(report) if flags.strict && report.missed() > 0 => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain("letschat-bench", error);
            ExitCode::FAILURE
        }
    }
}

fn measure(flags: &Flags) -> BenchResult<Report> {
    let span = Span::start();
    let programs = Programs::beside_this_one()?;
    let json = flags.json.clone().unwrap_or_else(|| programs.target.join("bench.json"));
    let plan = match (flags.quick, flags.smoke) {
        (true, _) => Plan::quick(),
        (_, true) => Plan::smoke(),
        _ => Plan::full(),
    };
    let plan = match flags.clients {
        Some(clients) => plan.with_crowd(clients.into()),
        None => plan,
    };
    let plan = plan.with_devices(flags.devices.into());
    let form = plan.form;
    let rows = Bench::prepare(plan, programs, flags.only.clone())?.run()?;
    let report = Report { form, machine: Machine::describe(), circumstances: span.finish(), rows };
    fs::write(json, serde_json::to_string_pretty(&report)? + "\n")?;
    output::print(&format!("{}\n", report.table()))?;
    Ok(report)
}
