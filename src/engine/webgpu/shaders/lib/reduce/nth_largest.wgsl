// nth_largest: a bound on pairs (ordered bits, complement of the index) that the n largest reach: the
// larger f32 and then the lower index comes first. For a workgroup of 256 and a binding `keys`.

const BINS = 256u;

var<workgroup> counts: array<atomic<u32>, 256>;
var<workgroup> digit_of_nth: vec3u; // digit, rank among the keys with it, number of them

fn is_less(a: vec2u, b: vec2u) -> bool {
  return a.x < b.x || (a.x == b.x && a.y < b.y);
}

// keys[first .. first + n_keys] that are not less are the `wanted` largest: all of them where there are
// no more. Digit after digit, the highest first. In uniform control flow, with equal arguments.
fn nth_largest(lane: u32, first: u32, n_keys: u32, wanted: u32) -> vec2u {
  var known = vec2u(0u);
  var is_known = vec2u(0u); // bits
  var rank = wanted;
  for (var digit = 0u; digit < 8u && n_keys > wanted; digit++) {
    let shift = 24u - 8u * (digit & 3u);
    let is_low = digit >= 4u;
    atomicStore(&counts[lane], 0u);
    workgroupBarrier();
    count_digits(lane, first, n_keys, known, is_known, shift, is_low);
    workgroupBarrier();
    let own = atomicLoad(&counts[lane]);
    if (own > 0u) {
      var n_above = 0u;
      for (var bin = lane + 1u; bin < BINS; bin++) {
        n_above += atomicLoad(&counts[bin]);
      }
      if (n_above < rank && n_above + own >= rank) {
        digit_of_nth = vec3u(lane, rank - n_above, own);
      }
    }
    let found = workgroupUniformLoad(&digit_of_nth);
    let place = select(vec2u(1u, 0u), vec2u(0u, 1u), is_low);
    known |= place * (found.x << shift);
    is_known |= place * (255u << shift);
    rank = found.y;
    if (found.y == found.z) {
      break; // all that begin like this belong to them
    }
  }
  return known;
}

fn count_digits(
  lane: u32,
  first: u32,
  n_keys: u32,
  known: vec2u,
  is_known: vec2u,
  shift: u32,
  is_low: bool,
) {
  // A lane adds up equal digits that follow each other: the first ones are nearly all the same.
  var last = 0u;
  var n_equal = 0u;
  for (var i = lane; i < n_keys; i += BINS) {
    let key = keys[first + i];
    if (any((key & is_known) != known)) {
      continue;
    }
    let digit = (select(key.x, key.y, is_low) >> shift) & 255u;
    if (digit != last) {
      atomicAdd(&counts[last], n_equal);
      last = digit;
      n_equal = 0u;
    }
    n_equal++;
  }
  atomicAdd(&counts[last], n_equal);
}
