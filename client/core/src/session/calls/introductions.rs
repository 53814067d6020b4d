//! Who is about to call, by the server's word.

use std::collections::VecDeque;

use letschat_protocol::dialogue::Introduction;
use letschat_protocol::identity::PublicKey;

/// An introduction is good for this long.
const INTRODUCED_MS: u64 = 120_000;
/// Introductions that are remembered, at most: of one user, and in all. Beyond that the oldest gives
/// way, so that nobody who is introduced again and again keeps others out.
const MAX_INTRODUCED_OF_ONE: usize = 4;
const MAX_INTRODUCED: usize = 256;

/// Those for whom the server vouches.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    /// With the end of its validity; the oldest first.
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

    /// Returns the introduction of this key.
    pub(super) fn of(&self, now_ms: u64, key: &PublicKey) -> Option<&Introduction> {
        let mut valid = self.introduced.iter().filter(|(_, until_ms)| *until_ms > now_ms);
        valid.find(|(one, _)| one.key == *key).map(|(one, _)| one)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.introduced.len()
    }
}
