//! How long things took: counts in buckets that grow with the time, so that a quantile is right to
//! an eighth at any size, without a lock.
//!
//! Each power of two of nanoseconds is divided into four equal parts, as in HdrHistogram (Tene,
//! <https://hdrhistogram.org>).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What takes less than 2^8 ns = 256 ns is in the first bucket.
const EXPONENT_MIN: u32 = 8;
/// What takes 2^36 ns = 69 s or more is in the last.
const EXPONENT_MAX: u32 = 36;
const PARTS: usize = 4;
const BUCKETS: usize = (EXPONENT_MAX - EXPONENT_MIN) as usize * PARTS + 2;

/// Times that were measured.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_nanos: AtomicU64,
    max_nanos: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        let zero = || AtomicU64::new(0);
        Histogram { counts: std::array::from_fn(|_| zero()), sum_nanos: zero(), max_nanos: zero() }
    }
}

/// The counts at some moment.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    counts: Vec<u64>,
    sum_nanos: u64,
    max_nanos: u64,
}

impl Histogram {
    /// Counts a time, so many times: what is sampled stands for those that were not.
    pub fn add(&self, time: Duration, weight: u64) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)].fetch_add(weight, Ordering::Relaxed);
        self.sum_nanos.fetch_add(nanos.saturating_mul(weight), Ordering::Relaxed);
        self.max_nanos.fetch_max(nanos, Ordering::Relaxed);
    }

    pub fn times(&self) -> Times {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Times {
            counts: self.counts.iter().map(get).collect(),
            sum_nanos: get(&self.sum_nanos),
            max_nanos: get(&self.max_nanos),
        }
    }
}

impl Times {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Seconds that they took together.
    pub fn sum(&self) -> f64 {
        seconds(self.sum_nanos)
    }

    /// Seconds that the longest took.
    pub fn max(&self) -> f64 {
        seconds(self.max_nanos)
    }

    /// Seconds below which this part of them is; 0 where there are none.
    pub fn quantile(&self, part: f64) -> f64 {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rank = (self.count() as f64 * part).ceil() as u64;
        let mut below = 0;
        for (index, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= rank.max(1) {
                let (from, to) = (edge(index), edge(index + 1).min(self.max_nanos));
                return seconds(from.midpoint(to.max(from)));
            }
        }
        0.0
    }

    /// How many took at most how many seconds, for each power of two of nanoseconds.
    pub fn cumulative(&self) -> Vec<(f64, u64)> {
        let upto = |exponent: u32| {
            let buckets = (exponent - EXPONENT_MIN) as usize * PARTS + 1;
            (seconds(1 << exponent), self.counts[..buckets].iter().sum())
        };
        (EXPONENT_MIN..=EXPONENT_MAX).map(upto).collect()
    }
}

fn bucket(nanos: u64) -> usize {
    let exponent = nanos.checked_ilog2().unwrap_or(0);
    if exponent < EXPONENT_MIN {
        return 0;
    }
    if exponent >= EXPONENT_MAX {
        return BUCKETS - 1;
    }
    // The two bits behind the first say in which quarter it is.
    let part = usize::try_from(nanos >> (exponent - 2)).unwrap_or(0) & (PARTS - 1);
    (exponent - EXPONENT_MIN) as usize * PARTS + part + 1
}

/// Where a bucket begins, in nanoseconds.
fn edge(bucket: usize) -> u64 {
    let Some(bucket) = bucket.checked_sub(1) else { return 0 };
    let (exponent, part) = (bucket / PARTS, bucket % PARTS);
    let exponent = EXPONENT_MIN + u32::try_from(exponent).unwrap_or(0);
    if exponent > EXPONENT_MAX {
        return u64::MAX;
    }
    (1 << exponent) + (part as u64) * (1 << (exponent - 2))
}

#[allow(clippy::cast_precision_loss)] // A few hundred years are exact to a microsecond.
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_the_bucket_between_its_edges() {
        for exponent in 0..60 {
            for nanos in
                [1u64 << exponent, (1 << exponent) + 1, (1u64 << exponent) * 7 / 4, (2 << exponent) - 1]
            {
                let index = bucket(nanos);
                assert!(edge(index) <= nanos, "{nanos}");
                assert!(index == BUCKETS - 1 || nanos < edge(index + 1), "{nanos}");
            }
        }
        assert_eq!(bucket(0), 0);
    }

    #[test]
    fn quantiles_are_right_to_an_eighth() {
        let histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.add(Duration::from_micros(micros), 16);
        }
        let times = histogram.times();
        assert_eq!(times.count(), 16_000);
        for (part, seconds) in [(0.5, 500e-6), (0.9, 900e-6), (0.99, 990e-6)] {
            let found = times.quantile(part);
            assert!((found - seconds).abs() <= seconds / 8.0, "{part}: {found}");
        }
        assert!((times.sum() - 16.0 * 0.5005).abs() < 1e-9 && times.max() == 1e-3);
        let cumulative = times.cumulative();
        assert!(cumulative.is_sorted_by_key(|(_, count)| *count));
        assert_eq!(cumulative.last().map(|(_, count)| *count), Some(16_000));
        assert_eq!(Histogram::default().times().quantile(0.5), 0.0);
    }
}
