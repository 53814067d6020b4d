//! Tells a fresh hub what a server's trace has, and shows what it does.
//!
//! `cargo run --package letschat-server --example replay -- FILE [LINE]` goes through the whole trace,
//! and shows the inputs from that line of the file on. In a debugger, set a breakpoint in
//! `Hub::handle`. Its status is 1 if the hub did anything otherwise than the server's.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Write as _, stdout};
use std::process::ExitCode;

use letschat_server::trace::replay::Replay;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: replay FILE [LINE]")?;
    let shown_from = arguments.next().map(|line| line.parse()).transpose()?.unwrap_or(usize::MAX);
    let (mut steps, mut otherwise) = (0_u64, 0_u64);
    let mut out = stdout().lock();
    for step in Replay::new(BufReader::new(File::open(file)?)) {
        let step = step?;
        steps += 1;
        let differs = step.same == Some(false);
        otherwise += u64::from(differs);
        if differs || step.line >= shown_from {
            let mark = if differs { " DID OTHERWISE" } else { "" };
            writeln!(out, "{} {:?} {:?}{mark}", step.line, step.now, step.input)?;
            for effect in &step.effects {
                writeln!(out, "    {effect:?}")?;
            }
        }
    }
    writeln!(out, "{steps} steps, {otherwise} of them otherwise than in the trace")?;
    Ok(if otherwise == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
