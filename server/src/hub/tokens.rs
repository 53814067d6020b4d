//! Random numbers that nobody can guess.

use aws_lc_rs::hmac;

/// A generator whose earlier numbers don't reveal later ones.
pub(super) struct Tokens {
    key: hmac::Key,
    drawn: u64,
}

impl Tokens {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Tokens { key: hmac::Key::new(hmac::HMAC_SHA256, seed), drawn: 0 }
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let tag = hmac::sign(&self.key, &self.drawn.to_be_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&tag.as_ref()[..8]);
        u64::from_be_bytes(bytes)
    }
}
