//! The envelopes that a client posts and receives beside its session.
//!
//! They are sealed beforehand and are not opened, so that the clients leave the machine to the server. On the wire they
//! are those of a real client: one POST at a time, and an acknowledgement of each delivery. While an acknowledgement is
//! without an answer, further deliveries wait for the next.

use std::collections::{HashSet, VecDeque};

use letschat_protocol::dialogue::{DeviceKeys, Mail, Outcome, Posted, Reply, Request};
use letschat_protocol::envelope::EnvelopeId;
use letschat_protocol::limits::MAX_ACKNOWLEDGED;

use super::tally::Tally;
use crate::letters::Letter;

/// The envelopes of one client.
#[derive(Debug, Default)]
pub(super) struct Correspondence {
    /// The envelopes to post, in order.
    to_post: VecDeque<Letter>,
    /// The deliveries to acknowledge.
    to_acknowledge: Vec<u64>,
    /// The account whose devices the server is asked for.
    to_look_up: Option<String>,
    /// The requests without an answer, oldest first.
    asked: VecDeque<Asked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Post,
    Acknowledge,
    Keys,
}

/// Counters of envelopes.
#[derive(Debug, Default)]
pub(crate) struct MailTally {
    /// Prekeys that the server has confirmed.
    pub(crate) published: usize,
    /// Envelopes that the server has taken.
    pub(crate) posted: u64,
    /// Envelopes of the crowd that reached their device.
    pub(crate) delivered: u64,
    /// Deliveries that were not on their way: another client's, or repeated ones.
    pub(crate) unexpected: u64,
    /// Deliveries that the server has deleted, since they were acknowledged.
    pub(crate) acknowledged: u64,
    /// The devices that the server told.
    pub(crate) keys: Vec<DeviceKeys>,
    on_the_way: HashSet<EnvelopeId>,
}

impl Correspondence {
    /// Adds envelopes to post.
    pub(super) fn post(&mut self, letters: Vec<Letter>) {
        self.to_post.extend(letters);
    }

    /// Asks for the devices of an account.
    pub(super) fn look_up(&mut self, name: String) {
        self.to_look_up = Some(name);
    }

    /// Forgets the requests of a link that has ended.
    pub(super) fn link_ended(&mut self) {
        self.asked.clear();
    }

    /// Returns the next request that can be sent now.
    pub(super) fn next_request(&mut self, tally: &mut Tally) -> Option<Request> {
        let (what, request) = if let Some(name) = self.to_look_up.take() {
            (Asked::Keys, Request::Keys { name })
        } else if !self.to_acknowledge.is_empty() && !self.asked.contains(&Asked::Acknowledge) {
            let count = self.to_acknowledge.len().min(MAX_ACKNOWLEDGED);
            let numbers = self.to_acknowledge.drain(..count).collect();
            (Asked::Acknowledge, Request::Acknowledge { numbers })
        } else if !self.asked.contains(&Asked::Post) {
            let Letter { id, envelope } = self.to_post.pop_front()?;
            tally.mail.on_the_way.insert(id);
            (Asked::Post, Request::Post { id, envelope: envelope.to_vec() })
        } else {
            return None;
        };
        self.asked.push_back(what);
        Some(request)
    }

    /// Handles a delivery.
    pub(super) fn delivered(&mut self, mail: &Mail, tally: &mut Tally) {
        match tally.mail.on_the_way.remove(&mail.id) {
            true => tally.mail.delivered += 1,
            false => tally.mail.unexpected += 1,
        }
        self.to_acknowledge.push(mail.number);
    }

    /// Handles the answer to the oldest request.
    pub(super) fn answered(&mut self, reply: &Reply, tally: &mut Tally) {
        let (Some(asked), true) = (self.asked.pop_front(), reply.code.is_success()) else {
            return tally.failures.push(refusal(reply));
        };
        match asked {
            Asked::Post => match reply.lines.first().and_then(|line| Posted::parse(line)) {
                Some(Posted { outcome: Outcome::Pushed | Outcome::Kept, .. }) => {
                    tally.mail.posted += 1;
                }
                _ => tally.failures.push(refusal(reply)),
            },
            Asked::Acknowledge => tally.mail.acknowledged += reply.field(0).unwrap_or(0),
            Asked::Keys => {
                let keys = reply.lines.first().and_then(|line| DeviceKeys::parse(line));
                tally.mail.keys.extend(keys);
            }
        }
    }
}

fn refusal(reply: &Reply) -> String {
    format!("{} {}", reply.code, reply.lines.join("; "))
}
