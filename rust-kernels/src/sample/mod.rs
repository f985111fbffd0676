//! What sampling needs of a row of logits.

pub mod arg_max;
pub mod softmax;
pub mod top_k;
