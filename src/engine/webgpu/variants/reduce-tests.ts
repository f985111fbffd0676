// Known answers for the reductions: whole numbers, so that any order of adding gives the same bits.
import { linkShader } from "../device/pipelines.ts";
import type { SelfTest } from "../device/variant.ts";
import attendReduce from "../shaders/lib/reduce/attend_reduce.wgsl";
import largest from "../shaders/lib/reduce/largest.wgsl";
import order from "../shaders/lib/reduce/order.wgsl";
import sumLanes from "../shaders/lib/reduce/sum_lanes.wgsl";
import sumWorkgroup from "../shaders/lib/reduce/sum_workgroup.wgsl";
import reduceLanes from "../shaders/self_test/reduce_lanes.wgsl";
import reduceWorkgroup from "../shaders/self_test/reduce_workgroup.wgsl";

const LANES_SHADER = linkShader("reduce_lanes", reduceLanes, sumLanes);
const WORKGROUP_SHADER = linkShader(
  "reduce_workgroup",
  reduceWorkgroup,
  ...[attendReduce, largest, order, sumWorkgroup],
);

/** Of mat_vec: the shortest run, one beyond small subgroups, and the whole workgroup. */
const RUNS = [8, 16, 64];

/** For each reduction that kernels use, in the workgroups that they use it in. */
export function reduceTests(): SelfTest[] {
  const constants = {};
  const values = numbers(64);
  const ofRuns = RUNS.map((lanes) => ({
    shader: LANES_SHADER,
    constants,
    params: Uint32Array.of(lanes),
    input: bitsOf(values),
    expected: bitsOf(sumsOfRuns(values, lanes)),
  }));
  const more = numbers(128);
  const ofWorkgroup = {
    shader: WORKGROUP_SHADER,
    constants,
    params: Uint32Array.of(0),
    input: bitsOf(more),
    expected: bitsOf(overWorkgroup(more)),
  };
  return [...ofRuns, ofWorkgroup];
}

/** f32[n, 4] of whole numbers of both signs, no two invocations alike; the largest y is there twice. */
function numbers(n: number): Float32Array {
  const twice = [n - 3, n / 2 + 1];
  const rows = Array.from({ length: n }, (_, i) => [
    i * i - 700,
    twice.includes(i) ? 9000 : -((i * 37) % n),
    (i % 5) * 1000 + i,
    3 * i + 1,
  ]);
  return Float32Array.from(rows.flat());
}

/** f32[n, 4]: for each row the sum of its aligned run of `lanes` rows. */
function sumsOfRuns(values: Float32Array, lanes: number): Float32Array {
  return values.map((_, at) => {
    const [row, component] = [Math.floor(at / 4), at % 4];
    const first = row - (row % lanes);
    let sum = 0;
    for (let i = first; i < first + lanes; i++) sum += values[4 * i + component] ?? NaN;
    return sum;
  });
}

/** f32[385, 4], as reduce_workgroup.wgsl writes it. */
function overWorkgroup(values: Float32Array): Float32Array {
  const column = (c: number): number[] => [...values.filter((_, at) => at % 4 === c)];
  const columns = [0, 1, 2, 3].map(column);
  const sums = columns.map((all) => all.reduce((sum, value) => sum + value, 0));
  const most = columns.map((all) => Math.max(...all));
  const repeat = (row: readonly number[]): number[] =>
    Array.from({ length: 128 }, () => row).flat();
  const top = most[1] ?? NaN;
  const bits = (bitsOf(Float32Array.of(top))[0] ?? 0) + 0x80000000; // a positive number's order
  const best = [bits >>> 16, bits & 0xffff, (columns[1] ?? []).indexOf(top), 0];
  const first = sums[0] ?? NaN;
  return Float32Array.from([
    ...repeat([first, first, first, first]),
    ...repeat(most),
    ...repeat(sums),
    ...best,
  ]);
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer);
}
