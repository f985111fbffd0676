//! Block formats of GGUF: bytes of one row to f32, or to integer codes and scales.
//!
//! Arithmetic is f32 in the order of ggml's reference, so results are equal to its bit for bit.

pub mod codes;
pub mod f16;
pub mod iq4_nl;
pub mod iq4_xs;
mod nibbles;
pub mod packed;
pub mod q2_k;
pub mod q3_k;
pub mod q4_0;
pub mod q4_1;
pub mod q4_k;
pub mod q5_0;
pub mod q5_1;
pub mod q5_k;
pub mod q6_k;
pub mod q8_0;

/// How the bytes of a tensor stand for numbers; the values are ggml's type ids.
#[allow(missing_docs, non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TensorType {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    IQ4_NL = 20,
    IQ4_XS = 23,
    BF16 = 30,
}

impl TensorType {
    /// The types that the kernels read.
    pub const ALL: [TensorType; 15] = {
        use TensorType::*;
        [F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, BF16]
    };

    /// The type with ggml's number `id`.
    pub fn from_id(id: u32) -> Option<TensorType> {
        Self::ALL.into_iter().find(|ty| *ty as u32 == id)
    }

    /// Weights in one block.
    pub const fn block_size(self) -> usize {
        use TensorType::*;
        match self {
            F32 | F16 | BF16 => 1,
            Q4_0 | Q4_1 | Q5_0 | Q5_1 | Q8_0 | IQ4_NL => 32,
            Q2_K | Q3_K | Q4_K | Q5_K | Q6_K | IQ4_XS => 256,
        }
    }

    /// Bytes of one block.
    pub const fn block_bytes(self) -> usize {
        use TensorType::*;
        match self {
            F32 => 4,
            F16 | BF16 => 2,
            Q4_0 => q4_0::BLOCK_BYTES,
            Q4_1 => q4_1::BLOCK_BYTES,
            Q5_0 => q5_0::BLOCK_BYTES,
            Q5_1 => q5_1::BLOCK_BYTES,
            Q8_0 => q8_0::BLOCK_BYTES,
            Q2_K => q2_k::BLOCK_BYTES,
            Q3_K => q3_k::BLOCK_BYTES,
            Q4_K => q4_k::BLOCK_BYTES,
            Q5_K => q5_k::BLOCK_BYTES,
            Q6_K => q6_k::BLOCK_BYTES,
            IQ4_NL => iq4_nl::BLOCK_BYTES,
            IQ4_XS => iq4_xs::BLOCK_BYTES,
        }
    }

    /// Bytes of a row of `n` weights, `n` a multiple of the block size.
    pub const fn row_bytes(self, n: usize) -> usize {
        n / self.block_size() * self.block_bytes()
    }
}

/// Blocks of one row, or of several rows that lie one after the other, to f32 `[n]`.
pub fn dequantize_row(ty: TensorType, blocks: &[u8], out: &mut [f32]) {
    debug_assert_eq!(blocks.len(), ty.row_bytes(out.len()));
    let dequantize = match ty {
        TensorType::F32 => dequantize_f32,
        TensorType::F16 => f16::dequantize_f16,
        TensorType::BF16 => f16::dequantize_bf16,
        TensorType::Q4_0 => q4_0::dequantize,
        TensorType::Q4_1 => q4_1::dequantize,
        TensorType::Q5_0 => q5_0::dequantize,
        TensorType::Q5_1 => q5_1::dequantize,
        TensorType::Q8_0 => q8_0::dequantize,
        TensorType::Q2_K => q2_k::dequantize,
        TensorType::Q3_K => q3_k::dequantize,
        TensorType::Q4_K => q4_k::dequantize,
        TensorType::Q5_K => q5_k::dequantize,
        TensorType::Q6_K => q6_k::dequantize,
        TensorType::IQ4_NL => iq4_nl::dequantize,
        TensorType::IQ4_XS => iq4_xs::dequantize,
    };
    dequantize(blocks, out);
}

fn dequantize_f32(blocks: &[u8], out: &mut [f32]) {
    for (out, &block) in out.iter_mut().zip(blocks.as_chunks::<4>().0) {
        *out = f32::from_le_bytes(block);
    }
}
