// Variants: other texts for library files of shaders, for devices that can do more than every one can.
// A kernel calls the same functions either way and never knows.
import type { Constants, Shader } from "./pipelines.ts";

export type VariantName = "subgroups" | "f16" | "packed-dot";

/** Known answers that a device must give before it uses a variant. */
export interface SelfTest {
  /** Bindings: params u32[], input u32[], out u32[]. One workgroup. */
  readonly shader: Shader;
  readonly constants: Constants;
  readonly params: Uint32Array;
  readonly input: Uint32Array;
  /** Computed on the host; bit for bit. */
  readonly expected: Uint32Array;
}

export interface Variant {
  readonly name: VariantName;
  /** Of the device; null where it needs none. */
  readonly feature: GPUFeatureName | null;
  /** Of WGSL (`navigator.gpu.wgslLanguageFeatures`); null where it needs none. */
  readonly languageFeature: string | null;
  /** Directive at the top of every module in which it has a text, such as "enable f16;". */
  readonly directive: string;
  /** The plain text of a library file -> the one that stands in for it. */
  readonly libraries: ReadonlyMap<string, string>;
  readonly tests: readonly SelfTest[];
}

/** The whole text of a shader's module; of two variants with the same library the first one counts. */
export function moduleText(
  { source, libraries }: Pick<Shader, "source" | "libraries">,
  variants: readonly Variant[],
  subgroupSize: number,
): string {
  const used = new Set<Variant>();
  const texts = libraries.map((plain) => {
    const variant = variants.find((one) => one.libraries.has(plain));
    if (variant === undefined) return plain;
    used.add(variant);
    return variant.libraries.get(plain) ?? plain;
  });
  if (used.size === 0) return [source, ...texts].join("\n");
  const head = [...used].map(({ directive }) => directive);
  return [...head, `const SUBGROUP = ${subgroupSize}u;`, source, ...texts].join("\n");
}
