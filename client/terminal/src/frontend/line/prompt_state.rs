//! The state that prompt and completion share: the client's view, and the prompt's own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use letschat_core::session::Typing;
use letschat_core::view::View;
use letschat_engine::client::Client;
use letschat_lua::plugins::Plugins;
use letschat_protocol::username::Username;

use super::transfers;

/// Shared by the tasks of the front end and the editor.
#[derive(Clone)]
pub(super) struct PromptState {
    client: Client,
    plugins: Option<Plugins>,
    /// A requested chat that has opened, until the prompt has handled it.
    opened: Arc<Mutex<Option<Username>>>,
    /// The next attempt to reach the server.
    attempt: Arc<Mutex<Attempt>>,
}

/// A scheduled attempt to reach the server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempt {
    /// The number, from 1.
    pub(super) number: u32,
    /// The wall-clock time.
    pub(super) at_ms: u64,
}

impl PromptState {
    /// Creates the state of a client with or without plugins.
    pub(super) fn new(client: Client, plugins: Option<Plugins>) -> PromptState {
        PromptState { client, plugins, opened: Arc::default(), attempt: Arc::default() }
    }

    pub(super) fn plugins(&self) -> Option<&Plugins> {
        self.plugins.as_ref()
    }

    pub(super) fn read_view<T>(&self, read: impl FnOnce(&View) -> T) -> T {
        self.client.read_view(read)
    }

    pub(super) fn typing(&self) -> Typing {
        self.client.typing()
    }

    /// Notes that a requested chat has opened.
    pub(super) fn learn_opened(&self, with: &str) {
        *lock(&self.opened) = with.parse().ok();
    }

    /// Takes that chat.
    pub(super) fn take_opened(&self) -> Option<Username> {
        lock(&self.opened).take()
    }

    /// Notes the next attempt to reach the server.
    pub(super) fn note_attempt(&self, attempt: Attempt) {
        *lock(&self.attempt) = attempt;
    }

    /// Returns the next attempt.
    pub(super) fn attempt(&self) -> Attempt {
        *lock(&self.attempt)
    }

    /// Returns the row of the running transfers, empty if there is none.
    pub(super) fn transfer_row(&self) -> String {
        self.read_view(transfers::row)
    }
}

/// Locks a value. No code panics while it holds such a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
