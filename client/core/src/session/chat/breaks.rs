//! Breaks of a chat's link, and the resumption of the chat.

use letschat_protocol::peer::{PeerMessage, Refusal};

use super::{Chat, Path, Redial};
use crate::codes::ChatEnd;
use crate::conversation::MessageState;
use crate::event::Event;
use crate::session::LinkId;
use crate::session::backoff::{AT_ONCE, Backoff};
use crate::session::context::Context;
use crate::session::links::LinkUse;

/// The time in which a chat is resumed after a break. Later it is over.
const RESUME_MS: u64 = 60_000;
/// The extra wait of the dialled side, since it may notice the break earlier.
const RESUME_SLACK_MS: u64 = 45_000;
/// The most short-lived links and failed dials in a row. A peer that keeps to the schedule makes
/// half as many in [`RESUME_MS`].
const MAX_BREAKS: u32 = 32;
/// The interval of signs of life to the other side while nothing is read from the link.
const HELD_PONG_MS: u64 = 3_000;

impl Chat {
    pub(super) fn link(&self) -> Option<LinkId> {
        match self.path {
            Path::Direct(link) | Path::Broken { redial: Redial::Under(link) } => Some(link),
            Path::Broken { .. } => None,
        }
    }

    /// Returns true if this link was dialled to resume the chat and has not done so yet.
    pub(in crate::session) fn is_resuming_on(&self, link: LinkId) -> bool {
        self.path == Path::Broken { redial: Redial::Under(link) }
    }

    /// Handles a link that broke or could not be dialled.
    pub(in crate::session) fn link_broke(&mut self, cx: &mut Context, link: LinkId) {
        cx.close(link);
        let jitter = cx.jitter();
        if self.link() != Some(link) {
            return;
        }
        self.pinged_ms = None;
        // The resumption acknowledges as well.
        self.acknowledgement_due_ms = None;
        let was_whole = self.is_whole();
        let wait_ms = self.note_break(cx.now_ms(), jitter);
        let redial = if self.caller { Redial::At(cx.now_ms() + wait_ms) } else { Redial::Theirs };
        self.path = Path::Broken { redial };
        if was_whole {
            cx.tell(Event::ChatInterrupted { with: self.with.clone() });
        }
    }

    /// Counts a break. Returns the wait before the next dial.
    fn note_break(&mut self, now_ms: u64, jitter: f64) -> u64 {
        if self.is_whole() {
            self.backoff.lived(now_ms, self.whole_since_ms);
        }
        self.backoff.fail(now_ms, &AT_ONCE, jitter).unwrap_or_default()
    }

    /// Returns the time at which an interrupted chat is over. It counts from the first break of a
    /// row, so that short-lived links can't keep a chat for ever.
    pub(super) fn given_up_ms(&self) -> u64 {
        if self.backoff.failures() > MAX_BREAKS {
            return 0;
        }
        let limit_ms = if self.caller { RESUME_MS } else { RESUME_MS + RESUME_SLACK_MS };
        self.backoff.since_ms().map_or(u64::MAX, |since_ms| since_ms + limit_ms)
    }

    /// Returns true if it is time to give up an interrupted chat.
    pub(super) fn is_given_up(&self, now_ms: u64) -> bool {
        self.given_up_ms() <= now_ms
    }

    pub(super) fn redial(&mut self, cx: &mut Context) {
        if let Some(to) = self.receiver {
            let link = cx.dial(LinkUse::Chat(self.with.clone()), to, self.key);
            self.path = Path::Broken { redial: Redial::Under(link) };
        }
    }

    /// Asks the other side over a new link to resume the chat, and acknowledges.
    pub(in crate::session) fn resume(&mut self, cx: &mut Context, link: LinkId) {
        self.heard(cx.now_ms());
        let received = self.delivery.acknowledge();
        cx.send(link, PeerMessage::Resume { chat: self.id, received });
    }

    /// Handles the other side's request to resume the chat over a new link.
    pub(in crate::session) fn resumed_by_peer(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        received: u64,
    ) -> Option<ChatEnd> {
        let jitter = cx.jitter();
        let older = self.link();
        if older.is_some() {
            self.note_break(cx.now_ms(), jitter);
        }
        if self.is_given_up(cx.now_ms()) {
            cx.refuse(link, Refusal::Over);
            return Some(ChatEnd::Lost);
        }
        if let Some(older) = older {
            // The caller noticed the break first.
            cx.close(older);
            cx.tell(Event::ChatInterrupted { with: self.with.clone() });
        }
        cx.links.serve(link, LinkUse::Chat(self.with.clone()));
        cx.send(link, PeerMessage::Resumed { received: self.delivery.acknowledge() });
        self.resumed(cx, link, received)
    }

    /// Resumes the chat after the other side's acknowledgement.
    pub(super) fn resumed(
        &mut self,
        cx: &mut Context,
        link: LinkId,
        received: u64,
    ) -> Option<ChatEnd> {
        self.path = Path::Direct(link);
        self.whole_since_ms = cx.now_ms();
        self.acknowledgement_due_ms = None;
        let Some(confirmed) = self.confirm(cx, received) else {
            return Some(ChatEnd::Protocol);
        };
        self.heard(cx.now_ms());
        for (number, text) in self.delivery.unconfirmed() {
            cx.send(link, PeerMessage::Message { number, text: text.clone() });
        }
        cx.tell(Event::ChatResumed { with: self.with.clone(), link: cx.links.path(link) });
        self.tell_state(cx, confirmed, MessageState::Delivered);
        self.end_if_done()
    }

    /// Holds the link, so that nothing is read from it, or releases it. The clocks that judge the
    /// other side's silence stand meanwhile.
    pub(in crate::session) fn hold(&mut self, now_ms: u64, is_held: bool) {
        self.held_pong_ms = is_held.then_some(now_ms + HELD_PONG_MS);
        self.heard(now_ms);
        if !self.is_whole() {
            self.backoff = Backoff::default();
            self.backoff.fail(now_ms, &AT_ONCE, 0.5);
        }
    }

    /// Sends the sign of life that is due while the link is held.
    pub(super) fn send_held_pong(&mut self, cx: &mut Context) {
        if self.held_pong_ms.is_some_and(|due_ms| due_ms <= cx.now_ms()) {
            self.held_pong_ms = Some(cx.now_ms() + HELD_PONG_MS);
            if let Path::Direct(link) = self.path {
                cx.send(link, PeerMessage::Pong);
            }
        }
    }
}
