//! A server with its crowd.

use crate::load::Load;
use crate::load::crowd::Crowd;
use crate::programs::BenchResult;
use crate::run::Bench;
use crate::server::ServerProcess;

/// A server of its own, and everybody who is logged in there.
pub(crate) struct ServerUnderLoad<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) server: ServerProcess,
    pub(crate) load: Load,
    clients: usize,
}

impl<'a> ServerUnderLoad<'a> {
    /// Starts a server, and lets so many log in.
    pub(crate) fn open(bench: &'a Bench, clients: usize) -> BenchResult<ServerUnderLoad<'a>> {
        let server = ServerProcess::start(bench)?;
        let load = Load::start(server.address())?;
        let mut under_load = ServerUnderLoad { bench, server, load, clients: 0 };
        under_load.grow(clients)?;
        Ok(under_load)
    }

    /// Lets more log in, until there are so many and UDP reaches them all.
    pub(crate) fn grow(&mut self, clients: usize) -> BenchResult<()> {
        let accounts = &self.bench.accounts;
        let new: Vec<_> =
            (self.clients..clients).map(|number| accounts.member(number).clone()).collect();
        self.clients = self.clients.max(clients);
        self.load.with(|crowd| crowd.gather(new))?;
        self.load.wait("everybody is there", everybody_is_there(self.clients))?;
        Ok(())
    }

    /// How many are logged in.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }
}

/// So many are logged in, and UDP reaches them.
pub(crate) fn everybody_is_there(clients: usize) -> impl Fn(&Crowd) -> bool {
    move |crowd| crowd.tally.logged_in == clients && crowd.tally.proven == clients
}
