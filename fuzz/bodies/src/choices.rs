//! A fuzzer's bytes as a sequence of choices.

use arbitrary::Unstructured;

/// A source of choices that consumes bytes. Without bytes every choice is always the same.
pub struct Choices<'a>(Unstructured<'a>);

impl<'a> Choices<'a> {
    /// Creates a source of choices from bytes.
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices(Unstructured::new(bytes))
    }

    /// Returns true if no bytes are left.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Chooses a number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0.int_in_range(0..=limit - 1).unwrap_or(0)
    }

    /// Chooses true or false.
    pub fn flip(&mut self) -> bool {
        self.below(2) == 1
    }

    /// Chooses any number. Small ones and those near a bound are more frequent.
    pub fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(16) as u64,
            1 => u64::MAX - self.below(16) as u64,
            2 => 1 << self.below(64),
            _ => self.0.arbitrary().unwrap_or(0),
        }
    }

    /// Chooses one element, or `None` from an empty slice.
    pub fn one<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.below(of.len())].clone()) }
    }

    /// Takes at most `most` bytes.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = self.below(most + 1).min(self.0.len());
        self.0.bytes(length).unwrap_or_default()
    }

    /// Takes a text of at most `most` bytes. Invalid UTF-8 is replaced.
    pub fn text(&mut self, most: usize) -> String {
        String::from_utf8_lossy(self.bytes(most)).into_owned()
    }

    /// Chooses a time step in milliseconds: mostly short, sometimes hours.
    pub fn milliseconds(&mut self) -> u64 {
        let most = [1, 50, 1_000, 30_000, 5 * 60_000, 4 * 60 * 60_000][self.below(6)];
        self.below(most + 1) as u64
    }
}
