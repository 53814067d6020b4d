//! The signal that texts wait to be printed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_channel::Sender;

/// The keys have at least this long between two times at which texts are printed.
const TURN_OF_KEYS: Duration = Duration::from_millis(20);

/// Calls the editor away from the keys, but not before keys had a turn since the last time. The editor
/// looks at the call before it looks at the keys: texts without a pause between them would shut these out.
#[derive(Clone)]
pub(super) struct PrintSignal {
    raised: Sender<()>,
    /// The time at which texts were last printed.
    printed: Arc<Mutex<Instant>>,
}

impl PrintSignal {
    /// Starts the thread that sets `call`. It ends when the last signal is dropped.
    pub(super) fn start(call: Arc<AtomicBool>) -> PrintSignal {
        let (raised, next) = async_channel::bounded(1);
        let printed = Arc::new(Mutex::new(Instant::now()));
        let last = printed.clone();
        let answer = move || {
            while next.recv_blocking().is_ok() {
                let since = lock(&last).elapsed();
                thread::sleep(TURN_OF_KEYS.saturating_sub(since));
                call.store(true, Ordering::SeqCst);
            }
        };
        // Without a thread texts are shown with the next line.
        let _ = thread::Builder::new().name("print-signal".into()).spawn(answer);
        PrintSignal { raised, printed }
    }

    pub(super) fn raise(&self) {
        // One that waits to be answered is enough.
        let _ = self.raised.try_send(());
    }

    pub(super) fn note_print(&self) {
        *lock(&self.printed) = Instant::now();
    }
}

/// Nobody panics while holding this lock.
fn lock(time: &Mutex<Instant>) -> MutexGuard<'_, Instant> {
    time.lock().unwrap_or_else(PoisonError::into_inner)
}
