//! The server's introductions of people who are about to call.

use std::collections::VecDeque;

use letschat_protocol::dialogue::Introduction;
use letschat_protocol::identity::PublicKey;

/// The validity of an introduction.
const INTRODUCED_MS: u64 = 120_000;
/// The most introductions that are remembered, of one user and in all. Beyond that the oldest is
/// evicted. The limit for one user keeps repeated introductions from evicting others'.
const MAX_INTRODUCED_OF_ONE: usize = 4;
const MAX_INTRODUCED: usize = 256;

/// The people for whom the server vouches.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    /// Introductions with the ends of their validity, oldest first.
    introduced: VecDeque<(Introduction, u64)>,
}

impl Introductions {
    pub(super) fn add(&mut self, now_ms: u64, who: Introduction) {
        self.introduced.retain(|(one, until_ms)| *until_ms > now_ms && one.key != who.key);
        let of_one = self.introduced.iter().filter(|(one, _)| one.username == who.username);
        if of_one.count() >= MAX_INTRODUCED_OF_ONE
            && let Some(oldest) =
                self.introduced.iter().position(|(one, _)| one.username == who.username)
        {
            self.introduced.remove(oldest);
        }
        if self.introduced.len() >= MAX_INTRODUCED {
            self.introduced.pop_front();
        }
        self.introduced.push_back((who, now_ms + INTRODUCED_MS));
    }

    /// Returns the valid introduction of this key.
    pub(super) fn of(&self, now_ms: u64, key: &PublicKey) -> Option<&Introduction> {
        let mut valid = self.introduced.iter().filter(|(_, until_ms)| *until_ms > now_ms);
        valid.find(|(one, _)| one.key == *key).map(|(one, _)| one)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.introduced.len()
    }
}
