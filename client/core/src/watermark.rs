//! A receiver's record of sequence numbers: those that have arrived, and the first that is missing.

use std::collections::BTreeSet;

/// The highest valid number. Higher ones are ignored, so that counting on can't overflow.
pub const MAX_NUMBER: u64 = u64::MAX / 2;

/// All numbers up to one, and some beyond the first gap. Numbers begin at 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    through: u64,
    beyond: BTreeSet<u64>,
    max_beyond: usize,
}

impl Watermark {
    /// Returns a watermark at a number. It remembers `max_beyond` numbers beyond the first gap.
    /// It gives up the gap if one more arrives.
    pub fn new(through: u64, max_beyond: usize) -> Watermark {
        Watermark { through: through.min(MAX_NUMBER), beyond: BTreeSet::new(), max_beyond }
    }

    /// Notes a number. Returns true if it arrives for the first time.
    pub fn take(&mut self, number: u64) -> bool {
        if number > MAX_NUMBER || number <= self.through || !self.beyond.insert(number) {
            return false;
        }
        self.close_up();
        if self.beyond.len() > self.max_beyond {
            self.through = self.beyond.first().map_or(self.through, |first| first - 1);
            self.close_up();
        }
        true
    }

    /// Gives up the missing numbers up to this one.
    pub fn advance(&mut self, through: u64) {
        let through = through.min(MAX_NUMBER);
        self.through = self.through.max(through);
        self.beyond.retain(|number| *number > through);
        self.close_up();
    }

    /// Returns the number up to which nothing is missing.
    pub fn through(&self) -> u64 {
        self.through
    }

    /// Returns true if the number has arrived, or was given up.
    pub fn has(&self, number: u64) -> bool {
        number <= self.through || self.beyond.contains(&number)
    }

    /// Returns the highest number that has arrived, or `None` if there is none.
    pub fn highest(&self) -> Option<u64> {
        let through = (self.through > 0).then_some(self.through);
        self.beyond.last().copied().or(through)
    }

    /// Returns the numbers beyond the first gap, ascending.
    pub fn beyond(&self) -> impl Iterator<Item = u64> {
        self.beyond.iter().copied()
    }

    fn close_up(&mut self) {
        while self.beyond.remove(&(self.through + 1)) {
            self.through += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gap_is_given_up_when_too_much_is_beyond_it() {
        let mut watermark = Watermark::new(0, 3);
        assert!([3, 4, 6].into_iter().all(|number| watermark.take(number)));
        assert_eq!(watermark.through(), 0);
        assert!(watermark.take(8));
        assert_eq!(watermark.through(), 4);
        assert!(!watermark.take(1), "what was given up does not come later");
    }

    #[test]
    fn number_that_nobody_counts_to_is_refused() {
        let mut watermark = Watermark::new(u64::MAX, 3);
        assert_eq!(watermark.through(), MAX_NUMBER);
        assert!(!watermark.take(MAX_NUMBER + 1));
        assert!(!watermark.take(u64::MAX));
    }

    proptest! {
        #[test]
        fn each_number_is_new_once_and_the_first_gap_is_known(
            numbers in prop::collection::vec((1_u64..60, any::<bool>()), 0..80),
        ) {
            let (mut watermark, mut seen) = (Watermark::new(0, 100), BTreeSet::new());
            for (number, advances) in numbers {
                if advances && number % 8 == 0 {
                    watermark.advance(number);
                    seen.extend(1..=number);
                } else {
                    prop_assert_eq!(watermark.take(number), seen.insert(number));
                }
                let missing = (1..).find(|number| !seen.contains(number));
                prop_assert_eq!(Some(watermark.through() + 1), missing);
            }
        }
    }
}
