//! Lanes as arrays.

/// Four f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct F32x4([f32; 4]);

/// Four i32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I32x4([i32; 4]);

/// Eight i16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I16x8([i16; 8]);

#[allow(missing_docs)] // lanes/simd128.rs documents the same operations
impl F32x4 {
    #[inline(always)]
    pub fn splat(x: f32) -> Self {
        Self([x; 4])
    }
    #[inline(always)]
    pub fn new(x: [f32; 4]) -> Self {
        Self(x)
    }
    #[inline(always)]
    pub fn load(s: &[f32], at: usize) -> Self {
        Self([s[at], s[at + 1], s[at + 2], s[at + 3]])
    }
    #[inline(always)]
    pub fn load_f16(s: &[u16], at: usize) -> Self {
        Self(core::array::from_fn(|i| {
            let h = i32::from(s[at + i] as i16);
            f32::from_bits(((h << 13) as u32) & 0x8fff_e000) * F16_SCALE
        }))
    }
    #[inline(always)]
    pub fn load_f16_bytes(s: &[u8], at: usize) -> Self {
        let h: [u16; 4] =
            core::array::from_fn(|i| u16::from_le_bytes([s[at + 2 * i], s[at + 2 * i + 1]]));
        Self::load_f16(&h, 0)
    }
    #[inline(always)]
    pub fn load_bytes(s: &[u8], at: usize) -> Self {
        Self(core::array::from_fn(|i| {
            f32::from_le_bytes(core::array::from_fn(|j| s[at + 4 * i + j]))
        }))
    }
    #[inline(always)]
    pub fn store_bytes(self, s: &mut [u8], at: usize) {
        for (i, x) in self.0.into_iter().enumerate() {
            s[at + 4 * i..at + 4 * i + 4].copy_from_slice(&x.to_le_bytes());
        }
    }
    #[inline(always)]
    pub fn spread(self) -> [Self; 4] {
        self.0.map(Self::splat)
    }
    #[inline(always)]
    pub fn store(self, s: &mut [f32], at: usize) {
        s[at..at + 4].copy_from_slice(&self.0);
    }
    #[inline(always)]
    pub fn add(self, o: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] + o.0[i]))
    }
    #[inline(always)]
    pub fn sub(self, o: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] - o.0[i]))
    }
    #[inline(always)]
    pub fn mul(self, o: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] * o.0[i]))
    }
    #[inline(always)]
    pub fn div(self, o: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] / o.0[i]))
    }
    #[inline(always)]
    pub fn max(self, o: Self) -> Self {
        Self(core::array::from_fn(|i| if self.0[i] < o.0[i] { o.0[i] } else { self.0[i] }))
    }
    #[inline(always)]
    pub fn min(self, o: Self) -> Self {
        Self(core::array::from_fn(|i| if o.0[i] < self.0[i] { o.0[i] } else { self.0[i] }))
    }
    #[inline(always)]
    pub fn abs(self) -> Self {
        Self(self.0.map(f32::abs))
    }
    #[inline(always)]
    pub fn mul_add(self, b: Self, c: Self) -> Self {
        self.mul(b).add(c)
    }
    #[inline(always)]
    pub fn round_even(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }
    #[inline(always)]
    pub fn sum(self) -> f32 {
        (self.0[0] + self.0[2]) + (self.0[1] + self.0[3])
    }
    #[inline(always)]
    pub fn max_lane(self) -> f32 {
        let m = |a: f32, b: f32| if a < b { b } else { a };
        m(m(self.0[0], self.0[2]), m(self.0[1], self.0[3]))
    }
    #[inline(always)]
    pub fn to_i32(self) -> I32x4 {
        I32x4(self.0.map(|x| x as i32))
    }
    #[inline(always)]
    pub fn bits(self) -> I32x4 {
        I32x4(self.0.map(|x| x.to_bits() as i32))
    }
    #[inline(always)]
    pub fn lanes(self) -> [f32; 4] {
        self.0
    }
    #[inline(always)]
    pub fn transpose(r: [Self; 4]) -> [Self; 4] {
        core::array::from_fn(|i| Self(core::array::from_fn(|j| r[j].0[i])))
    }
}

/// 2^112: the exponent that a shifted f16 lacks as an f32.
const F16_SCALE: f32 = 5.192_296_858_534_828e33;

#[allow(missing_docs)]
impl I32x4 {
    #[inline(always)]
    pub fn splat(x: i32) -> Self {
        Self([x; 4])
    }
    #[inline(always)]
    pub fn load(s: &[i32], at: usize) -> Self {
        Self([s[at], s[at + 1], s[at + 2], s[at + 3]])
    }
    #[inline(always)]
    pub fn add(self, o: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i].wrapping_add(o.0[i])))
    }
    #[inline(always)]
    pub fn sub(self, o: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i].wrapping_sub(o.0[i])))
    }
    #[inline(always)]
    pub fn shl(self, n: u32) -> Self {
        Self(self.0.map(|x| x << n))
    }
    #[inline(always)]
    pub fn sum(self) -> i32 {
        self.0.iter().sum()
    }
    #[inline(always)]
    pub fn to_f32(self) -> F32x4 {
        F32x4(self.0.map(|x| x as f32))
    }
    #[inline(always)]
    pub fn transpose(r: [Self; 4]) -> [Self; 4] {
        core::array::from_fn(|i| Self(core::array::from_fn(|j| r[j].0[i])))
    }
    #[inline(always)]
    pub fn as_f32_bits(self) -> F32x4 {
        F32x4(self.0.map(|x| f32::from_bits(x as u32)))
    }
    #[inline(always)]
    pub fn lanes(self) -> [i32; 4] {
        self.0
    }
}

#[allow(missing_docs)]
impl I16x8 {
    #[inline(always)]
    pub fn splat(x: i16) -> Self {
        Self([x; 8])
    }
    #[inline(always)]
    pub fn load(s: &[u8], at: usize) -> Self {
        Self(core::array::from_fn(|i| i16::from_le_bytes([s[at + 2 * i], s[at + 2 * i + 1]])))
    }
    #[inline(always)]
    pub fn load_bytes(s: &[u8], at: usize) -> Self {
        Self(core::array::from_fn(|i| i16::from(s[at + i] as i8)))
    }
    #[inline(always)]
    pub fn store(self, s: &mut [u8], at: usize) {
        for (i, x) in self.0.into_iter().enumerate() {
            s[at + 2 * i..at + 2 * i + 2].copy_from_slice(&x.to_le_bytes());
        }
    }
    #[inline(always)]
    pub fn interleave(a: Self, b: Self) -> [Self; 2] {
        [0, 4].map(|half| {
            Self(core::array::from_fn(|i| {
                if i % 2 == 0 { a.0[half + i / 2] } else { b.0[half + i / 2] }
            }))
        })
    }
    #[inline(always)]
    pub fn transpose_pairs(r: [Self; 4]) -> [Self; 4] {
        core::array::from_fn(|p| Self(core::array::from_fn(|i| r[i / 2].0[2 * p + i % 2])))
    }
    #[inline(always)]
    pub fn spread(self) -> [Self; 4] {
        core::array::from_fn(|p| Self(core::array::from_fn(|i| self.0[2 * p + i % 2])))
    }
    #[inline(always)]
    pub fn load_pair(s: &[u8], at: usize) -> Self {
        let pair = [0, 2].map(|i| i16::from_le_bytes([s[at + i], s[at + i + 1]]));
        Self(core::array::from_fn(|i| pair[i & 1]))
    }
    #[inline(always)]
    pub fn add(self, o: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i].wrapping_add(o.0[i])))
    }
    #[inline(always)]
    pub fn and(self, o: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] & o.0[i]))
    }
    #[inline(always)]
    pub fn or(self, o: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] | o.0[i]))
    }
    #[inline(always)]
    pub fn shl(self, n: u32) -> Self {
        Self(self.0.map(|x| x << n))
    }
    #[inline(always)]
    pub fn shr_u(self, n: u32) -> Self {
        Self(self.0.map(|x| ((x as u16) >> n) as i16))
    }
    #[inline(always)]
    pub fn shr_s(self, n: u32) -> Self {
        Self(self.0.map(|x| x >> n))
    }
    #[inline(always)]
    pub fn dot(self, o: Self) -> I32x4 {
        let p = |i: usize| i32::from(self.0[i]) * i32::from(o.0[i]);
        I32x4(core::array::from_fn(|i| p(2 * i).wrapping_add(p(2 * i + 1))))
    }
    #[inline(always)]
    pub fn narrow(a: I32x4, b: I32x4) -> Self {
        Self(core::array::from_fn(|i| if i < 4 { a.0[i] } else { b.0[i - 4] } as i16))
    }
    #[inline(always)]
    pub fn swap_middle(self) -> Self {
        let x = self.0;
        Self([x[0], x[2], x[1], x[3], x[4], x[6], x[5], x[7]])
    }
    #[inline(always)]
    pub fn words(self) -> [u32; 4] {
        let x = self.0;
        core::array::from_fn(|i| u32::from(x[2 * i] as u16) | u32::from(x[2 * i + 1] as u16) << 16)
    }
    /// Looks each byte (0..16) of the vector up in `table`.
    #[inline(always)]
    pub fn lookup(self, table: &[i8; 16]) -> Self {
        let at = |b: u8| table[usize::from(b & 15)] as u8;
        Self(self.0.map(|x| {
            let [lo, hi] = x.to_le_bytes();
            i16::from_le_bytes([at(lo), at(hi)])
        }))
    }
}

/// Sixteen i8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I8x16([i8; 16]);

#[allow(missing_docs)]
impl I8x16 {
    #[inline(always)]
    pub fn of(v: I16x8) -> Self {
        let byte = |i: usize| v.0[i / 2].to_le_bytes()[i % 2] as i8;
        Self(core::array::from_fn(byte))
    }
    #[inline(always)]
    pub fn narrow(a: I16x8, b: I16x8) -> Self {
        Self(core::array::from_fn(|i| if i < 8 { a.0[i] } else { b.0[i - 8] } as i8))
    }
    #[inline(always)]
    pub fn words(self) -> [u32; 4] {
        core::array::from_fn(|i| {
            u32::from_le_bytes(core::array::from_fn(|j| self.0[4 * i + j] as u8))
        })
    }
    #[inline(always)]
    pub fn relaxed_dot(self, codes: I16x8) -> I16x8 {
        I16x8(core::array::from_fn(|i| {
            let codes = codes.0[i].to_le_bytes();
            let p = |j: usize| i16::from(self.0[2 * i + j]) * i16::from(codes[j] as i8);
            p(0).wrapping_add(p(1))
        }))
    }
}
