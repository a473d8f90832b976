//! Medians, ratios of paired runs, and bootstrap intervals. Everything is repeatable: the random numbers are seeded.

use serde::{Deserialize, Serialize};

/// Even the range of fewer pairs than this holds the true median less often than 94 times in 100.
pub(super) const FEWEST_FOR_INTERVAL: usize = 5;
const RESAMPLES: usize = 2000;
const SEED: u64 = 0x1ce4_e5b9;

/// How one program compares with the baseline: below 1 is less time, or less memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ratio {
    pub median: f64,
    /// Bootstrap 95 % interval of the median; none when there are too few pairs.
    pub interval: Option<[f64; 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Less,
    More,
    NoDifference,
    TooFewRuns,
}

impl Ratio {
    /// Run `i` of a program against run `i` of the baseline; None without a usable pair.
    pub fn of_pairs(program: &[f64], baseline: &[f64]) -> Option<Ratio> {
        Ratio::of_samples(&pair_ratios(program, baseline))
    }

    fn of_samples(ratios: &[f64]) -> Option<Ratio> {
        let median = median(ratios)?;
        let interval = (ratios.len() >= FEWEST_FOR_INTERVAL).then(|| {
            let mut random = Random::new(SEED);
            interval_95((0..RESAMPLES).map(|_| resampled_median(ratios, &mut random)).collect())
        });
        Some(Ratio { median, interval })
    }

    pub fn verdict(&self) -> Verdict {
        match self.interval {
            None => Verdict::TooFewRuns,
            Some([_, high]) if high < 1.0 => Verdict::Less,
            Some([low, _]) if low > 1.0 => Verdict::More,
            Some(_) => Verdict::NoDifference,
        }
    }

    /// Half the interval's width, as a part of the median.
    pub fn relative_half_width(&self) -> Option<f64> {
        self.interval.map(|[low, high]| (high - low) / 2.0 / self.median)
    }
}

/// Pairs without a usable number (a time of zero) are left out.
pub(super) fn pair_ratios(program: &[f64], baseline: &[f64]) -> Vec<f64> {
    program.iter().zip(baseline).filter(|&(&p, &b)| p > 0.0 && b > 0.0).map(|(p, b)| p / b).collect()
}

/// Geometric mean over scripts of the median pair ratio, with an interval that resamples the runs of each script.
pub(super) fn geometric_mean_ratio(ratios_of_scripts: &[Vec<f64>]) -> Option<Ratio> {
    let medians: Option<Vec<f64>> = ratios_of_scripts.iter().map(|ratios| median(ratios)).collect();
    let median = geometric_mean(&medians?)?;
    let enough = ratios_of_scripts.iter().all(|ratios| ratios.len() >= FEWEST_FOR_INTERVAL);
    let interval = enough.then(|| {
        let mut random = Random::new(SEED);
        let mean = |_| {
            let medians: Vec<f64> = ratios_of_scripts.iter().map(|r| resampled_median(r, &mut random)).collect();
            geometric_mean(&medians).unwrap_or(median)
        };
        interval_95((0..RESAMPLES).map(mean).collect())
    });
    Some(Ratio { median, interval })
}

/// Change from an earlier ratio to a later one, measured at another time: the runs do not pair up, so each
/// side is resampled on its own.
pub(super) fn change_of_ratio(now: &[f64], then: &[f64]) -> Option<Ratio> {
    let median = median(now)? / median(then)?;
    let enough = now.len().min(then.len()) >= FEWEST_FOR_INTERVAL;
    let interval = enough.then(|| {
        let mut random = Random::new(SEED);
        let change = |_| resampled_median(now, &mut random) / resampled_median(then, &mut random);
        interval_95((0..RESAMPLES).map(change).collect())
    });
    Some(Ratio { median, interval })
}

/// The middle value, or the mean of the middle two.
pub(super) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    middle_of_sorted(&sorted)
}

fn middle_of_sorted(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(sorted[sorted.len() / 2 - 1], upper)) }
}

/// Robust spread as a part of the median: 1.4826 times the median absolute deviation, which for a normal
/// distribution is its standard deviation.
pub(super) fn relative_spread(samples: &[f64]) -> Option<f64> {
    let middle = median(samples)?;
    let deviations: Vec<f64> = samples.iter().map(|sample| (sample - middle).abs()).collect();
    (middle > 0.0).then_some(1.4826 * median(&deviations)? / middle)
}

/// None for no values, or for a value that is not above zero.
pub(super) fn geometric_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|&value| value <= 0.0) {
        return None;
    }
    Some((values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp())
}

fn resampled_median(samples: &[f64], random: &mut Random) -> f64 {
    let mut drawn: Vec<f64> = (0..samples.len()).map(|_| samples[random.below(samples.len())]).collect();
    drawn.sort_by(f64::total_cmp);
    middle_of_sorted(&drawn).unwrap_or(f64::NAN)
}

/// The middle 95 % of bootstrap values; there are RESAMPLES of them.
fn interval_95(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    let cut = values.len() * 25 / 1000;
    [values[cut], values[values.len() - 1 - cut]]
}

/// SplitMix64: small, seeded, and good enough to draw indexes.
struct Random {
    state: u64,
}

impl Random {
    fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `limit` - 1, by taking the upper part of a product.
    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roughly normal numbers with the given mean and standard deviation.
    fn normal(random: &mut Random, mean: f64, deviation: f64) -> f64 {
        let uniform = |random: &mut Random| random.next() as f64 / u64::MAX as f64;
        let sum: f64 = (0..12).map(|_| uniform(random)).sum();
        mean + deviation * (sum - 6.0)
    }

    #[test]
    fn median_of_odd_even_and_no_samples() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn pairing_cancels_a_machine_that_slows_down() {
        // Each round is slower than the one before, but the candidate always takes 0.8 of the baseline.
        let baseline: Vec<f64> = (0..10).map(|round| 1.0 + f64::from(round) * 0.3).collect();
        let candidate: Vec<f64> = baseline.iter().map(|time| time * 0.8).collect();
        let ratio = Ratio::of_pairs(&candidate, &baseline).unwrap();
        assert!((ratio.median - 0.8).abs() < 1e-12);
        assert!(ratio.relative_half_width().unwrap() < 1e-12);
        assert_eq!(ratio.verdict(), Verdict::Less);
    }

    #[test]
    fn equal_programs_with_noise_show_no_difference() {
        let mut random = Random::new(1);
        let baseline: Vec<f64> = (0..30).map(|_| normal(&mut random, 1.0, 0.02)).collect();
        let candidate: Vec<f64> = (0..30).map(|_| normal(&mut random, 1.0, 0.02)).collect();
        assert_eq!(Ratio::of_pairs(&candidate, &baseline).unwrap().verdict(), Verdict::NoDifference);
    }

    #[test]
    fn a_slow_down_beyond_the_noise_is_more() {
        let mut random = Random::new(2);
        let baseline: Vec<f64> = (0..20).map(|_| normal(&mut random, 1.0, 0.02)).collect();
        let candidate: Vec<f64> = (0..20).map(|_| normal(&mut random, 1.1, 0.02)).collect();
        let ratio = Ratio::of_pairs(&candidate, &baseline).unwrap();
        assert_eq!(ratio.verdict(), Verdict::More);
        assert!((ratio.median - 1.1).abs() < 0.02, "{ratio:?}");
    }

    #[test]
    fn the_interval_covers_the_truth_about_as_often_as_it_says() {
        let mut random = Random::new(3);
        let trials = 400;
        let covered = (0..trials)
            .filter(|_| {
                let ratios: Vec<f64> = (0..15).map(|_| normal(&mut random, 0.7, 0.03)).collect();
                let [low, high] = Ratio::of_samples(&ratios).unwrap().interval.unwrap();
                (low..=high).contains(&0.7)
            })
            .count();
        // 95 % is the aim; the percentile bootstrap of a median is known to be a few points off it.
        assert!((360..=396).contains(&covered), "{covered} of {trials}");
    }

    #[test]
    fn one_wild_run_hardly_moves_the_median() {
        let baseline = [1.0; 9];
        let mut candidate = [0.9; 9];
        candidate[4] = 30.0;
        let ratio = Ratio::of_pairs(&candidate, &baseline).unwrap();
        assert_eq!(ratio.median, 0.9);
        assert_eq!(ratio.verdict(), Verdict::Less);
    }

    #[test]
    fn too_few_runs_give_a_ratio_without_an_interval() {
        let ratio = Ratio::of_pairs(&[2.0, 2.0], &[1.0, 1.0]).unwrap();
        assert_eq!((ratio.median, ratio.interval), (2.0, None));
        assert_eq!(ratio.verdict(), Verdict::TooFewRuns);
    }

    #[test]
    fn runs_of_no_time_at_all_make_no_ratio() {
        assert_eq!(Ratio::of_pairs(&[0.0, 0.0], &[0.0, 0.0]), None);
        assert_eq!(Ratio::of_pairs(&[0.0, 1.0], &[1.0, 2.0]).unwrap().median, 0.5);
    }

    #[test]
    fn same_samples_same_interval() {
        let mut random = Random::new(4);
        let ratios: Vec<f64> = (0..12).map(|_| normal(&mut random, 1.0, 0.1)).collect();
        assert_eq!(Ratio::of_samples(&ratios), Ratio::of_samples(&ratios));
    }

    #[test]
    fn geometric_mean_of_twice_and_half_is_one() {
        assert!((geometric_mean(&[2.0, 0.5]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(geometric_mean(&[]), None);
        assert_eq!(geometric_mean(&[1.0, 0.0]), None);
        let mean = geometric_mean_ratio(&[vec![0.5; 5], vec![0.72; 5]]).unwrap();
        assert!((mean.median - 0.6).abs() < 1e-12);
        assert_eq!(mean.verdict(), Verdict::Less);
    }

    #[test]
    fn change_against_an_earlier_run() {
        let then = [0.60, 0.61, 0.62, 0.61, 0.60];
        let slower: Vec<f64> = then.iter().map(|ratio| ratio * 1.2).collect();
        let change = change_of_ratio(&slower, &then).unwrap();
        assert!((change.median - 1.2).abs() < 1e-9);
        assert_eq!(change.verdict(), Verdict::More);
        assert_eq!(change_of_ratio(&then, &then).unwrap().verdict(), Verdict::NoDifference);
    }

    #[test]
    fn spread_of_a_normal_sample_is_its_standard_deviation() {
        let mut random = Random::new(5);
        let samples: Vec<f64> = (0..4000).map(|_| normal(&mut random, 10.0, 0.5)).collect();
        assert!((relative_spread(&samples).unwrap() - 0.05).abs() < 0.005);
        assert_eq!(relative_spread(&[2.0, 2.0, 2.0]), Some(0.0));
    }
}
