//! An open chat as a value: its path, its messages, its deadlines.
//!
//! A chat is not a link. When the link breaks, the side that called dials again for a minute
//! under the same approval, and both take up where they stood. A minute after the first of several
//! breaks the chat is over too, unless a link lived for a while between them.

use std::net::SocketAddr;

use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::{ChatId, PeerMessage};
use letschat_protocol::username::Username;

use super::backoff::{AT_ONCE, Backoff};
use super::delivery::Delivery;
use super::{ChatStatus, Effect, LinkId, Now, Reply, RequestId, Session};
use crate::event::fingerprint;
use crate::view::ChatState;

/// A broken link is taken up again within this time, or the chat is over.
const RESUME_MS: u64 = 60_000;
/// The side that is dialled waits longer, since it may notice the break earlier.
const RESUME_SLACK_MS: u64 = 45_000;
/// Links that break soon and failed dials in a row, at most. Whoever keeps to the schedule of dials
/// makes half as many in the time there is.
const MAX_BREAKS: u32 = 32;
/// A link is asked for a sign of life after this long without one.
const QUIET_MS: u64 = 20_000;
/// And after this long if messages are unconfirmed.
const UNCONFIRMED_MS: u64 = 4_000;
/// A displayed message is acknowledged with the next thing that is said, or after this long. That it
/// was displayed may be noticed as much later.
const ACKNOWLEDGEMENT_DELAY_MS: u64 = 10;
/// While nothing is read from the link, the other side is told so often that we live.
const HELD_PONG_MS: u64 = 3_000;
/// Without a sign of life for so long after that, the link is broken.
const PONG_MS: u64 = 8_000;

/// A chat that was approved and opened.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) with: Username,
    pub(super) id: ChatId,
    /// Which of this run's chats.
    pub(super) count: u64,
    pub(super) key: PublicKey,
    pub(super) receiver: Option<SocketAddr>,
    /// Whether this side called, and so dials again.
    pub(super) caller: bool,
    pub(super) path: Path,
    /// When the present link, or the last one, took the chat up.
    pub(super) whole_since_ms: u64,
    /// Links that broke soon, and dials that failed.
    pub(super) backoff: Backoff,
    pub(super) delivery: Delivery,
    /// When something last came over the link, and whether a sign of life was asked for since.
    pub(super) heard_ms: u64,
    pub(super) pinged_ms: Option<u64>,
    /// When the oldest unconfirmed message was sent on this link.
    pub(super) unconfirmed_since_ms: Option<u64>,
    /// When what came is to be acknowledged, if it has not been. It goes out before that with
    /// whatever else is said.
    pub(super) acknowledgement_due_ms: Option<u64>,
    /// Set while the front end is behind and nothing is read from the link: when the other side is
    /// to be told next that we live. What it says can't be judged by its silence meanwhile.
    pub(super) held_pong_ms: Option<u64>,
    pub(super) ending: Option<Ending>,
}

/// How messages reach the other side. A relay, say, would be another path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    Direct(LinkId),
    /// The link broke.
    Broken {
        redial: Redial,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redial {
    /// The other side dials.
    Theirs,
    At(u64),
    /// Dialled, or waiting for the other side's word on it.
    Under(LinkId),
}

#[derive(Debug)]
pub(super) struct Ending {
    pub(super) until_ms: u64,
    pub(super) waiting: Vec<RequestId>,
}

impl Chat {
    pub(super) fn new(
        with: &Username,
        id: ChatId,
        key: PublicKey,
        receiver: Option<SocketAddr>,
        caller: bool,
        link: LinkId,
        now: Now,
    ) -> Chat {
        Chat {
            with: with.clone(),
            id,
            count: 0,
            key,
            receiver,
            caller,
            path: Path::Direct(link),
            whole_since_ms: now.boot_ms,
            backoff: Backoff::default(),
            delivery: Delivery::default(),
            heard_ms: now.boot_ms,
            pinged_ms: None,
            unconfirmed_since_ms: None,
            acknowledgement_due_ms: None,
            held_pong_ms: None,
            ending: None,
        }
    }

    pub(super) fn key(&self) -> PublicKey {
        self.key
    }

    pub(super) fn reply(&self, session: &Session) -> Reply {
        let key = session.key_state(&self.with, &self.key);
        Reply::Chat { with: self.with.to_string(), fingerprint: fingerprint(&self.key), key }
    }

    pub(super) fn state(&self) -> ChatState {
        match self.path {
            Path::Direct(_) => ChatState::Open,
            Path::Broken { .. } => ChatState::Interrupted,
        }
    }

    pub(super) fn status(&self, session: &Session) -> ChatStatus {
        ChatStatus {
            with: self.with.to_string(),
            state: self.state().name(),
            current: session.current() == Some(&self.with),
            unconfirmed: self.delivery.waiting(),
            key: session.key_state(&self.with, &self.key),
        }
    }

    /// When something about this chat falls due.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let ending = self.ending.as_ref().map(|ending| ending.until_ms);
        let path = match (self.path, self.held_pong_ms) {
            (_, Some(pong)) => pong,
            (Path::Direct(_), None) => self.life_due_ms(),
            (Path::Broken { redial: Redial::At(at) }, None) => at.min(self.given_up_ms()),
            (Path::Broken { .. }, None) => self.given_up_ms(),
        };
        ending.into_iter().chain(self.acknowledgement_due_ms).chain([path]).min()
    }

    /// When a sign of life is to be asked for, or, after that, when it counts as missing.
    pub(super) fn life_due_ms(&self) -> u64 {
        if let Some(pinged) = self.pinged_ms {
            return pinged + PONG_MS;
        }
        let quiet = self.heard_ms + QUIET_MS;
        let unconfirmed =
            self.unconfirmed_since_ms.map(|since| since.max(self.heard_ms) + UNCONFIRMED_MS);
        unconfirmed.map_or(quiet, |unconfirmed| unconfirmed.min(quiet))
    }

    /// Notes that the link broke or could not be dialled. Returns the wait before the next dial.
    pub(super) fn broke(&mut self, now: Now, jitter: f64) -> u64 {
        if matches!(self.path, Path::Direct(_)) {
            self.backoff.lived(now.boot_ms, self.whole_since_ms);
        }
        self.backoff.fail(now.boot_ms, &AT_ONCE, jitter).unwrap_or_default()
    }

    /// When a chat that is interrupted is over. Counted from the first break of a row, so that links
    /// that never live long do not keep a chat for ever.
    fn given_up_ms(&self) -> u64 {
        if self.backoff.failures() > MAX_BREAKS {
            return 0;
        }
        let limit_ms = if self.caller { RESUME_MS } else { RESUME_MS + RESUME_SLACK_MS };
        self.backoff.since_ms().map_or(u64::MAX, |since_ms| since_ms + limit_ms)
    }

    /// Whether a chat whose link has broken is to be given up.
    pub(super) fn is_given_up(&self, now: Now) -> bool {
        self.given_up_ms() <= now.boot_ms
    }

    pub(super) fn link(&self) -> Option<LinkId> {
        match self.path {
            Path::Direct(link) => Some(link),
            Path::Broken { redial: Redial::Under(link) } => Some(link),
            Path::Broken { .. } => None,
        }
    }

    /// Nothing is read from the link from now on, or it is read again. The clocks that judge the
    /// other side's silence stand meanwhile.
    pub(super) fn hold(&mut self, now: Now, is_held: bool) {
        self.held_pong_ms = is_held.then_some(now.boot_ms + HELD_PONG_MS);
        self.heard(now);
        if matches!(self.path, Path::Broken { .. }) {
            self.backoff = Backoff::default();
            self.backoff.fail(now.boot_ms, &AT_ONCE, 0.5);
        }
    }

    /// The sign of life that is due while the link is not read.
    pub(super) fn held_pong(&mut self, now: Now) -> Option<PeerMessage> {
        let due_ms = self.held_pong_ms.as_mut()?;
        if *due_ms > now.boot_ms {
            return None;
        }
        *due_ms = now.boot_ms + HELD_PONG_MS;
        Some(PeerMessage::Pong)
    }

    /// A message was displayed: it is to be acknowledged by and by.
    pub(super) fn owe_acknowledgement(&mut self, now: Now) {
        if !matches!(self.path, Path::Direct(_)) {
            // Taking up the chat says how far we have come.
            return;
        }
        let delay_ms = if self.delivery.owes_much() { 0 } else { ACKNOWLEDGEMENT_DELAY_MS };
        let due = now.boot_ms + delay_ms;
        self.acknowledgement_due_ms =
            Some(self.acknowledgement_due_ms.map_or(due, |earlier| earlier.min(due)));
    }

    /// The acknowledgement that is owed, to be sent now.
    pub(super) fn acknowledgement(&mut self, link: LinkId) -> Option<Effect> {
        self.acknowledgement_due_ms.take()?;
        let message = PeerMessage::Acknowledge { through: self.delivery.acknowledge() };
        Some(Effect::SendPeer { link, message })
    }

    pub(super) fn heard(&mut self, now: Now) {
        self.heard_ms = now.boot_ms;
        self.pinged_ms = None;
    }
}
