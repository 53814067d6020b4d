//! The effects of an input, and all that every module needs for them: the time, random numbers and
//! the links to peers.

use std::net::SocketAddr;

use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::{ChatId, PeerMessage, Refusal};

use super::links::{LinkUse, Links};
use super::{Effect, LinkId, Now, Reply, RequestId, Save, SessionConfig};
use crate::event::Event;
use crate::failure::Failure;
use crate::notice::Notice;

/// The context lent to a module while it handles an input. It holds none of the module's state.
#[derive(Debug)]
pub(super) struct Context {
    config: SessionConfig,
    now: Now,
    random: fastrand::Rng,
    pub(super) links: Links,
    effects: Vec<Effect>,
}

impl Context {
    pub(super) fn new(config: SessionConfig) -> Context {
        Context {
            now: Now { boot_ms: 0, wall_ms: 0 },
            random: fastrand::Rng::with_seed(config.seed),
            config,
            links: Links::default(),
            effects: Vec::new(),
        }
    }

    /// Begins an input that arrives at this time.
    pub(super) fn begin(&mut self, now: Now) {
        self.now = now;
    }

    /// Returns the effects of the input.
    pub(super) fn finish(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(super) fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Returns the time on the boot clock.
    pub(super) fn now_ms(&self) -> u64 {
        self.now.boot_ms
    }

    /// Returns the time of day.
    pub(super) fn wall_ms(&self) -> u64 {
        self.now.wall_ms
    }

    /// Draws a number from 0 to 1, for the wait before another attempt.
    pub(super) fn jitter(&mut self) -> f64 {
        self.random.f64()
    }

    /// Draws a chat id.
    pub(super) fn new_chat_id(&mut self) -> ChatId {
        ChatId(self.random.u128(..))
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.push(Effect::Tell(event));
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        self.tell(Event::notice(notice));
    }

    pub(super) fn save(&mut self, what: Save) {
        self.push(Effect::Save(what));
    }

    /// Answers a request.
    pub(super) fn reply(&mut self, id: RequestId, result: Result<Reply, Failure>) {
        self.push(Effect::Answer { id, result });
    }

    pub(super) fn answer(&mut self, id: RequestId, reply: Reply) {
        self.reply(id, Ok(reply));
    }

    pub(super) fn fail(&mut self, id: RequestId, why: Failure) {
        self.reply(id, Err(why));
    }

    pub(super) fn fail_all(&mut self, ids: impl IntoIterator<Item = RequestId>, why: &Failure) {
        for id in ids {
            self.fail(id, why.clone());
        }
    }

    /// Dials a peer, for this purpose.
    pub(super) fn dial(&mut self, purpose: LinkUse, to: SocketAddr, key: PublicKey) -> LinkId {
        let link = self.links.dial(purpose);
        self.push(Effect::DialPeer { link, to, key });
        link
    }

    /// Sends a message to a peer.
    pub(super) fn send(&mut self, link: LinkId, message: PeerMessage) {
        self.push(Effect::SendPeer { link, message });
    }

    /// Closes the link to a peer.
    pub(super) fn close(&mut self, link: LinkId) {
        self.links.forget(link);
        self.push(Effect::ClosePeer { link });
    }

    /// Refuses, and closes the link.
    pub(super) fn refuse(&mut self, link: LinkId, why: Refusal) {
        self.send(link, PeerMessage::Refuse(why));
        self.close(link);
    }
}
