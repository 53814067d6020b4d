//! One run: the selection and the order of the figures.

use std::fmt::Display;

use letschat_flags::output;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::accounts::Accounts;
use crate::figures::{
    Figure, broadcast_cost, broadcast_delay, chat_round_trip, chat_throughput, class, client_start,
    cluster, coming_back, envelopes, file, full_screen, group, history, idle, kept_mail, memory,
    open_room, passwords, relay, send, window,
};
use crate::plan::Plan;
use crate::programs::{BenchResult, Failed, Programs};
use crate::report::Row;
use crate::under_load::ServerUnderLoad;

/// Accounts beyond the largest crowd, for the clients that come and go.
const SPARE_ACCOUNTS: usize = 32;

/// Descriptors beyond the three that each client may need: two sockets of its own, and one for the
/// measurement of the bare loop.
const SPARE_DESCRIPTORS: u64 = 256;

/// The environment of all measurements.
pub(crate) struct Bench {
    pub(crate) plan: Plan,
    pub(crate) programs: Programs,
    pub(crate) accounts: Accounts,
    wanted: Vec<Figure>,
}

impl Bench {
    /// Prepares a run of the wanted figures, or of all if none is given.
    pub(crate) fn prepare(
        plan: Plan,
        programs: Programs,
        wanted: Vec<Figure>,
    ) -> BenchResult<Bench> {
        raise_descriptor_limit(plan.largest())?;
        let count = plan.largest().max(plan.listed) + SPARE_ACCOUNTS;
        let devices = plan.devices;
        say(format_args!("making accounts for {count} devices, {devices} of each"));
        let accounts = Accounts::make(count, devices, &programs.server)?;
        Ok(Bench { accounts, plan, programs, wanted })
    }

    /// Measures all figures. Those of a single client come first, while this process is small.
    pub(crate) fn run(&self) -> BenchResult<Vec<Row>> {
        let mut rows = Vec::new();
        self.figure(Figure::ClientStart, &mut rows, || client_start::measure(self))?;
        self.figure(Figure::FullScreen, &mut rows, || full_screen::measure(self))?;
        self.figure(Figure::Window, &mut rows, || window::measure(self))?;
        self.figure(Figure::History, &mut rows, || history::measure(self))?;
        self.figure(Figure::ChatRoundTrip, &mut rows, || chat_round_trip::measure(self))?;
        self.figure(Figure::ChatThroughput, &mut rows, || chat_throughput::measure(self))?;
        self.figure(Figure::Send, &mut rows, || send::measure(self))?;
        self.figure(Figure::KeptMail, &mut rows, || kept_mail::measure(self))?;
        self.figure(Figure::Class, &mut rows, || class::measure(self))?;
        self.figure(Figure::Group, &mut rows, || group::measure(self))?;
        self.figure(Figure::File, &mut rows, || file::measure(self))?;
        self.figure(Figure::Relay, &mut rows, || relay::measure(self))?;
        self.figure(Figure::Passwords, &mut rows, || {
            passwords::measure(&ServerUnderLoad::open(self, self.plan.listed)?)
        })?;
        self.figure(Figure::OpenRoom, &mut rows, || open_room::measure(self))?;
        self.figure(Figure::Envelopes, &mut rows, || envelopes::measure(self))?;
        self.figure(Figure::Cluster, &mut rows, || cluster::measure(self))?;
        self.crowds(&mut rows)?;
        // Put the crowds of a figure side by side to show its growth.
        rows.sort_by_key(|row| Figure::place_of(row.figure));
        Ok(rows)
    }

    fn crowds(&self, rows: &mut Vec<Row>) -> BenchResult<()> {
        for &clients in &self.plan.crowds {
            let is_largest = clients == self.plan.largest();
            let alone = [Figure::Memory, Figure::Idle];
            let every = [Figure::BroadcastCost, Figure::BroadcastDelay, Figure::ComingBack];
            let some_of = |figures: &[Figure]| figures.iter().any(|figure| self.wants(*figure));
            if !(some_of(&every) || is_largest && some_of(&alone)) {
                continue;
            }
            say(format_args!("a crowd of {clients}"));
            let mut under_load = ServerUnderLoad::open(self, 0)?;
            if is_largest {
                self.figure(Figure::Memory, rows, || memory::measure(&mut under_load))?;
            }
            under_load.grow(clients)?;
            if is_largest {
                self.figure(Figure::Idle, rows, || idle::measure(&under_load))?;
            }
            self.figure(Figure::BroadcastCost, rows, || broadcast_cost::measure(&under_load))?;
            self.figure(Figure::BroadcastDelay, rows, || broadcast_delay::measure(&under_load))?;
            self.figure(Figure::ComingBack, rows, || coming_back::measure(&mut under_load))?;
        }
        Ok(())
    }

    fn wants(&self, figure: Figure) -> bool {
        self.wanted.is_empty() || self.wanted.contains(&figure)
    }

    fn figure(
        &self,
        figure: Figure,
        rows: &mut Vec<Row>,
        measure: impl FnOnce() -> BenchResult<Vec<Row>>,
    ) -> BenchResult<()> {
        if self.wants(figure) {
            say(format_args!("{figure:?}"));
            rows.extend(measure()?);
        }
        Ok(())
    }
}

/// Prints the progress for the user.
pub(crate) fn say(what: impl Display) {
    output::complain("letschat-bench", what);
}

/// Raises the soft limit of descriptors. Every client needs two here, and the usual 1,024 is a
/// limit for old programs.
fn raise_descriptor_limit(clients: usize) -> BenchResult<()> {
    let limit = getrlimit(Resource::Nofile);
    let needed = clients as u64 * 3 + SPARE_DESCRIPTORS;
    if limit.maximum.is_some_and(|most| most < needed) {
        let most = limit.maximum.unwrap_or_default();
        let why = format!(
            "{clients} clients need {needed} descriptors, and the limit is {most}; raise it \
             (`ulimit -Hn`), or measure fewer with --quick"
        );
        return Err(Failed(why).into());
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(())
}
