// One token's query heads against the rows of their kv head, for a module with the bindings and room
// of attend_decode. First a lane takes a row and its scores, then eight channels of every n-th row.
// Lib: attend_reduce, halves.

struct AttendParams {
  n_groups: u32, // query heads per kv head
  n_parts: u32, // workgroups that share the query heads of one kv head
  first_kv_head: u32,
  n_splits: u32,
  qkv_offset: u32,
  out_offset: u32,
  position: u32, // of the query
  window: u32,
  scale: f32,
  keys_offset: u32, // in vec4
  values_offset: u32,
  positions_offset: u32,
  n_columns: u32, // of qkv, heads; this and the next are for attend_step
  n_kv_heads: u32,
  table_offset: u32,
  is_half_style: u32,
  heads: array<vec4u, 12>, // start, length
}

const LANES = 128u;
const LOWEST = -3.0e38;

// Rows of `split`, for the heads in `query`, which all lanes have seen written.
fn attend_rows(lane: u32, split: u32, place: vec4u, first_of_group: u32, first_head: u32) {
  // A row is out of a window of w when w newer rows follow: skip to where one may be seen.
  let first_seen = select(0u, place.y - min(place.y, params.window), params.window > 0u);
  let n_seen = place.y - first_seen;
  let per_split = (n_seen + params.n_splits - 1u) / params.n_splits;
  let begin = first_seen + min(n_seen, split * per_split);
  let end = first_seen + min(n_seen, (split + 1u) * per_split);

  let n_octets = HEAD_DIM / 8u;
  let octet = lane % n_octets;
  let slice = lane / n_octets;
  let n_slices = LANES / n_octets;
  var top = vec4f(LOWEST);
  var total = vec4f(0.0); // of this lane's rows
  var mixed = array<vec4f, 8>(); // [head, 2]: eight channels each
  for (var tile = begin; tile < end; tile += LANES) {
    let row = tile + lane;
    var score = vec4f(LOWEST);
    if (row < end && is_near(place.x + row)) {
      score = scores(place.x + row);
    }
    let new_top = max(top, max_of_lanes(lane, score));
    let shrink = exp(top - new_top);
    let weight = select(exp(score - new_top), vec4f(0.0), score <= vec4f(LOWEST));
    total = total * shrink + weight;
    top = new_top;
    weights[lane] = weight;
    workgroupBarrier();
    mixed[0] *= shrink.x;
    mixed[1] *= shrink.x;
    if (N_SHARED > 1u) {
      mixed[2] *= shrink.y;
      mixed[3] *= shrink.y;
    }
    if (N_SHARED > 2u) {
      mixed[4] *= shrink.z;
      mixed[5] *= shrink.z;
    }
    if (N_SHARED > 3u) {
      mixed[6] *= shrink.w;
      mixed[7] *= shrink.w;
    }
    if (slice < n_slices) {
      let n_rows = min(LANES, end - tile);
      for (var r = slice; r < n_rows; r += 4u * n_slices) {
        // Past the end the weight is 0 and the row one that is there.
        let last = n_rows - 1u;
        let value_0 = eight_values(place.x + tile + r, octet);
        let value_1 = eight_values(place.x + tile + min(r + n_slices, last), octet);
        let value_2 = eight_values(place.x + tile + min(r + 2u * n_slices, last), octet);
        let value_3 = eight_values(place.x + tile + min(r + 3u * n_slices, last), octet);
        add_values(&mixed, weights[r], value_0);
        add_values(&mixed, weight_of(r + n_slices, n_rows), value_1);
        add_values(&mixed, weight_of(r + 2u * n_slices, n_rows), value_2);
        add_values(&mixed, weight_of(r + 3u * n_slices, n_rows), value_3);
      }
    }
    workgroupBarrier();
  }
  let all = sum_of_lanes(lane, total);
  // One head after the other through the same room; constant indices keep `mixed` in registers.
  let is_used = slice < n_slices;
  let n_heads = min(N_SHARED, params.n_groups - first_of_group);
  put(is_used, lane, mixed[0], mixed[1]);
  write_head(lane, split, first_head, n_heads > 0u, top.x, all.x);
  if (N_SHARED > 1u) {
    put(is_used, lane, mixed[2], mixed[3]);
    write_head(lane, split, first_head + 1u, n_heads > 1u, top.y, all.y);
  }
  if (N_SHARED > 2u) {
    put(is_used, lane, mixed[4], mixed[5]);
    write_head(lane, split, first_head + 2u, n_heads > 2u, top.z, all.z);
  }
  if (N_SHARED > 3u) {
    put(is_used, lane, mixed[6], mixed[7]);
    write_head(lane, split, first_head + 3u, n_heads > 3u, top.w, all.w);
  }
}

// Between barriers: eight channels of this lane's slice to `sums`.
fn put(is_used: bool, lane: u32, low: vec4f, high: vec4f) {
  workgroupBarrier();
  if (is_used) {
    sums[2u * lane] = low;
    sums[2u * lane + 1u] = high;
  }
  workgroupBarrier();
}

fn weight_of(r: u32, n_rows: u32) -> vec4f {
  return select(vec4f(0.0), weights[min(r, LANES - 1u)], r < n_rows);
}

fn add_values(mixed: ptr<function, array<vec4f, 8>>, w: vec4f, value: array<vec4f, 2>) {
  (*mixed)[0] += w.x * value[0];
  (*mixed)[1] += w.x * value[1];
  if (N_SHARED > 1u) {
    (*mixed)[2] += w.y * value[0];
    (*mixed)[3] += w.y * value[1];
  }
  if (N_SHARED > 2u) {
    (*mixed)[4] += w.z * value[0];
    (*mixed)[5] += w.z * value[1];
  }
  if (N_SHARED > 3u) {
    (*mixed)[6] += w.w * value[0];
    (*mixed)[7] += w.w * value[1];
  }
}

fn is_near(row: u32) -> bool {
  if (params.window == 0u) {
    return true;
  }
  return params.position - positions[params.positions_offset + row] < params.window;
}

// The scores of one row for the shared heads. Loads go first: they wait for each other otherwise.
fn scores(row: u32) -> vec4f {
  var score = vec4f(0.0);
  let n_octets = HEAD_DIM / 8u;
  for (var octet = 0u; octet < n_octets; octet += 4u) {
    let last = n_octets - 1u;
    let key_0 = eight_keys(row, octet);
    let key_1 = eight_keys(row, min(octet + 1u, last));
    let key_2 = eight_keys(row, min(octet + 2u, last));
    let key_3 = eight_keys(row, min(octet + 3u, last));
    score += products(key_0, octet);
    if (octet + 1u < n_octets) {
      score += products(key_1, octet + 1u);
    }
    if (octet + 2u < n_octets) {
      score += products(key_2, octet + 2u);
    }
    if (octet + 3u < n_octets) {
      score += products(key_3, octet + 3u);
    }
  }
  return score;
}

fn products(key: array<vec4f, 2>, octet: u32) -> vec4f {
  let n_quads = HEAD_DIM / 4u;
  let at = 2u * octet;
  var score = vec4f(0.0);
  score.x = dot(query[at], key[0]) + dot(query[at + 1u], key[1]);
  if (N_SHARED > 1u) {
    score.y = dot(query[at + n_quads], key[0]) + dot(query[at + n_quads + 1u], key[1]);
  }
  if (N_SHARED > 2u) {
    let third = at + 2u * n_quads;
    score.z = dot(query[third], key[0]) + dot(query[third + 1u], key[1]);
  }
  if (N_SHARED > 3u) {
    let fourth = at + 3u * n_quads;
    score.w = dot(query[fourth], key[0]) + dot(query[fourth + 1u], key[1]);
  }
  return score;
}

fn eight_keys(row: u32, octet: u32) -> array<vec4f, 2> {
  if (IS_F16) {
    return eight_halves(keys[params.keys_offset + row * (HEAD_DIM / 8u) + octet]);
  }
  let at = params.keys_offset + row * (HEAD_DIM / 4u) + 2u * octet;
  return array<vec4f, 2>(bitcast<vec4f>(keys[at]), bitcast<vec4f>(keys[at + 1u]));
}

fn eight_values(row: u32, octet: u32) -> array<vec4f, 2> {
  if (IS_F16) {
    return eight_halves(values[params.values_offset + row * (HEAD_DIM / 8u) + octet]);
  }
  let at = params.values_offset + row * (HEAD_DIM / 4u) + 2u * octet;
  return array<vec4f, 2>(bitcast<vec4f>(values[at]), bitcast<vec4f>(values[at + 1u]));
}

// Adds the slices of one head and writes it.
fn write_head(lane: u32, split: u32, head: u32, is_head: bool, top: f32, total: f32) {
  if (!is_head) {
    return;
  }
  let n_quads = HEAD_DIM / 4u;
  let n_slices = LANES / (HEAD_DIM / 8u);
  let at_split = params.out_offset + (head * params.n_splits + split) * (HEAD_DIM + 2u);
  let at = select(params.out_offset + head * HEAD_DIM, at_split, IS_SPLIT);
  let factor = select(select(0.0, 1.0 / total, total > 0.0), 1.0, IS_SPLIT);
  for (var quad = lane; quad < n_quads; quad += LANES) {
    var sum = vec4f(0.0);
    for (var slice = 0u; slice < n_slices; slice++) {
      sum += sums[slice * n_quads + quad];
    }
    for (var c = 0u; c < 4u; c++) {
      out[at + 4u * quad + c] = sum[c] * factor;
    }
  }
  if (IS_SPLIT && lane == 0u) {
    out[at + HEAD_DIM] = top;
    out[at + HEAD_DIM + 1u] = total;
  }
}
