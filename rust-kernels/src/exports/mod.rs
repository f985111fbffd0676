//! What JavaScript calls: plain numbers in, slices to the safe kernels.
