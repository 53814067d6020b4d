//! The servers of a cluster: their questions to the database, what cuts them off, and a look at all sessions.

use std::collections::BTreeMap;
use std::net::IpAddr;

use letschat_protocol::clock::Now;
use letschat_protocol::username::Username;
use letschat_server::hub::{Hub, Input, Operator, SessionPage, SessionPlace};
use letschat_server::store::cluster::{ClusterAnswer, ClusterRequest, News, ServerName};
use letschat_server::store::{NewBroadcast, StoredEntry};

use crate::faults::Hit;
use crate::store::SimulatedStore;
use crate::world::{Event, Plan, World};

/// The interval of looks at all sessions.
const LOOK_MS: u64 = 500;

/// The longest time for which a device has two sessions once both servers have their database.
const MAX_DOUBLE_MS: u64 = 5_000;

/// The server that asks, the number of its run, and the time on the database's clock.
pub(crate) type Asking<'a> = (&'a ServerName, u64, u64);

/// A server process. It is named by its place among all.
pub(crate) struct Process {
    pub(crate) hub: Option<Hub>,
    /// The number of its current run.
    pub(crate) life: u64,
    pub(crate) tick_at: Option<u64>,
    pub(crate) member: Member,
}

/// A process as a member of its cluster.
pub(crate) struct Member {
    pub(crate) name: ServerName,
    /// The time until which it is cut off from the database.
    cut_until_ms: u64,
    /// The addresses of its sessions at the last look. Each device has its own.
    sessions: Vec<IpAddr>,
}

impl Member {
    /// Returns the member at this place.
    pub(crate) fn new(at: usize) -> Member {
        let name = format!("server{at}").parse().unwrap();
        Member { name, cut_until_ms: 0, sessions: Vec::new() }
    }

    pub(crate) fn is_cut_off(&self, now: Now) -> bool {
        now.boot_ms < self.cut_until_ms
    }
}

impl SimulatedStore {
    /// Notes that a server has started.
    pub(crate) fn begin(&mut self, server: &ServerName, run: u64, now_ms: u64) {
        self.tables.begin(server, run, now_ms);
    }

    pub(crate) fn answer_member(
        &mut self,
        (server, run, now_ms): Asking<'_>,
        request: ClusterRequest,
    ) -> ClusterAnswer {
        let unavailable = request.unavailable();
        match request {
            ClusterRequest::Enter { connection, entrance } => {
                let Some(entered) = self.tables.enter(server, run, now_ms, &entrance) else {
                    return unavailable;
                };
                ClusterAnswer::Entered { connection, entrance, result: Ok(entered) }
            }
            ClusterRequest::Leave { endings } => {
                self.tables.leave(endings);
                ClusterAnswer::Left { result: Ok(()) }
            }
            ClusterRequest::Ask { known, stats } => {
                let Some(news) = self.tables.ask(server, run, now_ms, (&known, stats)) else {
                    return unavailable;
                };
                let (mut mail, last_delivery) = self.mailbox.news(known.deliveries);
                mail.retain(|(username, device)| self.tables.is_at(server, username, *device));
                let mail = mail.into_iter().collect();
                let broadcasts = self.entries_after(known.broadcasts);
                let news = News { broadcasts, mail, last_delivery, ..news };
                ClusterAnswer::News { result: Ok(Box::new(news)) }
            }
            ClusterRequest::Tell { messages } => {
                self.tables.tell(messages);
                ClusterAnswer::Told { result: Ok(()) }
            }
            ClusterRequest::Append { after, broadcasts } => {
                self.append(after, self.dated_after_others(broadcasts));
                ClusterAnswer::Appended { result: Ok(self.entries_after(after)) }
            }
        }
    }

    /// Returns the broadcasts with times after their senders' last ones.
    fn dated_after_others(&self, mut broadcasts: Vec<NewBroadcast>) -> Vec<NewBroadcast> {
        let said = self.entries.iter().map(|entry| &entry.broadcast);
        let mut last: BTreeMap<Username, u64> =
            said.map(|said| (said.sender.clone(), said.time_ms)).collect();
        for broadcast in &mut broadcasts {
            let last_ms = last.entry(broadcast.sender.clone()).or_default();
            broadcast.time_ms = broadcast.time_ms.max(*last_ms + 1);
            *last_ms = broadcast.time_ms;
        }
        broadcasts
    }

    fn entries_after(&self, number: u64) -> Vec<StoredEntry> {
        let entries = self.entries.iter();
        entries.filter(|entry| entry.broadcast.number > number).cloned().collect()
    }
}

impl World {
    /// Lets the servers of a cluster ask for the first time.
    pub(crate) fn begin_cluster(&mut self) {
        if self.plan == Plan::Cluster {
            (0..self.server.processes.len()).for_each(|at| self.hub(at, Input::Tick));
            self.at(LOOK_MS, Event::Look);
        }
    }

    pub(crate) fn cut_off(&mut self, at: usize, for_ms: u64) {
        self.hit(Hit::DatabaseCut);
        self.server.processes[at].member.cut_until_ms = self.now.boot_ms + for_ms;
    }

    pub(crate) fn reconnect(&mut self, at: usize) {
        self.server.processes[at].member.cut_until_ms = self.now.boot_ms;
    }

    /// Rings at the other servers. Rings are lost and late.
    pub(crate) fn ring(&mut self, from: usize) {
        for at in (0..self.server.processes.len()).filter(|at| *at != from) {
            if self.chance(self.faults.ring_loss) {
                self.hit(Hit::RingLost);
            } else {
                let delay = self.latency();
                self.at(delay, Event::Rung(at));
            }
        }
    }

    /// Checks that no device is logged in twice, but while a server can't know it.
    pub(crate) fn look(&mut self) {
        self.at(LOOK_MS, Event::Look);
        let mut counts: BTreeMap<IpAddr, u64> = BTreeMap::new();
        for at in 0..self.server.processes.len() {
            self.server.processes[at].member.sessions.clear();
            self.hub(at, Input::Operator(Operator::List { after: None }));
            for address in &self.server.processes[at].member.sessions {
                *counts.entry(*address).or_default() += 1;
            }
        }
        let now_ms = self.now.boot_ms;
        let cuts = self.server.processes.iter().map(|process| process.member.cut_until_ms);
        let connected_ms = cuts.max().unwrap_or_default();
        self.doubles.retain(|address, _| counts.get(address).is_some_and(|count| *count > 1));
        for (address, _) in counts.into_iter().filter(|(_, count)| *count > 1) {
            let since_ms = *self.doubles.entry(address).or_insert(now_ms);
            let known_ms = since_ms.max(connected_ms);
            assert!(now_ms <= known_ms + MAX_DOUBLE_MS, "{address} is logged in twice");
            self.hit(Hit::LoggedInTwice);
        }
    }

    /// Notes the sessions of a server.
    pub(crate) fn look_at(&mut self, at: usize, page: SessionPage) {
        let here = page.sessions.into_iter();
        let here = here.filter(|session| matches!(session.at, SessionPlace::Here { .. }));
        self.server.processes[at].member.sessions = here.map(|session| session.address).collect();
    }

    /// Returns the number of sessions at all servers at the last look.
    pub(crate) fn sessions(&self) -> usize {
        match self.plan {
            Plan::Cluster => {
                let members = self.server.processes.iter().map(|process| &process.member);
                members.map(|member| member.sessions.len()).sum()
            }
            _ => self.server.members().sum(),
        }
    }
}
