//! The server's own executor: one thread per core, and what becomes of a panic.

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

/// The threads that run the server's tasks. Dropping it ends them and drops every task.
pub(crate) struct Runtime {
    executor: Arc<Executor<'static>>,
    threads: Vec<JoinHandle<()>>,
    /// Never sent on; the threads end when it is closed.
    stop: Sender<Infallible>,
}

/// Starts tasks. Does not keep the executor alive, so a task may hold one.
#[derive(Clone)]
pub(crate) struct Spawner(Weak<Executor<'static>>);

impl Runtime {
    /// One thread for each core.
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
            // A thread that panicked has said so already, and there is nothing left to save.
            let _ = thread.join();
        }
    }
}

impl Spawner {
    /// Starts a task without which the server is no server: should it panic, the process ends
    /// with a message, since half a server would only keep everybody waiting. `None` if the
    /// runtime has ended.
    pub(crate) fn essential(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Task<()>> {
        self.spawn(async move {
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                // Straight to the descriptor: the log may be written by a thread that has no time
                // left.
                output::complain("letschat-server", format_args!("{name} panicked, giving up"));
                std::process::abort();
            }
        })
    }

    /// Starts a task that contains its own panics. `None` if the runtime has ended.
    pub(crate) fn spawn(
        &self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Task<()>> {
        Some(self.0.upgrade()?.spawn(future))
    }
}
