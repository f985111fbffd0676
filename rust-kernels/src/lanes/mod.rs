//! Four f32 or eight i16 at a time. `simd128` holds the intrinsics, `scalar` the same operations on
//! arrays, so that tests on the host run the algorithms as they are.
//!
//! Every operation is exact or correctly rounded and the same on both: `mul_add` is a product and a
//! sum, never fused; `sum` adds (0 + 2) + (1 + 3).

#[cfg(not(target_feature = "simd128"))]
mod scalar;
#[cfg(not(target_feature = "simd128"))]
pub use scalar::{F32x4, I8x16, I16x8, I32x4};

#[cfg(target_feature = "simd128")]
mod simd128;
#[cfg(target_feature = "simd128")]
pub use simd128::{F32x4, I8x16, I16x8, I32x4};
