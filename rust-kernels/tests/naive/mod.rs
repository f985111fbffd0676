//! The operations as plain loops, in f64 or by a full sort.
#![allow(dead_code)]

pub mod pool;
pub mod sample;
pub mod select;
pub mod stats;
