// SPDX-License-Identifier: Apache-2.0
//! Where a run's decisions come from: a seed, or a list that an exhaustive search goes through.

/// The source of all decisions of one run. The same source gives the same run.
#[derive(Debug)]
pub enum Choices {
    /// Pseudo-random numbers (`SplitMix64`) from a seed.
    Seeded(u64),
    /// The given decisions first, then always the first alternative.
    Listed {
        /// The decisions to take.
        prefix: Vec<usize>,
        /// The decisions taken so far, each with the number of its alternatives.
        taken: Vec<(usize, usize)>,
    },
}

impl Choices {
    /// Decisions from a seed.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Decisions from a list.
    pub fn listed(prefix: Vec<usize>) -> Self {
        Self::Listed { prefix, taken: Vec::new() }
    }

    /// A number below `bound`, which is at least 1. Where there is one alternative, nothing is decided.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound <= 1 {
            return 0;
        }
        match self {
            Self::Seeded(state) => {
                let bound = u64::try_from(bound).unwrap_or(u64::MAX);
                usize::try_from(next(state) % bound).unwrap_or(0)
            }
            Self::Listed { prefix, taken } => {
                let chosen = prefix.get(taken.len()).copied().unwrap_or(0);
                taken.push((chosen, bound));
                chosen
            }
        }
    }

    /// A number from `from` to `to`, both included.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        let bound = usize::try_from(to - from + 1).unwrap_or(1);
        from + i64::try_from(self.below(bound)).unwrap_or(0)
    }

    /// `true` with a probability of `percent` in a hundred.
    pub fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
