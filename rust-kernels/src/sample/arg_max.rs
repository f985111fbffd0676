//! Index of the largest logit.

use crate::lanes::F32x4;

/// The largest of `x`, NaN passed over; -infinity when there is none.
pub(super) fn max(x: &[f32]) -> f32 {
    let (blocks, tail) = x.as_chunks::<16>();
    let mut lanes = [F32x4::splat(f32::NEG_INFINITY); 4];
    for block in blocks {
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = lane.max(F32x4::load(block, 4 * i));
        }
    }
    let best = lanes[0].max(lanes[1]).max(lanes[2].max(lanes[3])).max_lane();
    tail.iter().fold(best, |best, &x| if best < x { x } else { best })
}

/// The first index of the largest of `x`; NaN never wins, and 0 when all are NaN.
pub fn arg_max(x: &[f32]) -> usize {
    let best = max(x);
    let (blocks, _) = x.as_chunks::<16>();
    let holds_best = |block: &[f32; 16]| block.iter().fold(false, |found, &x| found | (x == best));
    let start = 16 * blocks.iter().position(holds_best).unwrap_or(blocks.len());
    x[start..].iter().position(|&x| x == best).map_or(0, |i| start + i)
}
