//! The threads that keep the blocking work away from the hub.
//!
//! One thread owns the [`Store`]. Two of lower priority hash passwords, so that many logins cost no
//! more than two hashes' memory. Every accepted request is answered exactly once, even after a
//! panic, unless its client has gone.

mod failure_reports;
mod latency;
mod queues;
mod steps;

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::process::{getpriority_process, setpriority_process};

use self::failure_reports::FailureReports;
use self::latency::Latencies;
use self::queues::Queues;
use self::steps::{Step, StepError};
use super::cluster::Cluster;
use super::password::Hasher;
use super::{Store, StoreAnswer, StoreRequest};
use crate::hub::ConnectionId;
use letschat_flags::clock::now;

pub use self::latency::{BUCKETS_US, Histogram};
pub use self::steps::unavailable;

/// The most clients' requests that wait at once. Each connection has at most one. Reads of mail are
/// not among them: each connection has at most one of these, too, and they have a queue of their own
/// without this bound.
pub const MAX_WAITING: usize = 1024;

/// The number of passwords that are hashed at once.
pub const HASHING_THREADS: usize = 2;

/// The niceness of the hashing threads (nice(1)).
const HASHING_NICENESS: i32 = 10;

/// A running store. Dropping it calls [`stop`](StoreService::stop).
pub struct StoreService {
    shared: Arc<Shared>,
    hashing: Vec<JoinHandle<()>>,
    database: Option<JoinHandle<()>>,
}

struct Shared {
    queues: Queues,
    failure_reports: FailureReports,
    latencies: Latencies,
    answer: Box<dyn Fn(StoreAnswer) + Send + Sync>,
}

impl StoreService {
    /// Starts the threads. They call `answer`, which must neither block nor panic.
    ///
    /// # Errors
    ///
    /// Fails if the system can't start a thread.
    pub fn start(
        store: Box<dyn Store>,
        answer: impl Fn(StoreAnswer) + Send + Sync + 'static,
    ) -> io::Result<StoreService> {
        let shared = Arc::new(Shared {
            queues: Queues::default(),
            failure_reports: FailureReports::default(),
            latencies: Latencies::default(),
            answer: Box::new(answer),
        });
        let mut service =
            StoreService { shared: Arc::clone(&shared), hashing: Vec::new(), database: None };
        for number in 1..=HASHING_THREADS {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name(format!("hashing-{number}"));
            service.hashing.push(thread.spawn(move || shared.hash())?);
        }
        let thread = thread::Builder::new().name("store".into());
        service.database = Some(thread.spawn(move || shared.serve(store))?);
        Ok(service)
    }

    /// Queues a request without blocking.
    ///
    /// # Errors
    ///
    /// Returns the request if [`MAX_WAITING`] are waiting already; [`unavailable`] is then its
    /// answer. `Append`, `Forget`, `Post`, `Acknowledge`, `Read` and `Measure` are always accepted.
    pub fn submit(&self, request: StoreRequest) -> Result<(), StoreRequest> {
        self.shared.queues.submit(request)
    }

    /// Drops this connection's waiting requests without an answer. A request in progress is finished
    /// and may be answered.
    pub fn cancel(&self, connection: ConnectionId) {
        self.shared.queues.cancel(connection);
    }

    /// Returns the number of requests that wait.
    pub fn waiting(&self) -> usize {
        self.shared.queues.waiting()
    }

    /// Returns the time that steps took, by their names.
    pub fn latencies(&self) -> BTreeMap<&'static str, Histogram> {
        self.shared.latencies.all()
    }

    /// Commits all pending broadcasts and envelopes, and waits for that. Steps in progress are finished;
    /// clients' waiting requests are answered as unavailable.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for StoreService {
    fn drop(&mut self) {
        for answer in self.shared.queues.close_to_people() {
            (self.shared.answer)(answer);
        }
        // The hashing threads hand their last results to the database, so they end first.
        let hashing = self.hashing.drain(..).map(JoinHandle::join).filter(Result::is_err).count();
        self.shared.queues.close();
        let database = self.database.take().is_some_and(|thread| thread.join().is_err());
        if hashing > 0 || database {
            tracing::error!(hashing, database, "threads of the store had ended by a panic");
        }
    }
}

impl Shared {
    /// Runs the database thread.
    fn serve(&self, mut store: Box<dyn Store>) {
        while let Some(job) = self.queues.next_for_database() {
            let (what, unavailable) = (job.what(), job.unavailable());
            let wall_ms = now().wall_ms;
            self.carry_out(what, unavailable, || job.run(&mut *store, wall_ms));
        }
        // The others learn it at once. Otherwise they learn it by this server's silence.
        if let Some(Err(error)) = store.cluster().map(Cluster::end) {
            tracing::warn!(%error, "the other servers of the cluster are not told of the end");
        }
    }

    /// Runs a hashing thread.
    fn hash(&self) {
        give_way();
        let mut hasher = Hasher::default();
        while let Some(job) = self.queues.next_for_hashing(|| hasher.wipe()) {
            let (what, unavailable) = (job.what(), job.unavailable());
            self.carry_out(what, Some(unavailable), || job.run(&mut hasher));
        }
    }

    /// Runs one step and passes on its result.
    fn carry_out(
        &self,
        what: &'static str,
        unavailable: Option<StoreAnswer>,
        run: impl FnOnce() -> Result<Step, StepError>,
    ) {
        // After a panic the store is used again: the unwinding rolled its transaction back.
        let begin = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(StepError::Panic));
        self.latencies.note(what, begin.elapsed());
        let step = result.unwrap_or_else(|error| {
            self.complain(what, &error);
            unavailable.map_or(Step::Done, Step::Answer)
        });
        match step {
            Step::Database(job) => self.queues.continue_in_database(job),
            Step::Hashing(job) => {
                if let Err(job) = self.queues.continue_hashing(job) {
                    (self.answer)(job.unavailable());
                }
            }
            Step::Answer(answer) => (self.answer)(answer),
            Step::Done => {}
        }
    }

    /// Logs a failure of the store, unless the same one was logged recently.
    fn complain(&self, what: &'static str, error: &StepError) {
        match self.failure_reports.note(&error.to_string(), Instant::now()) {
            Some(0) => tracing::warn!(what, %error, "the store failed"),
            Some(repeated) => tracing::warn!(what, %error, repeated, "the store still fails"),
            None => {}
        }
    }
}

/// Lowers the priority of the calling thread; on Linux each thread has its own.
fn give_way() {
    let thread = Some(rustix::thread::gettid());
    let lowered = getpriority_process(thread)
        .and_then(|niceness| setpriority_process(thread, niceness + HASHING_NICENESS));
    if let Err(error) = lowered {
        tracing::debug!(%error, "a hashing thread keeps its priority");
    }
}

#[cfg(test)]
mod tests;
