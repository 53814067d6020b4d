//! What prompt and completion need to know of the client: read by the editor's thread, kept up to
//! date by the front end's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use letschat_protocol::username::Username;

use letschat_core::event::Event;
use letschat_core::session::{Reply, Request, Status, Typing};
use letschat_engine::client::Client;
use letschat_lua::plugins::Plugins;

/// Names that are offered for completion at most; a list of active clients may be far longer.
const MAX_NAMES: usize = 4_096;

/// How things stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// Of the link to the server, as in a [`Status`].
    pub(super) state: &'static str,
    /// Where a new line goes.
    pub(super) typing: Typing,
    /// The open chats, and those that are being taken up again.
    pub(super) chats: BTreeSet<Username>,
    pub(super) interrupted: BTreeSet<Username>,
    /// Who asks for a chat.
    pub(super) requests: BTreeSet<Username>,
    /// Who was here when last heard of.
    pub(super) users: BTreeSet<Username>,
    /// A chat that the user asked for and that has opened, until the prompt has gone there or said how to.
    pub(super) opened: Option<Username>,
}

/// The one [`Standing`], shared by two threads.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    standing: Arc<Mutex<Standing>>,
    plugins: Option<Plugins>,
}

impl Shared {
    /// Of a client that may have plugins.
    pub(super) fn new(plugins: Option<Plugins>) -> Shared {
        Shared { standing: Arc::default(), plugins }
    }

    pub(super) fn plugins(&self) -> Option<&Plugins> {
        self.plugins.as_ref()
    }

    pub(super) fn read(&self) -> Standing {
        self.lock().clone()
    }

    /// Asks the client how things stand.
    pub(super) async fn refresh(&self, client: &Client) {
        // A client that has ended has nothing to say, and nobody is prompted any more.
        if let Ok(Reply::Status(status)) = client.request(Request::Standing).await {
            self.lock().update(&status, client.typing());
        }
    }

    /// Notes who came and went. The result is whether the client should be asked how it stands:
    /// a flood of messages is no reason to.
    pub(super) fn learn(&self, event: &Event) -> bool {
        let mut standing = self.lock();
        match event {
            Event::Joined { usernames, .. } => standing.add_users(usernames.iter().cloned()),
            Event::Left { usernames, .. } => {
                standing.users.retain(|user| !usernames.contains(user));
            }
            Event::Message { .. }
            | Event::MessageState { .. }
            | Event::Broadcast { .. }
            | Event::Notice { .. } => {}
            _ => return true,
        }
        false
    }

    /// Notes that a chat is open which the user asked for.
    pub(super) fn learn_opened(&self, with: &str) {
        self.lock().opened = with.parse().ok();
    }

    /// That chat, once.
    pub(super) fn take_opened(&self) -> Option<Username> {
        self.lock().opened.take()
    }

    /// Notes who is in a list.
    pub(super) fn learn_reply(&self, reply: &Reply) {
        if let Reply::Users { users } = reply {
            let mut standing = self.lock();
            standing.users.clear();
            standing.add_users(users.iter().filter_map(|user| user.username.parse().ok()));
        }
    }

    /// Nobody panics while holding this lock.
    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn update(&mut self, status: &Status, typing: Typing) {
        // What the session calls a name is one.
        let names = |names: &mut dyn Iterator<Item = &String>| -> BTreeSet<Username> {
            names.filter_map(|name| name.parse().ok()).collect()
        };
        let in_state = |state: &'static str| {
            status.chats.iter().filter(move |chat| chat.state == state).map(|chat| &chat.with)
        };
        self.state = status.state;
        self.interrupted = names(&mut in_state("interrupted"));
        self.chats = names(&mut in_state("open").chain(in_state("interrupted")));
        self.typing = typing;
        self.requests = names(&mut status.requests.iter());
    }

    fn add_users(&mut self, users: impl Iterator<Item = Username>) {
        let room = MAX_NAMES.saturating_sub(self.users.len());
        self.users.extend(users.take(room));
    }
}
