// tile_rows: where the rows of a tile of products come from and go to, for a module with the
// parameters, the biases' bindings and `out` of mat_mul. Lib: activate.

const ADD = 1u;
const GELU = 3u;

// The word at which an output row's weights begin; rows past the end repeat the last one.
fn row_words_of(row: u32) -> u32 {
  let last = min(row, params.n_rows - 1u);
  if (last < params.end_0) {
    return params.weight_0 + last * params.row_words;
  }
  if (last < params.end_1) {
    return params.weight_1 + (last - params.end_0) * params.row_words;
  }
  return params.weight_2 + (last - params.end_1) * params.row_words;
}

fn bias_of(row: u32) -> f32 {
  if (row < params.end_0) {
    if ((params.bias_mask & 1u) != 0u) {
      return bias_0[params.bias_at_0 + row];
    }
  } else if (row < params.end_1) {
    if ((params.bias_mask & 2u) != 0u) {
      return bias_1[params.bias_at_1 + row - params.end_0];
    }
  } else if ((params.bias_mask & 4u) != 0u) {
    return bias_2[params.bias_at_2 + row - params.end_1];
  }
  return 0.0;
}

// Rows `row`, + 16, + 32 and + 48 for the token whose output begins at `at`.
fn put(at: u32, row: u32, sums: vec4f) {
  for (var b = 0u; b < 4u; b++) {
    let row_out = row + 16u * b;
    // With a gate rows 32 and up of the tile are those of the other matrix.
    if (row_out >= params.n_rows || (IS_GATED && b >= 2u)) {
      return;
    }
    if (IS_GATED) {
      out[at + row_out] = activate(sums[b], params.mode == GELU) * sums[(b + 2u) & 3u];
    } else if (params.mode == ADD) {
      out[at + row_out] += sums[b];
    } else {
      out[at + row_out] = sums[b];
    }
  }
}
