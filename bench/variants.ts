// Compares what a GPU's kernels are made of: plain, each variant alone, and all that the device takes.
// A packed benchmark has it as `node FOLDER/variants.mjs --model FILE`; see bench/README.md.
import type { Activations } from "../src/engine/engine.ts";
import type { Runtime } from "../src/runtime/runtime.ts";
import type { LoadOptions, Model } from "../src/types.ts";
import { median } from "./statistics.ts";

/** What a device must be seen to have for a variant to be tried. */
const FEATURES = ["subgroups", "shader-f16", "packed_4x8_integer_dot_product"] as const;

export interface VariantsBench {
  readonly load: (source: string, options: LoadOptions) => Promise<Model>;
  readonly runtime: Runtime;
  readonly say: (line: string) => void;
}

interface Settings {
  readonly model: string;
  readonly nTokens: number;
  readonly nDecode: number;
  readonly rounds: number;
  readonly activations: Activations;
}

interface Candidate {
  readonly name: string;
  readonly model: Model;
  readonly prefill: number[]; // tokens per second
  readonly decode: number[];
  answer: string;
}

/** @param args `--model FILE [--activations q8] [--tokens 1000] [--decode 128] [--rounds 5]`. */
export async function main(args: readonly string[], bench: VariantsBench): Promise<number> {
  const settings = parse(args);
  const candidates: Candidate[] = [];
  const sets: [string, readonly string[], "auto" | "off"][] = [
    ["plain", [], "off"],
    ...FEATURES.map((feature) => [feature, [feature], "off"] as [string, string[], "off"]),
    ["all", FEATURES, "off"],
    ["all, tuned", FEATURES, "auto"],
  ];
  for (const [name, features, tuning] of sets) {
    const model = await bench.load(settings.model, {
      engine: "webgpu",
      activations: settings.activations,
      tuning,
      runtime: {
        ...bench.runtime,
        gpu: async () => restrict(await bench.runtime.gpu?.(), features),
      },
    });
    candidates.push({ name, model, prefill: [], decode: [], answer: "" });
  }
  // Round by round, so that a machine that grows slower does so for all of them.
  for (let round = -1; round < settings.rounds; round++) {
    for (const candidate of candidates) await run(candidate, settings, round >= 0);
  }
  const plain = candidates[0]?.answer;
  for (const { name, prefill, decode, answer, model } of candidates) {
    const same = answer === plain ? "same answer as plain" : "another answer than plain";
    const loaded = `loaded in ${model.loadMs.toFixed(0)} ms`;
    const rates = `${rate(prefill)} prefill  ${rate(decode)} decode`;
    bench.say(`${name.padEnd(32)} ${rates}  ${loaded}  ${same}`);
    model.dispose();
  }
  return 0;
}

function parse(args: readonly string[]): Settings {
  const value = (name: string): string | undefined => {
    const at = args.indexOf(`--${name}`);
    return at < 0 ? undefined : args[at + 1];
  };
  const model = value("model");
  if (model === undefined) throw new Error("Cannot compare variants: --model FILE is missing");
  return {
    model,
    nTokens: Number(value("tokens") ?? 1000),
    nDecode: Number(value("decode") ?? 128),
    rounds: Number(value("rounds") ?? 5),
    activations: value("activations") === "q8" ? "q8" : "f32",
  };
}

async function run(candidate: Candidate, settings: Settings, isCounted: boolean): Promise<void> {
  const { vocabSize } = candidate.model.config;
  const tokens = Array.from({ length: settings.nTokens }, (_, i) => (1 + i * 7919) % vocabSize);
  const session = candidate.model.session();
  const options = { maxTokens: settings.nDecode, ignoreEos: true };
  const seen: number[] = [];
  for await (const event of session.generate({ tokens }, options)) {
    if (event.type === "token") seen.push(event.token);
    if (event.type !== "done" || !isCounted) continue;
    candidate.prefill.push(event.usage.timing.prefillTokensPerSecond);
    candidate.decode.push(event.usage.timing.decodeTokensPerSecond);
  }
  candidate.answer = seen.join();
  session.dispose();
}

function rate(values: readonly number[]): string {
  return `${median(values).toFixed(0).padStart(7)} tok/s`;
}

/** The same GPU, seen without those of `FEATURES` that `features` leaves out. */
function restrict(platform: object | null | undefined, features: readonly string[]): object | null {
  if (platform === null || platform === undefined) return null;
  const gpu = platform as GPU;
  const isSeen = (feature: string): boolean =>
    features.includes(feature) || !(FEATURES as readonly string[]).includes(feature);
  const seen = (all: Iterable<string>): Set<string> => new Set([...all].filter(isSeen));
  return withMembers(gpu, {
    wgslLanguageFeatures: seen(gpu.wgslLanguageFeatures),
    requestAdapter: async (options?: GPURequestAdapterOptions) => {
      const adapter = await gpu.requestAdapter(options);
      return adapter === null ? null : withMembers(adapter, { features: seen(adapter.features) });
    },
  });
}

/** `target` with other members in place of its own. */
function withMembers(target: object, members: Readonly<Record<string, unknown>>): object {
  return new Proxy(target, {
    get(_, name) {
      if (typeof name === "string" && name in members) return members[name];
      const own: unknown = Reflect.get(target, name, target);
      return typeof own === "function" ? (own.bind(target) as unknown) : own;
    },
  });
}
