//! Latencies: counted in buckets whose width is a thirty-second of what they hold, so that a run keeps no list of them.

use std::time::Duration;

use crate::sample::Latency;

/// Buckets for each power of two.
const PARTS: u64 = 32;
const BUCKETS: usize = 64 * PARTS as usize;

/// How often each latency was met.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
        }
        self.total += 1;
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The percentiles that are told, where anything was counted.
    pub(crate) fn latency(&self) -> Option<Latency> {
        let at = |share| micros(self.percentile(share));
        (self.total > 0).then(|| Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999) })
    }

    /// The nanoseconds that this share of all stayed below.
    fn percentile(&self, share: f64) -> u64 {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return middle(bucket as u64);
            }
        }
        0
    }
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1_000.0
}

/// Below [`PARTS`] each number has a bucket of its own; from there on each power of two has [`PARTS`].
fn bucket(nanos: u64) -> usize {
    if nanos < PARTS {
        return nanos as usize;
    }
    let power = u64::from(nanos.ilog2() - PARTS.ilog2());
    (power * PARTS + (nanos >> power)) as usize
}

fn middle(bucket: u64) -> u64 {
    if bucket < PARTS * 2 {
        return bucket;
    }
    let power = bucket / PARTS - 1;
    ((bucket - power * PARTS) << power) + (1 << power) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_near_its_middle() {
        for nanos in (0..200).chain((1..50).map(|step| step * 1_234_567)).chain([u64::MAX / 3]) {
            let told = middle(bucket(nanos) as u64);
            assert!(told.abs_diff(nanos) <= nanos / PARTS, "{nanos} is told as {told}");
        }
    }

    #[test]
    fn percentiles_are_those_of_what_was_added() {
        let mut histogram = Histogram::default();
        assert!(histogram.latency().is_none());
        (1..=1000).for_each(|micros| histogram.add(Duration::from_micros(micros)));
        let Latency { p50, p99, p999 } = histogram.latency().unwrap();
        for (told, true_value) in [(p50, 500.0), (p99, 990.0), (p999, 999.0)] {
            assert!((told / true_value - 1.0_f64).abs() < 0.04, "{told} for {true_value}");
        }
    }
}
