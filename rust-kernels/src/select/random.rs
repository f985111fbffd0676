//! Scores by chance: what any method must beat.

/// Uniform scores in `[0, 1)`, multiples of 2^-24: SplitMix64 (Steele, Lea and Flood 2014) from the
/// state `seed * 2^32 + stream`.
pub fn random_scores(seed: u32, stream: u32, out: &mut [f32]) {
    let mut state = u64::from(seed) << 32 | u64::from(stream);
    for out in out {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        *out = ((z ^ z >> 31) >> 40) as f32 / (1u32 << 24) as f32;
    }
}
