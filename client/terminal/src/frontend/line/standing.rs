//! The state that prompt and completion share: the client's view, and the prompt's own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use letschat_core::session::Typing;
use letschat_core::view::View;
use letschat_engine::client::Client;
use letschat_lua::plugins::Plugins;
use letschat_protocol::username::Username;

/// Shared by the threads of the front end and of the editor.
#[derive(Clone)]
pub(super) struct Standing {
    client: Client,
    plugins: Option<Plugins>,
    /// A chat that the user asked for and that has opened, until the prompt has gone there or said how to.
    opened: Arc<Mutex<Option<Username>>>,
}

impl Standing {
    /// Of a client that may have plugins.
    pub(super) fn new(client: Client, plugins: Option<Plugins>) -> Standing {
        Standing { client, plugins, opened: Arc::default() }
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

    /// Notes that a chat is open which the user asked for.
    pub(super) fn learn_opened(&self, with: &str) {
        *self.opened() = with.parse().ok();
    }

    /// That chat, once.
    pub(super) fn take_opened(&self) -> Option<Username> {
        self.opened().take()
    }

    /// Nobody panics while holding this lock.
    fn opened(&self) -> MutexGuard<'_, Option<Username>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
