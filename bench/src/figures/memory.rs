//! The server's memory for each idle client, as a slope between crowd sizes, since an empty server
//! needs memory too.

use std::thread;

use crate::programs::BenchResult;
use crate::report::{Bar, Row};
use crate::under_load::ServerUnderLoad;

const FIGURE: &str = "memory";
const KIBIBYTE: f64 = 1_024.0;
const MEBIBYTE: f64 = 1_024.0 * 1_024.0;

/// Grows the crowd from one size to the next. The last slope is the one that counts.
pub(crate) fn measure(under_load: &mut ServerUnderLoad<'_>) -> BenchResult<Vec<Row>> {
    let (crowds, settling) = (under_load.bench.plan.crowds.clone(), under_load.bench.plan.settling);
    let mut rows = Vec::new();
    let mut before: Option<(usize, f64)> = None;
    for clients in crowds {
        under_load.grow(clients)?;
        thread::sleep(settling);
        let bytes = under_load.server.memory()? as f64;
        if let Some((fewer, less)) = before {
            let slope = (bytes - less) / (clients - fewer) as f64 / KIBIBYTE;
            let what = format!("server memory (PSS) a client, slope from {fewer}");
            rows.push(Row::new(FIGURE, what, slope, "KiB").with_clients(clients));
        }
        let what = "server memory (PSS) in all";
        rows.push(Row::new(FIGURE, what, bytes / MEBIBYTE, "MiB").with_clients(clients));
        before = Some((clients, bytes));
    }
    if let Some(slope) = rows.iter_mut().rev().find(|row| row.unit == "KiB") {
        slope.bar = Some(Bar::AtMost(14.0));
    }
    Ok(rows)
}
