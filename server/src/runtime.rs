//! The server's executor: one thread per core, and the handling of panics.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};

use async_channel::{Receiver, Sender};
use async_executor::{Executor, Task};
use futures_lite::FutureExt as _;
use letschat_flags::output;

/// The threads that run the server's tasks. Dropping it stops them and drops every task.
pub(crate) struct Runtime {
    executor: Arc<Executor<'static>>,
    threads: Vec<JoinHandle<()>>,
    /// Never sent on. Closing the channel stops the threads.
    stop: Sender<Infallible>,
}

/// A handle that starts tasks. It does not keep the executor alive, so a task may hold one.
#[derive(Clone)]
pub(crate) struct Spawner(Weak<Executor<'static>>);

impl Runtime {
    /// Starts one thread for each core.
    pub(crate) fn start() -> io::Result<Runtime> {
        let (stop, stopped) = async_channel::bounded(1);
        let executor = Arc::new(Executor::new());
        let mut runtime = Runtime { executor, threads: Vec::new(), stop };
        for number in 0..thread::available_parallelism().map_or(1, usize::from) {
            let (executor, stopped) = (runtime.executor.clone(), stopped.clone());
            let thread = thread::Builder::new()
                .name(format!("server-{number}"))
                .spawn(move || run_until_closed(&executor, &stopped))?;
            runtime.threads.push(thread);
        }
        Ok(runtime)
    }

    pub(crate) fn spawner(&self) -> Spawner {
        Spawner(Arc::downgrade(&self.executor))
    }
}

fn run_until_closed(executor: &Executor<'_>, stopped: &Receiver<Infallible>) {
    let closed = async_io::block_on(executor.run(stopped.recv()));
    debug_assert!(closed.is_err());
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has reported it already.
            let _ = thread.join();
        }
    }
}

impl Spawner {
    /// Starts a task that the server can't work without. If it panics, the process exits with a
    /// message, since a partial server would only keep clients waiting. Returns `None` if the
    /// runtime has ended.
    pub(crate) fn essential(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Task<()>> {
        self.spawn(async move {
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                // Write to the descriptor directly: the log's thread may not get to run before the
                // exit.
                output::complain("letschat-server", format_args!("{name} panicked, giving up"));
                std::process::abort();
            }
        })
    }

    /// Starts a task that contains its own panics. Returns `None` if the runtime has ended.
    pub(crate) fn spawn(
        &self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Task<()>> {
        Some(self.0.upgrade()?.spawn(future))
    }
}
