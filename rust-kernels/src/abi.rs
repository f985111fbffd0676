//! Offsets into linear memory to slices: the only place that trusts the caller.
//!
//! JavaScript owns the arena. It passes byte offsets and element counts that it allocated itself,
//! aligned for the element type, and never overlapping where one side is written.

/// Views `len` elements at byte offset `ptr`.
///
/// # Safety
/// `ptr` is aligned for `T`, the range lies inside the arena, and nothing writes it meanwhile.
pub(crate) unsafe fn slice<'a, T>(ptr: u32, len: usize) -> &'a [T] {
    debug_assert!(ptr as usize % align_of::<T>() == 0);
    // SAFETY: the caller's promise, passed on.
    unsafe { core::slice::from_raw_parts(ptr as usize as *const T, len) }
}

/// Views `len` elements at byte offset `ptr` for writing.
///
/// # Safety
/// As for [`slice`], and no other slice of this call overlaps the range.
pub(crate) unsafe fn slice_mut<'a, T>(ptr: u32, len: usize) -> &'a mut [T] {
    debug_assert!(ptr as usize % align_of::<T>() == 0);
    // SAFETY: the caller's promise, passed on.
    unsafe { core::slice::from_raw_parts_mut(ptr as usize as *mut T, len) }
}

/// The bytes of a slice of f32: scratch given as f32 serves for codes too.
pub(crate) fn as_bytes_mut(cells: &mut [f32]) -> &mut [u8] {
    // SAFETY: every byte of an f32 is initialised, any byte is a valid f32 part, u8 needs no alignment.
    unsafe { core::slice::from_raw_parts_mut(cells.as_mut_ptr().cast(), 4 * cells.len()) }
}

/// The bytes of a slice of f32.
pub(crate) fn as_bytes(cells: &[f32]) -> &[u8] {
    // SAFETY: every byte of an f32 is initialised, and u8 needs no alignment.
    unsafe { core::slice::from_raw_parts(cells.as_ptr().cast(), 4 * cells.len()) }
}
