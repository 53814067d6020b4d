//! A crowd of clients in one thread of this process.
//!
//! Each has the session of a real client ([`letschat_core::session`]). It logs in, keeps alive,
//! repairs losses and reconnects in the same way, over real TLS and sealed datagrams. Around the
//! session it is leaner: one thread and one epoll for all sockets, no receiver for peers, nothing
//! on disk.
//!
//! * [`crowd`] – all clients, their sockets and their deadlines
//! * `client` – one client: its session, and the handling of the session's effects
//! * [`correspondence`] – the envelopes that a client posts and receives beside its session
//! * `link` – non-blocking TLS to the server
//! * [`datagrams`] – a socket for sealed datagrams
//! * [`tally`] – the crowd's counters

mod client;
pub(crate) mod correspondence;
pub(crate) mod crowd;
pub(crate) mod datagrams;
mod link;
pub(crate) mod tally;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use crate::programs::{BenchResult, Failed};
use crowd::{Crowd, CrowdRequest, Watch};

/// The number of addresses that clients use, since a server lets only a few connections from each
/// wait for their login.
const ADDRESSES: usize = 250;

/// The timeout after which the bench fails on any machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A handle on a crowd. Dropping it disconnects all clients.
pub(crate) struct Load {
    orders: Sender<CrowdRequest>,
    bell: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts the thread with an empty crowd for these servers.
    pub(crate) fn start(servers: Vec<SocketAddr>) -> io::Result<Load> {
        let (orders, ordered) = channel();
        let bell = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        let crowd = Crowd::new(servers, bell.clone())?;
        let thread = thread::Builder::new().name("crowd".into());
        let thread = thread.spawn(move || crowd.run(&ordered))?;
        Ok(Load { orders, bell, thread: Some(thread) })
    }

    /// Runs a function on the crowd's thread and waits for its result.
    pub(crate) fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Crowd) -> T + Send + 'static,
    ) -> BenchResult<T> {
        let (result, done) = sync_channel(1);
        self.order(CrowdRequest::Act(Box::new(move |crowd| {
            // The caller is waiting for it.
            let _ = result.send(act(crowd));
        })))?;
        Ok(done.recv().map_err(|_| self.is_gone())?)
    }

    /// Waits for a condition, and returns the time since which it holds.
    pub(crate) fn wait(
        &self,
        what: &str,
        holds: impl Fn(&Crowd) -> bool + Send + 'static,
    ) -> BenchResult<Instant> {
        let (since, held) = sync_channel(1);
        self.order(CrowdRequest::Watch(Watch { holds: Box::new(holds), since }))?;
        match held.recv_timeout(PATIENCE) {
            Ok(since) => Ok(since),
            Err(_) => {
                let state = self.with(|crowd| crowd.tally.to_string())?;
                Err(Failed(format!("waited in vain until {what}; {state}")).into())
            }
        }
    }

    fn order(&self, order: CrowdRequest) -> BenchResult<()> {
        self.orders.send(order).map_err(|_| self.is_gone())?;
        self.ring();
        Ok(())
    }

    fn ring(&self) {
        // This fails only if the bell is ringing already.
        let _ = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
    }

    fn is_gone(&self) -> Failed {
        Failed("the crowd's thread has ended".into())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if self.order(CrowdRequest::End).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // A panic of the thread has been printed already.
            let _ = thread.join();
        }
    }
}

/// Returns the loopback address of the n-th client.
pub(crate) fn source(number: usize) -> Ipv4Addr {
    let host = (number % ADDRESSES) as u8 + 1;
    Ipv4Addr::new(127, 0, 1, host)
}
