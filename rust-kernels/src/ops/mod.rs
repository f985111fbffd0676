//! One operation per file, safe functions over slices.

pub mod attend;
pub mod block_dot;
pub mod gate;
pub mod mat_mul;
pub mod mat_mul_f32;
mod mat_mul_tiles;
mod mat_vec;
pub mod measure;
pub mod quantize;
pub mod rms_norm;
pub mod rope;
