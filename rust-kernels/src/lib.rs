//! Kernels of kvasir: quantised matrix products, attention over ragged cache rows, scoring and
//! selection. JavaScript owns the memory; every export takes byte offsets and counts.
//!
//! Results are the same bits in every runtime: floating-point sums have one fixed order, products
//! are never fused, and integer dot products are exact.
#![deny(unsafe_op_in_unsafe_fn, unreachable_pub, missing_docs, clippy::undocumented_unsafe_blocks)]

mod abi;
pub mod cache_rows;
pub mod exports;
pub mod lanes;
pub mod math;
pub mod ops;
pub mod quant;
pub mod sample;
pub mod select;
pub mod stats;
