// Queries and cached keys, four channels at a time, for a module with the bindings of measure_stats.

// Of a head: set for each size by measure.ts.
const N_QUADS = 16u;
const TILE_ROOM = 512u; // vec4
const TILE_SIZE = 4u * min(8u, TILE_ROOM / N_QUADS / 4u); // rows or queries that all lanes share
const IS_F16 = 2u; // a bit of `flags`

struct MeasureParams {
  n_groups: u32,
  n_kv_heads: u32,
  head_dim: u32,
  first_kv_head: u32,
  n_queries: u32,
  first_position: u32,
  window: u32,
  scale: f32,
  queries_offset: u32, // in vec4
  keys_offset: u32, // in vec2
  positions_offset: u32,
  stats_offset: u32, // in vec2
  out_offset: u32,
  stride: u32,
  flags: u32,
  n_splits: u32,
  heads: array<vec4u, 12>, // start, length
}

// Quad `k` of query `t` of a head, scaled; zeros past the newest.
fn query_quad(t: u32, head: u32, k: u32) -> vec4f {
  if (t >= params.n_queries) {
    return vec4f(0.0);
  }
  let column = t * (params.n_groups + 2u) * params.n_kv_heads + head;
  return queries[params.queries_offset + column * N_QUADS + k] * params.scale;
}

// Quad `k` of row `row` of a head's keys; zeros past the last.
fn key_quad(place: vec4u, row: u32, k: u32) -> vec4f {
  if (row >= place.y) {
    return vec4f(0.0);
  }
  let cell = (place.x + row) * N_QUADS + k;
  if ((params.flags & IS_F16) != 0u) {
    let words = keys[params.keys_offset + cell];
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  }
  let low = keys[params.keys_offset + 2u * cell];
  return bitcast<vec4f>(vec4u(low, keys[params.keys_offset + 2u * cell + 1u]));
}
