/** Attention of one kv head; rust-kernels/src/exports/rows.rs says what each number is. */
type AttendHead = (
  codec: number,
  out: number,
  outStride: number,
  outColumn: number,
  q: number,
  qStride: number,
  qColumn: number,
  nTokens: number,
  nGroups: number,
  headDim: number,
  keys: number,
  values: number,
  positions: number,
  length: number,
  firstPosition: number,
  scale: number,
  window: number,
  scratch: number,
) => void;

/**
 * The exports of the kernels that the engine calls (rust-kernels/src/exports). Pointers are byte
 * offsets into the memory; `type` is ggml's number; codec 0 is f32, 1 is f16, 2 is q8.
 */
export interface Kernels {
  readonly memory: WebAssembly.Memory;
  weight_bytes(type: number, nRows: number, nCols: number, isRaw: number): number;
  is_packed(type: number): number;
  pack_scratch_len(nCols: number): number;
  pack_rows(
    type: number,
    weight: number,
    firstRow: number,
    rows: number,
    n: number,
    nCols: number,
    scratch: number,
  ): void;
  quantize(
    codes: number,
    scales: number,
    sums: number,
    x: number,
    nTokens: number,
    nCols: number,
    isNarrow: number,
  ): void;
  padded_tokens(nTokens: number): number;
  is_narrow(type: number): number;
  peaked_tokens(list: number, x: number, nTokens: number, nCols: number): number;
  residual(out: number, x: number, nCols: number): void;
  mat_mul_packed(
    type: number,
    out: number,
    stride: number,
    column: number,
    codes: number,
    scales: number,
    sums: number,
    nTokens: number,
    weight: number,
    nRows: number,
    nCols: number,
    begin: number,
    end: number,
  ): void;
  mat_mul_scratch_len(nCols: number): number;
  mat_mul_raw(
    type: number,
    out: number,
    stride: number,
    column: number,
    x: number,
    nTokens: number,
    weight: number,
    nRows: number,
    nCols: number,
    begin: number,
    end: number,
    scratch: number,
  ): void;
  embed_row(type: number, out: number, row: number, nCols: number, scale: number): void;
  embed_packed_row(
    type: number,
    out: number,
    weight: number,
    row: number,
    nCols: number,
    scale: number,
  ): void;
  rms_norm(
    out: number,
    x: number,
    weight: number,
    nTokens: number,
    size: number,
    eps: number,
  ): void;
  add_bias(
    x: number,
    bias: number,
    nTokens: number,
    stride: number,
    column: number,
    size: number,
  ): void;
  add(x: number, y: number, n: number): void;
  gate(out: number, gateUp: number, nTokens: number, size: number, kind: number): void;
  rope_frequencies(
    out: number,
    nPairs: number,
    base: number,
    scale: number,
    factors: number,
    nFactors: number,
  ): void;
  rope_table(
    out: number,
    frequencies: number,
    nPairs: number,
    firstPosition: number,
    nTokens: number,
  ): void;
  norm_rotate(
    x: number,
    nTokens: number,
    stride: number,
    column: number,
    nHeads: number,
    headDim: number,
    table: number,
    style: number,
    weight: number,
    eps: number,
  ): void;
  append_rows(
    codec: number,
    rows: number,
    x: number,
    nTokens: number,
    stride: number,
    column: number,
    headDim: number,
  ): void;
  attend_scratch_len(nQueries: number, headDim: number): number;
  readonly attend_head: AttendHead;
  split_rows(): number;
  split_len(nGroups: number, headDim: number): number;
  attend_split_head(
    codec: number,
    out: number,
    q: number,
    nGroups: number,
    headDim: number,
    keys: number,
    values: number,
    positions: number,
    length: number,
    position: number,
    scale: number,
    window: number,
    split: number,
    scratch: number,
  ): void;
  merge_splits_head(
    out: number,
    splits: number,
    nSplits: number,
    nGroups: number,
    headDim: number,
  ): void;
  readonly attend_keeping_head: AttendHead;
  kept_scratch_len(nQueries: number, headDim: number, nRows: number): number;
  add_columns_head(
    out: number,
    outStride: number,
    nTokens: number,
    nGroups: number,
    headDim: number,
    positions: number,
    length: number,
    firstPosition: number,
    window: number,
    scratch: number,
  ): void;
  measure_scratch_len(nRows: number, headDim: number): number;
  measure_window_head(
    codec: number,
    out: number,
    outStride: number,
    q: number,
    qStride: number,
    qColumn: number,
    nTokens: number,
    nGroups: number,
    headDim: number,
    keys: number,
    positions: number,
    length: number,
    firstPosition: number,
    scale: number,
    window: number,
    scratch: number,
  ): void;
  rotate_rows(
    codec: number,
    rows: number,
    positions: number,
    targets: number,
    n: number,
    headDim: number,
    frequencies: number,
    style: number,
  ): void;
  query_sums_scratch_len(headDim: number): number;
  query_sums_head(
    sums: number,
    q: number,
    qStride: number,
    qColumn: number,
    nTokens: number,
    headDim: number,
    table: number,
    style: number,
    scratch: number,
  ): void;
  output_norms_scratch_len(headDim: number): number;
  add_output_norms(
    codec: number,
    norms: number,
    values: number,
    nRows: number,
    headDim: number,
    weight: number,
    nWeights: number,
    stride: number,
    column: number,
    scratch: number,
  ): void;
  gather_rows(
    dstCodec: number,
    dst: number,
    srcCodec: number,
    src: number,
    keep: number,
    n: number,
    headDim: number,
  ): void;
  arg_max(values: number, n: number): number;
}
