//! A server with its crowd.

use crate::load::Load;
use crate::load::crowd::Crowd;
use crate::programs::BenchResult;
use crate::run::Bench;
use crate::server::ServerProcess;

/// A server and the clients that are logged in to it.
pub(crate) struct ServerUnderLoad<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) server: ServerProcess,
    /// The other servers of its cluster.
    pub(crate) others: Vec<ServerProcess>,
    pub(crate) load: Load,
    clients: usize,
}

impl<'a> ServerUnderLoad<'a> {
    /// Starts a server, and logs this many clients in.
    pub(crate) fn open(bench: &'a Bench, clients: usize) -> BenchResult<ServerUnderLoad<'a>> {
        let mut under_load = ServerUnderLoad::of(bench, ServerProcess::start(bench)?, Vec::new())?;
        under_load.grow(clients)?;
        Ok(under_load)
    }

    /// Takes a server, and the others of its cluster, without clients. Clients will log in at each in turn.
    pub(crate) fn of(
        bench: &'a Bench,
        server: ServerProcess,
        others: Vec<ServerProcess>,
    ) -> BenchResult<ServerUnderLoad<'a>> {
        let all = [&server].into_iter().chain(&others);
        let load = Load::start(all.map(ServerProcess::address).collect())?;
        Ok(ServerUnderLoad { bench, server, others, load, clients: 0 })
    }

    /// Logs in more clients, until there are this many and UDP reaches them all.
    pub(crate) fn grow(&mut self, clients: usize) -> BenchResult<()> {
        let accounts = &self.bench.accounts;
        let new: Vec<_> =
            (self.clients..clients).map(|number| accounts.member(number).clone()).collect();
        self.clients = self.clients.max(clients);
        self.load.with(|crowd| crowd.gather(new))?;
        self.load.wait("everybody is there", everybody_is_there(self.clients))?;
        Ok(())
    }

    /// Returns the number of logged-in clients.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }
}

/// Returns a condition: this many clients are logged in, and UDP reaches all of them.
pub(crate) fn everybody_is_there(clients: usize) -> impl Fn(&Crowd) -> bool {
    move |crowd| crowd.tally.logged_in == clients && crowd.tally.proven == clients
}
