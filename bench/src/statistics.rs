//! Summaries of samples.

use std::time::Duration;

/// Sorted measurements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Sorts measurements of any unit.
    pub(crate) fn new(values: impl IntoIterator<Item = f64>) -> Samples {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Samples(values)
    }

    /// Converts times to milliseconds.
    pub(crate) fn of_times_ms(times: impl IntoIterator<Item = Duration>) -> Samples {
        Samples::new(times.into_iter().map(|time| time.as_secs_f64() * 1_000.0))
    }

    /// Divides each cost by the baseline's of the same turn.
    pub(crate) fn ratios(costs: &[f64], baselines: &[f64]) -> Samples {
        Samples::new(costs.iter().zip(baselines).map(|(cost, baseline)| cost / baseline))
    }

    /// Returns the value that this share of them does not exceed (nearest rank), or 0 if there are
    /// none.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Returns the median.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Returns the smallest value.
    pub(crate) fn least(&self) -> f64 {
        self.quantile(0.0)
    }

    /// Returns the largest value.
    pub(crate) fn most(&self) -> f64 {
        self.quantile(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let samples = Samples::new((1..=200).rev().map(f64::from));
        assert_eq!(samples.median(), 100.0);
        assert_eq!(samples.quantile(0.99), 198.0);
        assert_eq!((samples.least(), samples.most()), (1.0, 200.0));
        assert_eq!(Samples::default().median(), 0.0);
    }

    #[test]
    fn each_cost_is_compared_with_the_baseline_of_its_turn() {
        let ratios = Samples::ratios(&[9.0, 2.0, 4.0], &[3.0, 2.0, 2.0]);
        assert_eq!((ratios.least(), ratios.median(), ratios.most()), (1.0, 2.0, 3.0));
    }
}
