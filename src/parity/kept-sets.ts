// Whether a kept set is a right answer. Equality is too strict: in the tail, attention scores
// differ by less than rounding, so the rule is: whatever scores clearly above the cut must be
// kept, whatever scores clearly below must be dropped, and the count must be the golden one.

/** Kept positions of one layer, ascending, per kv head. */
export type LayerSets = readonly ArrayLike<number>[];

export interface Verdict {
  /** Positions on the wrong side of a cut, and differences of counts. */
  readonly nWrong: number;
  /** Positions where measured and golden differ, allowed or not. */
  readonly nDiffering: number;
  /** The first thing that is wrong, "" when nothing is. */
  readonly reason: string;
}

/** How near to a cut a score may fall on either side: absolute + relative * |cut|. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

interface Findings {
  nWrong: number;
  nDiffering: number;
  reason: string;
}

function note(findings: Findings, nWrong: number, reason: string): void {
  if (nWrong > 0 && findings.reason === "") findings.reason = reason;
  findings.nWrong += nWrong;
}

function countDiffering(findings: Findings, measured: Set<number>, golden: Set<number>): void {
  for (const position of measured) if (!golden.has(position)) findings.nDiffering++;
  for (const position of golden) if (!measured.has(position)) findings.nDiffering++;
}

const setOf = (positions: ArrayLike<number>): Set<number> => new Set(Array.from(positions));

/** The `count`-th largest of `scores`; Infinity for 0, -Infinity past the end. */
function nthLargest(scores: Float32Array, count: number): number {
  if (count <= 0) return Infinity;
  if (count >= scores.length) return -Infinity;
  return scores.slice().sort()[scores.length - count] ?? -Infinity;
}

/** Positional methods: the same sets. */
export function judgeEqual(measured: LayerSets, golden: LayerSets): Verdict {
  const findings: Findings = { nWrong: 0, nDiffering: 0, reason: "" };
  golden.forEach((want, head) => {
    const before = findings.nDiffering;
    countDiffering(findings, setOf(measured[head] ?? []), setOf(want));
    const nDiffering = findings.nDiffering - before;
    note(findings, nDiffering, `head ${head}: ${nDiffering} positions differ`);
  });
  return findings;
}

/**
 * Methods that keep the best positions of each head.
 *
 * @param scores f32[nKvHeads][nTokens].
 * @param chunkLength Where given, each chunk of so many positions has a cut of its own.
 */
export function judgePerHead(
  measured: LayerSets,
  golden: LayerSets,
  scores: readonly Float32Array[],
  tolerance: Tolerance,
  chunkLength?: number,
): Verdict {
  const findings: Findings = { nWrong: 0, nDiffering: 0, reason: "" };
  scores.forEach((ofHead, head) => {
    const got = setOf(measured[head] ?? []);
    const want = setOf(golden[head] ?? []);
    countDiffering(findings, got, want);
    const length = chunkLength ?? ofHead.length;
    for (let begin = 0; begin < ofHead.length; begin += length) {
      const part = ofHead.subarray(begin, begin + length);
      const isHere = (position: number): boolean => position >= begin && position < begin + length;
      const nWant = [...want].filter(isHere).length;
      const nGot = [...got].filter(isHere).length;
      note(findings, Math.abs(nGot - nWant), `head ${head}: keeps ${nGot}, not ${nWant}`);
      const cut = nthLargest(part, nWant);
      judgeSides(findings, part, (i) => got.has(begin + i), cut, tolerance, `head ${head}`, begin);
    }
  });
  return findings;
}

/** Clearly above the cut must be kept, clearly below must be dropped. */
function judgeSides(
  findings: Findings,
  scores: Float32Array,
  isKept: (index: number) => boolean,
  cut: number,
  tolerance: Tolerance,
  where: string,
  begin = 0,
): void {
  // The cut is infinite where all or none are kept.
  const relative = Number.isFinite(cut) ? tolerance.relative * Math.abs(cut) : 0;
  const eps = tolerance.absolute + relative;
  scores.forEach((score, i) => {
    if (score > cut + eps && !isKept(i)) {
      note(findings, 1, `${where}: drops ${begin + i} (score ${score}, cut ${cut})`);
    } else if (score < cut - eps && isKept(i)) {
      note(findings, 1, `${where}: keeps ${begin + i} (score ${score}, cut ${cut})`);
    }
  });
}

/**
 * Methods that keep whole chunks, the same for all heads: the rule over the chunks' scores, the
 * mean over positions of the sum over heads.
 */
export function judgeChunks(
  measured: LayerSets,
  golden: LayerSets,
  scores: readonly Float32Array[],
  tolerance: Tolerance,
  chunkLength: number,
): Verdict {
  const findings: Findings = { nWrong: 0, nDiffering: 0, reason: "" };
  const nTokens = scores[0]?.length ?? 0;
  const nChunks = Math.ceil(nTokens / chunkLength);
  const chunkScores = new Float32Array(nChunks);
  for (let chunk = 0; chunk < nChunks; chunk++) {
    const begin = chunk * chunkLength;
    const end = Math.min(nTokens, begin + chunkLength);
    let sum = 0;
    for (const ofHead of scores) for (let i = begin; i < end; i++) sum += ofHead[i] ?? 0;
    chunkScores[chunk] = sum / (end - begin);
  }
  const chunksOf = (positions: ArrayLike<number>): Set<number> =>
    new Set(Array.from(positions, (position) => Math.floor(position / chunkLength)));
  golden.forEach((positions, head) => {
    const got = measured[head] ?? [];
    countDiffering(findings, setOf(got), setOf(positions));
    const nWrong = Math.abs(got.length - positions.length);
    note(findings, nWrong, `head ${head}: keeps ${got.length}, not ${positions.length}`);
    const kept = chunksOf(got);
    const cut = nthLargest(chunkScores, chunksOf(positions).size);
    const isKept = (chunk: number): boolean => kept.has(chunk);
    judgeSides(findings, chunkScores, isKept, cut, tolerance, `head ${head}, chunk`);
  });
  return findings;
}

/**
 * AdaKV: each head keeps its best `nSafe`, the rest of the layer's budget goes to the best of all
 * heads together. The count is the layer's: near-equal scores may move a row to another head.
 *
 * @param alpha Share of the mean budget that is safe for each head.
 */
export function judgeShared(
  measured: LayerSets,
  golden: LayerSets,
  scores: readonly Float32Array[],
  tolerance: Tolerance,
  alpha: number,
): Verdict {
  const findings: Findings = { nWrong: 0, nDiffering: 0, reason: "" };
  const total = golden.reduce((sum, positions) => sum + positions.length, 0);
  const nGot = measured.reduce((sum, positions) => sum + positions.length, 0);
  note(findings, Math.abs(nGot - total), `the layer keeps ${nGot}, not ${total}`);
  const nSafe = Math.floor(Math.floor(total / golden.length) * alpha);
  const safeCuts = scores.map((ofHead) => nthLargest(ofHead, nSafe));
  const rest = Float32Array.from(
    scores.flatMap((ofHead) =>
      Array.from(
        ofHead
          .slice()
          .sort()
          .subarray(0, ofHead.length - nSafe),
      ),
    ),
  );
  const sharedCut = nthLargest(rest, total - nSafe * scores.length);
  scores.forEach((ofHead, head) => {
    const got = setOf(measured[head] ?? []);
    countDiffering(findings, got, setOf(golden[head] ?? []));
    // Kept for either reason; dropped only when neither holds: the lower cut decides both.
    const cut = Math.min(sharedCut, safeCuts[head] ?? Infinity);
    judgeSides(findings, ofHead, (i) => got.has(i), cut, tolerance, `head ${head}`);
  });
  return findings;
}

/** Where no scores tell: the counts, and nearly all golden positions. */
export function judgeOverlap(measured: LayerSets, golden: LayerSets, minShare: number): Verdict {
  const findings: Findings = { nWrong: 0, nDiffering: 0, reason: "" };
  const total = golden.reduce((sum, positions) => sum + positions.length, 0);
  const nGot = measured.reduce((sum, positions) => sum + positions.length, 0);
  note(findings, Math.abs(nGot - total), `the layer keeps ${nGot}, not ${total}`);
  let nShared = 0;
  golden.forEach((positions, head) => {
    const got = setOf(measured[head] ?? []);
    const want = setOf(positions);
    countDiffering(findings, got, want);
    for (const position of want) if (got.has(position)) nShared++;
  });
  if (total > 0 && nShared < minShare * total) {
    note(findings, total - nShared, `${total - nShared} of ${total} golden positions are dropped`);
  }
  return findings;
}
