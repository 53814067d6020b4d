//! An open chat as a value: its path, its messages, its deadlines.
//!
//! A chat is not a link. When the link breaks, the side that called dials again for a minute
//! under the same approval, and both take up where they stood.

use std::net::SocketAddr;

use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::{ChatId, PeerMessage};
use letschat_protocol::username::Username;

use super::delivery::Delivery;
use super::{ChatStatus, Effect, LinkId, Now, Reply, RequestId, Session};
use crate::event::fingerprint;

/// A broken link is taken up again within this time, or the chat is over.
const RESUME_MS: u64 = 60_000;
/// The side that is dialled waits longer, since it may notice the break earlier.
const RESUME_SLACK_MS: u64 = 45_000;
/// A link is asked for a sign of life after this long without one.
const QUIET_MS: u64 = 20_000;
/// And after this long if messages are unconfirmed.
const UNCONFIRMED_MS: u64 = 4_000;
/// A message is acknowledged with the next thing that is said, or after this long.
const ACKNOWLEDGEMENT_DELAY_MS: u64 = 20;
/// Without a sign of life for so long after that, the link is broken.
const PONG_MS: u64 = 8_000;

/// A chat that was approved and opened.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) with: Username,
    pub(super) id: ChatId,
    pub(super) key: PublicKey,
    pub(super) receiver: Option<SocketAddr>,
    /// Whether this side called, and so dials again.
    pub(super) caller: bool,
    pub(super) path: Path,
    pub(super) delivery: Delivery,
    /// When something last came over the link, and whether a sign of life was asked for since.
    pub(super) heard_ms: u64,
    pub(super) pinged_ms: Option<u64>,
    /// When the oldest unconfirmed message was sent on this link.
    pub(super) unconfirmed_since_ms: Option<u64>,
    /// When what came is to be acknowledged, if it has not been. It goes out before that with
    /// whatever else is said.
    pub(super) acknowledgement_due_ms: Option<u64>,
    pub(super) ending: Option<Ending>,
}

/// How messages reach the other side. A relay, say, would be another path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    Direct(LinkId),
    /// The link broke at `since_ms`.
    Broken {
        since_ms: u64,
        tries: usize,
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
            key,
            receiver,
            caller,
            path: Path::Direct(link),
            delivery: Delivery::default(),
            heard_ms: now.boot_ms,
            pinged_ms: None,
            unconfirmed_since_ms: None,
            acknowledgement_due_ms: None,
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

    pub(super) fn status(&self, session: &Session) -> ChatStatus {
        ChatStatus {
            with: self.with.to_string(),
            state: match self.path {
                Path::Direct(_) => "open",
                Path::Broken { .. } => "interrupted",
            },
            current: session.current() == Some(&self.with),
            unconfirmed: self.delivery.waiting(),
            key: session.key_state(&self.with, &self.key),
        }
    }

    /// When something about this chat falls due.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let ending = self.ending.as_ref().map(|ending| ending.until_ms);
        let path = match self.path {
            Path::Direct(_) => self.life_due_ms(),
            Path::Broken { since_ms, redial, .. } => {
                let over = since_ms + self.resume_limit_ms();
                match redial {
                    Redial::At(at) => at.min(over),
                    Redial::Theirs | Redial::Under(_) => over,
                }
            }
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

    pub(super) fn resume_limit_ms(&self) -> u64 {
        if self.caller { RESUME_MS } else { RESUME_MS + RESUME_SLACK_MS }
    }

    pub(super) fn link(&self) -> Option<LinkId> {
        match self.path {
            Path::Direct(link) => Some(link),
            Path::Broken { redial: Redial::Under(link), .. } => Some(link),
            Path::Broken { .. } => None,
        }
    }

    /// A message came: it is to be acknowledged by and by.
    pub(super) fn owe_acknowledgement(&mut self, now: Now) {
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
