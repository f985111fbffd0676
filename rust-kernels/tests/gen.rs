//! Seeded random inputs (SplitMix64); included as a module by the other tests.
#![allow(dead_code)]

/// A generator whose sequence depends on the seed alone.
pub struct Gen(u64);

impl Gen {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.u64() % bound as u64) as usize
    }

    /// In `low..high`.
    pub fn f32(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.u64() >> 40) as f32 / (1u64 << 24) as f32)
    }

    pub fn f32s(&mut self, n: usize, low: f32, high: f32) -> Vec<f32> {
        (0..n).map(|_| self.f32(low, high)).collect()
    }

    /// Scores with what selection trips over: ties, zeros of both signs, infinities, NaN.
    pub fn hard_scores(&mut self, n: usize) -> Vec<f32> {
        const SPECIAL: [f32; 6] =
            [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MIN_POSITIVE];
        (0..n)
            .map(|_| match self.below(4) {
                0 => SPECIAL[self.below(SPECIAL.len())],
                1 => self.below(5) as f32 - 2.0,
                2 => -f32::NAN,
                _ => self.f32(-1.0, 1.0),
            })
            .collect()
    }
}
