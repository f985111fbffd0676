import { TENSOR_TYPES, type TensorTypeName } from "../../gguf/tensor-type.ts";
import {
  type GoldenContents,
  type GoldenFolder,
  isObject,
  object,
  readArray,
  readObject,
} from "../golden.ts";
import { maxUlp } from "../metrics.ts";
import type { CheckContext, CheckResult, Job, ParityEngine } from "../runner.ts";
import { DEQUANT_MAX_ULP } from "../tolerances.ts";
import { atMost, notDone, type Row } from "./result.ts";

/** Block formats against the golden values of the same bytes, one job for each type. */
export async function dequantJobs(
  golden: GoldenFolder,
  contents: GoldenContents,
  engine: ParityEngine,
): Promise<Job[]> {
  const jobs: Job[] = [];
  for (const path of contents.dequant) {
    const index = await readObject(golden, path);
    for (const type of Object.keys(index).filter((key) => isObject(index[key]))) {
      const row: Row = { area: "dequant", check: type };
      jobs.push({
        ...row,
        activations: "f32",
        run: (context) => checkType(context, engine, path, type, row),
      });
    }
  }
  return jobs;
}

async function* checkType(
  { golden, host }: CheckContext,
  engine: ParityEngine,
  path: string,
  type: string,
  row: Row,
): AsyncGenerator<CheckResult> {
  if (!isTensorType(type)) {
    yield notDone(row, "max ulp", "not read", "a type that kvasir does not run");
    return;
  }
  const entry = object(await readObject(golden, path), type);
  const blocks = await readArray(golden, path, object(entry, "raw"), "u8");
  const values = await readArray(golden, path, object(entry, "values"), "f32");
  const measured = await host.dequantize(type, blocks.values, engine);
  yield atMost(row, "max ulp", maxUlp(measured, values.values), DEQUANT_MAX_ULP);
}

function isTensorType(name: string): name is TensorTypeName {
  return Object.hasOwn(TENSOR_TYPES, name);
}
