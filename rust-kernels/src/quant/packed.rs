//! The layout in which quantised weights are multiplied: panels of four rows, so that one vector
//! holds all four and no sum ever crosses lanes; two panels make a group of eight rows, whose blocks
//! alternate, so that a product reads its weight as one stream from front to back.
//!
//! A group is n_cols / 32 times block of panel 0, block of panel 1. A block is, in bytes:
//!
//! | part   | size      | content                                                          |
//! |--------|-----------|------------------------------------------------------------------|
//! | codes  | 64 or 128 | codes, and one 16-byte plane more per bit above the 4th           |
//! | scales | 8 or 16   | f16 of rows 0..4 (per 16 columns: first half's four, then second) |
//! | mins   | 8 or 0    | f16 of rows 0..4                                                 |
//!
//! Codes of 4 bits: vector j (0..4) of a block, byte 4r + i: low nibble row r, column 4j + i; high
//! nibble column 16 + 4j + i. Read as u16 lanes, four shifts and masks give four operands of
//! `i32x4.dot_i16x8` whose pairs are columns (4j, 4j+2), (16+4j, 18+4j), (4j+1, 4j+3),
//! (17+4j, 19+4j). A plane's u16 lane L has at bit 2j + h the next bit of lane L's lower byte of
//! vector j, low (h = 0) or high nibble (h = 1), and at bit 8 + 2j + h that of its upper byte: one
//! shift and mask serve u16 lanes and bytes alike. Codes of 8 bits: vector j (0..8), byte 4r + i:
//! row r, column 4j + i.
//!
//! A code is unsigned with a constant `offset` (weight = scale (code - offset)), unsigned with a
//! minimum (weight = scale code + min), or signed.
use super::TensorType;
use super::codes::unpack_codes;
use super::f16::{f16_to_f32, f32_to_f16};

/// Columns of a block of the packed layout.
pub const BLOCK: usize = 32;

/// How a tensor type is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Bytes of codes and planes of one block, four rows.
    pub code_bytes: usize,
    /// Planes above the low four bits.
    pub n_planes: usize,
    /// Subtracted from each code.
    pub offset: i32,
    /// A scale per 16 columns instead of 32.
    pub per_16: bool,
    /// Whether a minimum per block follows.
    pub has_min: bool,
    /// Codes are indices into [`IQ4_NL_VALUES`].
    pub is_lookup: bool,
}

/// The values that IQ4_NL's nibbles stand for.
pub const IQ4_NL_VALUES: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// How `ty` is packed, or `None` when it is multiplied in f32 from its GGUF blocks.
pub fn packing(ty: TensorType) -> Option<Packing> {
    let four = Packing {
        code_bytes: 64,
        n_planes: 0,
        offset: 0,
        per_16: false,
        has_min: false,
        is_lookup: false,
    };
    let five = Packing { code_bytes: 80, n_planes: 1, ..four };
    match ty {
        TensorType::Q4_0 => Some(Packing { offset: 8, ..four }),
        TensorType::Q4_1 | TensorType::Q4_K => Some(Packing { has_min: true, ..four }),
        TensorType::Q5_0 => Some(Packing { offset: 16, ..five }),
        TensorType::Q5_1 | TensorType::Q5_K => Some(Packing { has_min: true, ..five }),
        TensorType::Q6_K => {
            Some(Packing { code_bytes: 96, n_planes: 2, offset: 32, per_16: true, ..four })
        }
        TensorType::Q8_0 => Some(Packing { code_bytes: 128, ..four }),
        TensorType::IQ4_NL => Some(Packing { is_lookup: true, ..four }),
        _ => None,
    }
}

impl Packing {
    /// f16 scales of one block, four rows.
    pub fn n_scales(&self) -> usize {
        if self.per_16 { 8 } else { 4 }
    }

    /// Bytes of one block of a panel.
    pub fn block_bytes(&self) -> usize {
        self.code_bytes + 2 * self.n_scales() + if self.has_min { 8 } else { 0 }
    }

    /// Bytes of a group of eight rows of `n_blocks` blocks.
    pub fn group_bytes(&self, n_blocks: usize) -> usize {
        2 * n_blocks * self.block_bytes()
    }
}

/// Rows of a group.
pub const GROUP_ROWS: usize = 8;

/// Bytes that a matrix takes: packed where possible, else its GGUF blocks.
pub fn weight_bytes(ty: TensorType, n_rows: usize, n_cols: usize) -> usize {
    match packing(ty) {
        Some(p) => n_rows.div_ceil(GROUP_ROWS) * p.group_bytes(n_cols / BLOCK),
        None => n_rows * ty.row_bytes(n_cols),
    }
}

/// Scratch for [`pack_group`], in f32 elements.
pub fn pack_scratch_len(n_cols: usize) -> usize {
    n_cols + 2 * (n_cols / 16)
}

/// Packs up to eight rows of GGUF blocks into `group`; missing rows become zeros.
pub fn pack_group(
    ty: TensorType,
    p: Packing,
    group: &mut [u8],
    rows: &[u8],
    n_cols: usize,
    scratch: &mut [f32],
) {
    if rows.len() < GROUP_ROWS * ty.row_bytes(n_cols) {
        group.fill(0);
    }
    match ty {
        TensorType::Q4_0 | TensorType::IQ4_NL => pack_words::<18, 2, 72>(group, rows, n_cols),
        TensorType::Q4_1 => pack_words::<20, 4, 80>(group, rows, n_cols),
        TensorType::Q8_0 => pack_words::<34, 2, 136>(group, rows, n_cols),
        _ => pack_codes(ty, p, group, rows, n_cols, scratch),
    }
}

/// Types whose blocks have the codes of four rows' columns in the order of the packed layout already:
/// their words of four bytes only change places. `SOURCE` and `PACKED`: bytes of a block, `HEAD`: of
/// its scale and minimum.
fn pack_words<const SOURCE: usize, const HEAD: usize, const PACKED: usize>(
    group: &mut [u8],
    rows: &[u8],
    n_cols: usize,
) {
    let code_bytes = 4 * (SOURCE - HEAD);
    for (row, blocks) in rows.chunks_exact(n_cols / BLOCK * SOURCE).enumerate() {
        let (panel, r) = (row / 4, row % 4);
        let own = group.as_chunks_mut::<PACKED>().0.iter_mut().skip(panel).step_by(2);
        for (block, source) in own.zip(blocks.as_chunks::<SOURCE>().0) {
            for (j, word) in source[HEAD..].as_chunks::<4>().0.iter().enumerate() {
                block[16 * j + 4 * r..][..4].copy_from_slice(word);
            }
            for (i, half) in source[..HEAD].as_chunks::<2>().0.iter().enumerate() {
                block[code_bytes + 8 * i + 2 * r..][..2].copy_from_slice(half);
            }
        }
    }
}

fn pack_codes(
    ty: TensorType,
    p: Packing,
    group: &mut [u8],
    rows: &[u8],
    n_cols: usize,
    scratch: &mut [f32],
) {
    let per_block = if p.per_16 { 2 } else { 1 };
    let n_scales = n_cols / BLOCK * per_block;
    let mins_at = p.code_bytes + 2 * p.n_scales();
    let (codes, rest) = scratch.split_at_mut(n_cols / 4);
    let (scales, mins) = rest.split_at_mut(n_cols / 16);
    let codes = bytes_of(codes);
    for (row, blocks) in rows.chunks_exact(ty.row_bytes(n_cols)).enumerate() {
        let (panel, r) = (row / 4, row % 4);
        unpack_codes(
            ty,
            blocks,
            &mut codes[..n_cols],
            &mut scales[..n_scales],
            &mut mins[..n_scales],
        );
        let own = group.chunks_exact_mut(p.block_bytes()).skip(panel).step_by(2);
        for (b, block) in own.enumerate() {
            put_codes(p, block, r, &codes[b * BLOCK..(b + 1) * BLOCK]);
            for half in 0..per_block {
                put_f16(block, p.code_bytes + 2 * (4 * half + r), scales[b * per_block + half]);
            }
            if p.has_min {
                put_f16(block, mins_at + 2 * r, mins[b]);
            }
        }
    }
}

fn put_f16(block: &mut [u8], at: usize, x: f32) {
    block[at..at + 2].copy_from_slice(&f32_to_f16(x).to_le_bytes());
}

fn bytes_of(cells: &mut [f32]) -> &mut [u8] {
    crate::abi::as_bytes_mut(cells)
}

/// Row `r`'s 32 codes into a block, four columns at a time: their bytes are neighbours there too.
fn put_codes(p: Packing, block: &mut [u8], r: usize, codes: &[u8]) {
    if p.code_bytes == 128 {
        for (j, four) in codes.chunks_exact(4).enumerate() {
            block[16 * j + 4 * r..][..4].copy_from_slice(four);
        }
        return;
    }
    // Columns 4w to 4w + 3: vector w % 4, in the high nibbles from 16 on.
    let mut words = [0u32; BLOCK / 4];
    for (word, four) in words.iter_mut().zip(codes.chunks_exact(4)) {
        let mut bytes = [four[0], four[1], four[2], four[3]];
        if p.is_lookup {
            bytes = bytes.map(|code| lookup_index(code as i8));
        }
        *word = u32::from_le_bytes(bytes);
    }
    let mut put = |at: usize, word: u32| {
        block[at + 4 * r..][..4].copy_from_slice(&word.to_le_bytes());
    };
    for j in 0..4 {
        let [low, high] = [words[j], words[4 + j]].map(|word| word & 0x0f0f_0f0f);
        put(16 * j, low | high << 4);
    }
    for plane in 0..p.n_planes {
        let bits = words.iter().enumerate().map(|(w, word)| {
            let (j, half) = (w % 4, w / 4);
            ((word >> (4 + plane)) & 0x0101_0101) << (2 * j + half)
        });
        put(64 + 16 * plane, bits.fold(0, |all, own| all | own));
    }
}

/// Lane and bit of row `r`, column `k` in a plane.
fn plane_cell(r: usize, k: usize) -> (usize, usize) {
    let (j, i, is_high) = ((k % 16) / 4, k % 4, k >= 16);
    (2 * r + i / 2, 8 * (i % 2) + 2 * j + usize::from(is_high))
}

/// Row `row` (0..8) of a group as f32[n_cols].
pub fn unpack_row(p: Packing, group: &[u8], row: usize, out: &mut [f32]) {
    let (panel, r) = (row / 4, row % 4);
    let mins_at = p.code_bytes + 2 * p.n_scales();
    let own = group.chunks_exact(p.block_bytes()).skip(panel).step_by(2);
    for (block, out) in own.zip(out.chunks_exact_mut(BLOCK)) {
        let half_at = |at: usize| f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]));
        let min = if p.has_min { half_at(mins_at + 2 * r) } else { 0.0 };
        for (k, out) in out.iter_mut().enumerate() {
            let half = if p.per_16 { k / 16 } else { 0 };
            let code = code_at(p, block, r, k) - p.offset;
            *out = half_at(p.code_bytes + 2 * (4 * half + r)) * code as f32 + min;
        }
    }
}

/// The code of row `r`, column `k` of a block.
fn code_at(p: Packing, block: &[u8], r: usize, k: usize) -> i32 {
    if p.code_bytes == 128 {
        return i32::from(block[16 * (k / 4) + 4 * r + k % 4] as i8);
    }
    let (j, i, is_high) = ((k % 16) / 4, k % 4, k >= 16);
    let byte = block[16 * j + 4 * r + i];
    let mut code = if is_high { byte >> 4 } else { byte & 15 };
    if p.is_lookup {
        return i32::from(IQ4_NL_VALUES[usize::from(code)]);
    }
    let (lane, bit) = plane_cell(r, k);
    for plane in 0..p.n_planes {
        code |= ((block[64 + 16 * plane + 2 * lane + bit / 8] >> (bit % 8)) & 1) << (4 + plane);
    }
    i32::from(code)
}

fn lookup_index(value: i8) -> u8 {
    IQ4_NL_VALUES.iter().position(|&v| v == value).unwrap_or(0) as u8
}
