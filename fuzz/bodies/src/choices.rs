//! A fuzzer's bytes as a list of choices.

use arbitrary::Unstructured;

/// Chooses by the bytes that are left; when they have run out, always the same.
pub struct Choices<'a>(Unstructured<'a>);

impl<'a> Choices<'a> {
    /// Choices by these bytes.
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices(Unstructured::new(bytes))
    }

    /// Whether there is nothing left to choose by.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// A number below this one, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0.int_in_range(0..=limit - 1).unwrap_or(0)
    }

    /// True or false.
    pub fn flip(&mut self) -> bool {
        self.below(2) == 1
    }

    /// Any number, and often a small one or one near an end.
    pub fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(16) as u64,
            1 => u64::MAX - self.below(16) as u64,
            2 => 1 << self.below(64),
            _ => self.0.arbitrary().unwrap_or(0),
        }
    }

    /// One of these, if there are any.
    pub fn one<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.below(of.len())].clone()) }
    }

    /// Some bytes, at most so many.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = self.below(most + 1).min(self.0.len());
        self.0.bytes(length).unwrap_or_default()
    }

    /// Some text; what is no UTF-8 in it is replaced.
    pub fn text(&mut self, most: usize) -> String {
        String::from_utf8_lossy(self.bytes(most)).into_owned()
    }

    /// How much time passes: mostly little, sometimes hours.
    pub fn milliseconds(&mut self) -> u64 {
        let most = [1, 50, 1_000, 30_000, 5 * 60_000, 4 * 60 * 60_000][self.below(6)];
        self.below(most + 1) as u64
    }
}
