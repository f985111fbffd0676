//! What JavaScript calls: plain numbers in, slices to the safe kernels.

pub mod allocate;
pub mod engine;
pub mod measure;
pub mod quant;
pub mod rope;
pub mod rows;
pub mod sample;
pub mod select;
pub mod stats;
