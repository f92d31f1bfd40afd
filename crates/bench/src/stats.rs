//! Medians with their ranges, and ratios of what was measured side by side.

use serde::{Deserialize, Serialize};

/// The middle of repetitions, the least and the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Range {
    /// Of these values, where there are any.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let upper = *values.get(half)?;
        let odd = values.len() % 2 == 1;
        let median = if odd { upper } else { values.get(half.wrapping_sub(1))?.midpoint(upper) };
        Some(Self { median, min, max })
    }
}

/// What was measured in rounds, with the number of each.
pub(crate) type Rounds = Vec<(u32, f64)>;

/// The ratio of each pair that was measured in one round. What was measured less often is compared by its median where a
/// round has no partner.
pub(crate) fn ratios(above: &Rounds, below: &Rounds) -> Vec<f64> {
    let Some(typical) = Range::of(below.iter().map(|(_, value)| *value)) else { return Vec::new() };
    let partner = |round| below.iter().find(|(of, _)| *of == round).map_or(typical.median, |(_, value)| *value);
    let pairs = above.iter().map(|(round, value)| (value, partner(*round)));
    pairs.filter(|(_, below)| *below > 0.0).map(|(above, below)| above / below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_there() {
        assert_eq!(Range::of([]), None);
        assert_eq!(Range::of([3.0, 1.0, 2.0]), Some(Range { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Range::of([4.0, 1.0, 2.0, 3.0]), Some(Range { median: 2.5, min: 1.0, max: 4.0 }));
    }

    #[test]
    fn a_ratio_is_that_of_its_round() {
        let above = vec![(0, 10.0), (1, 30.0)];
        assert_eq!(ratios(&above, &vec![(0, 5.0), (1, 10.0)]), [2.0, 3.0]);
        assert_eq!(ratios(&above, &vec![(1, 10.0)]), [1.0, 3.0], "the median stands in for a round that is missing");
        assert!(ratios(&above, &Vec::new()).is_empty());
        assert!(ratios(&above, &vec![(0, 0.0)]).is_empty(), "nothing is compared with nothing");
    }
}
