//! The state that prompt and completion share: the client's view, and the prompt's own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use letschat_core::session::{Request, Typing};
use letschat_core::view::View;
use letschat_engine::client::Client;
use letschat_lua::plugins::Plugins;
use letschat_protocol::username::Username;

use super::transfers;

/// Shared by the tasks of the front end and the editor.
#[derive(Clone)]
pub(in crate::frontend) struct PromptState {
    client: Client,
    plugins: Option<Plugins>,
    /// A requested chat that has opened, until the prompt has handled it.
    opened: Arc<Mutex<Option<Username>>>,
    /// True once the user has switched to a conversation, until the screen has handled that.
    has_switched: Arc<AtomicBool>,
    /// The next attempt to reach the server.
    attempt: Arc<Mutex<Attempt>>,
}

/// A scheduled attempt to reach the server.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::frontend) struct Attempt {
    /// The number, from 1.
    pub(in crate::frontend) number: u32,
    /// The wall-clock time.
    pub(in crate::frontend) at_ms: u64,
}

impl PromptState {
    /// Creates the state of a client with or without plugins.
    pub(in crate::frontend) fn new(client: Client, plugins: Option<Plugins>) -> PromptState {
        PromptState {
            client,
            plugins,
            opened: Arc::default(),
            has_switched: Arc::default(),
            attempt: Arc::default(),
        }
    }

    /// Learns who is here and, if that is wanted, is told of arrivals and departures from then on. Both need a login.
    pub(in crate::frontend) async fn watch_people(&self, watches: bool) {
        // Without a login there is nobody to show.
        if watches {
            let _ = self.client.request(Request::Watch(true)).await;
        }
        let _ = self.client.request(Request::List).await;
    }

    pub(in crate::frontend) fn plugins(&self) -> Option<&Plugins> {
        self.plugins.as_ref()
    }

    pub(in crate::frontend) fn read_view<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        self.client.read_view(read)
    }

    pub(in crate::frontend) fn typing(&self) -> Typing {
        self.client.typing()
    }

    /// Notes that a requested chat has opened.
    pub(in crate::frontend) fn learn_opened(&self, with: &str) {
        *lock(&self.opened) = with.parse().ok();
    }

    /// Takes that chat.
    pub(in crate::frontend) fn take_opened(&self) -> Option<Username> {
        lock(&self.opened).take()
    }

    /// Notes that the user has switched to a conversation. It may have been current before.
    pub(in crate::frontend) fn note_switched(&self) {
        self.has_switched.store(true, Ordering::Relaxed);
    }

    /// Returns true once after that.
    pub(in crate::frontend) fn take_switched(&self) -> bool {
        self.has_switched.swap(false, Ordering::Relaxed)
    }

    /// Notes the next attempt to reach the server.
    pub(in crate::frontend) fn note_attempt(&self, attempt: Attempt) {
        *lock(&self.attempt) = attempt;
    }

    /// Returns the next attempt.
    pub(in crate::frontend) fn attempt(&self) -> Attempt {
        *lock(&self.attempt)
    }

    /// Returns the row of the running transfers, empty if there is none.
    pub(in crate::frontend) fn transfer_row(&self) -> String {
        self.read_view(transfers::row)
    }
}

/// Locks a value. No code panics while it holds such a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
