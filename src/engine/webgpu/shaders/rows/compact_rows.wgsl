// compact_rows: moves kept rows to the start of their head, in place and in order.
//
//   plane[start + i] = plane[start + list[i]], first <= i < n_keep
//
// | binding | name      | access     | element | shape                         |
// |---------|-----------|------------|---------|-------------------------------|
// | 0       | params    | uniform    | struct  | CompactParams                 |
// | 1       | list      | read       | u32     | [sum of n_keep], ascending    |
// | 2       | keys      | read_write | u32     | [n_rows, n_words]             |
// | 3       | values    | read_write | u32     | [n_rows, n_words]             |
// | 4       | positions | read_write | u32     | [n_rows]                      |
//
// A source never lies before its destination. A tile is read whole, then written, tiles ascend: a
// later tile reads only words that no earlier one writes.
// Dispatch: (3, n_heads, 1); one workgroup per plane and head.
// Overrides: none.   Needs: none.   Lib: none.
// Reference: engine/reference/rows.ts#gatherRows.

const WORDS_PER_LANE = 8u;
const TILE = 2048u; // words: 256 lanes times 8

struct CompactParams {
  n_words: u32,
  keys_offset: u32,
  values_offset: u32,
  positions_offset: u32,
  heads: array<vec4u, 12>, // start, first row that moves, offset in list, n_keep
}

@group(0) @binding(0) var<uniform> params: CompactParams;
@group(0) @binding(1) var<storage, read> list: array<u32>;
@group(0) @binding(2) var<storage, read_write> keys: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<u32>;
@group(0) @binding(4) var<storage, read_write> positions: array<u32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let head = params.heads[group.y];
  let n_words = select(params.n_words, 1u, group.x == 2u);
  let n = (head.w - head.y) * n_words;
  for (var tile = 0u; tile < n; tile += TILE) {
    var held = array<u32, WORDS_PER_LANE>();
    for (var k = 0u; k < WORDS_PER_LANE; k++) {
      let cell = tile + k * 256u + lane;
      if (cell < n) {
        let i = cell / n_words;
        let row = head.x + list[head.z + head.y + i];
        held[k] = load(group.x, row * n_words + cell - i * n_words);
      }
    }
    storageBarrier();
    for (var k = 0u; k < WORDS_PER_LANE; k++) {
      let cell = tile + k * 256u + lane;
      if (cell < n) {
        store(group.x, (head.x + head.y) * n_words + cell, held[k]);
      }
    }
  }
}

fn load(plane: u32, word: u32) -> u32 {
  if (plane == 0u) {
    return keys[params.keys_offset + word];
  }
  if (plane == 1u) {
    return values[params.values_offset + word];
  }
  return positions[params.positions_offset + word];
}

fn store(plane: u32, word: u32, value: u32) {
  if (plane == 0u) {
    keys[params.keys_offset + word] = value;
  } else if (plane == 1u) {
    values[params.values_offset + word] = value;
  } else {
    positions[params.positions_offset + word] = value;
  }
}
