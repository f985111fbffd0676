//! The k largest logits: a heap of the best so far, and a gate of 16 comparisons that most blocks
//! of logits do not pass.

use crate::select::order_key;

/// Writes the indices of the `heap.len()` largest of `logits[n]` to `tokens`, by descending logit,
/// ties to the lower index; NaN is lowest and -0 equals +0. Not more than n.
///
/// `heap` and `tokens` are `[k]`, `k <= n`; `heap` is scratch.
pub fn top_k(logits: &[f32], heap: &mut [u64], tokens: &mut [u32]) {
    debug_assert!(heap.len() <= logits.len() && heap.len() == tokens.len());
    let k = heap.len();
    if k == 0 {
        return;
    }
    for (index, entry) in heap.iter_mut().enumerate() {
        *entry = entry_of(logits[index], index);
    }
    for root in (0..k / 2).rev() {
        sift(heap, root);
    }
    let (blocks, tail) = logits[k..].as_chunks::<16>();
    let mut gate = worst(logits, heap);
    for (i, block) in blocks.iter().enumerate() {
        // While the worst is NaN, no number compares as greater, yet all are.
        if block.iter().fold(gate.is_nan(), |any, &logit| any | (logit > gate)) {
            offer(heap, block, k + 16 * i);
            gate = worst(logits, heap);
        }
    }
    offer(heap, tail, k + 16 * blocks.len());
    sort_descending(heap);
    for (token, &entry) in tokens.iter_mut().zip(heap.iter()) {
        *token = token_of(entry);
    }
}

/// Larger is better: the logit's key above, the complement of the index below.
#[inline(always)]
fn entry_of(logit: f32, index: usize) -> u64 {
    u64::from(order_key(logit)) << 32 | u64::from(!(index as u32))
}

#[inline(always)]
fn token_of(entry: u64) -> u32 {
    !(entry as u32)
}

/// The logit at the heap's root.
fn worst(logits: &[f32], heap: &[u64]) -> f32 {
    logits[token_of(heap[0]) as usize]
}

fn offer(heap: &mut [u64], logits: &[f32], first_index: usize) {
    for (i, &logit) in logits.iter().enumerate() {
        let entry = entry_of(logit, first_index + i);
        if entry > heap[0] {
            heap[0] = entry;
            sift(heap, 0);
        }
    }
}

/// Moves the entry at `parent` down until no child is smaller.
fn sift(heap: &mut [u64], mut parent: usize) {
    loop {
        let mut child = 2 * parent + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && heap[child + 1] < heap[child] {
            child += 1;
        }
        if heap[parent] <= heap[child] {
            return;
        }
        heap.swap(parent, child);
        parent = child;
    }
}

/// The second half of heapsort: the smallest goes to the end.
fn sort_descending(heap: &mut [u64]) {
    for end in (1..heap.len()).rev() {
        heap.swap(0, end);
        sift(&mut heap[..end], 0);
    }
}
