// Shader text and constants -> pipelines, made once each, with explicit layouts read from the text.
import { assert } from "../../../errors.ts";
import type { GpuDevice } from "./device.ts";
import { moduleText, type Variant } from "./variant.ts";

/** A kernel's text: one entry point "main", and library functions behind it. */
export interface Shader {
  /** The file's name: it labels the pipeline. */
  readonly name: string;
  readonly source: string;
  /** Texts in place of which a variant of the device may have its own. */
  readonly libraries: readonly string[];
  /** A workgroup computes a tile: thousands of times what one of the others does. */
  readonly isHeavy: boolean;
}

/** Values of the shader's overrides. */
export type Constants = Readonly<Record<string, number>>;

/** A shader with its constants, ready to be dispatched. */
export interface Kernel {
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Bindings after the parameters. */
  readonly nBuffers: number;
  readonly isHeavy: boolean;
  /** Bind groups by the buffers in them; kept by the recorder. */
  readonly groups: BindGroups;
}

/** A tree: one number after the other leads to the bind group. */
export type BindGroups = Map<number, BindGroups | GPUBindGroup>;

/** Bytes of one slot of parameters: the alignment of uniform offsets that every device allows. */
export const SLOT_BYTES = 256;

const COMPUTE_STAGE = 0x4; // GPUShaderStage.COMPUTE
const BINDING = /@group\(0\)\s*@binding\((\d+)\)\s*var<(uniform|storage, read(?:_write)?)>/g;
const NO_CONSTANTS: Constants = {};

/** A shader of one file, and the library files whose functions it calls. */
export function linkShader(name: string, source: string, ...libraries: string[]): Shader {
  return { name, source, libraries, isHeavy: false };
}

/** The same for a kernel of tiles. */
export function linkTileShader(name: string, source: string, ...libraries: string[]): Shader {
  return { ...linkShader(name, source, ...libraries), isHeavy: true };
}

/** The kinds of the bindings, in order; binding 0 is always the uniform with the parameters. */
export function bindingTypes({ name, source, libraries }: Shader): GPUBufferBindingType[] {
  const text = [source, ...libraries].join("\n");
  const found = [...text.matchAll(BINDING)].map(([, index, kind]) => {
    const type =
      kind === "uniform" ? "uniform" : kind === "storage, read" ? "read-only-storage" : "storage";
    return [Number(index), type] as const;
  });
  found.sort(([a], [b]) => a - b);
  return found.map(([index, type], i) => {
    assert(index === i, `shader "${name}" has bindings 0 to ${found.length - 1}`);
    assert((type === "uniform") === (i === 0), `shader "${name}" has its parameters at binding 0`);
    return type;
  });
}

export class Pipelines {
  readonly #gpu: GpuDevice;
  readonly #device: GPUDevice;
  readonly #variants: readonly Variant[] | null;
  readonly #modules = new Map<Shader, GPUShaderModule>();
  readonly #kernels = new Map<Shader, Map<string, Kernel>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  /** @param variants Default: what the device uses when a kernel is made. */
  constructor(gpu: GpuDevice, variants?: readonly Variant[]) {
    this.#gpu = gpu;
    this.#device = gpu.device;
    this.#variants = variants ?? null;
  }

  /** Made at the first call; `constants` in the same order each time. */
  kernel(shader: Shader, constants: Constants = NO_CONSTANTS): Kernel {
    let ofShader = this.#kernels.get(shader);
    if (ofShader === undefined) {
      ofShader = new Map<string, Kernel>();
      this.#kernels.set(shader, ofShader);
    }
    const key = Object.values(constants).join();
    let kernel = ofShader.get(key);
    if (kernel === undefined) ofShader.set(key, (kernel = this.#create(shader, constants)));
    return kernel;
  }

  #create(shader: Shader, constants: Constants): Kernel {
    const types = bindingTypes(shader);
    const layout = this.#layout(types);
    const settings = Object.entries(constants).map(([name, value]) => `${name}=${value}`);
    const label = [shader.name, ...settings].join(" ");
    const pipeline = this.#device.createComputePipeline({
      label,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: this.#module(shader), entryPoint: "main", constants },
    });
    return {
      label,
      pipeline,
      layout,
      nBuffers: types.length - 1,
      isHeavy: shader.isHeavy,
      groups: new Map(),
    };
  }

  #module(shader: Shader): GPUShaderModule {
    let module = this.#modules.get(shader);
    if (module === undefined) {
      const variants = this.#variants ?? this.#gpu.variants;
      const code = moduleText(shader, variants, this.#gpu.subgroupSize);
      module = this.#device.createShaderModule({ label: shader.name, code });
      this.#modules.set(shader, module);
    }
    return module;
  }

  #layout(types: readonly GPUBufferBindingType[]): GPUBindGroupLayout {
    const key = types.join();
    let layout = this.#layouts.get(key);
    if (layout === undefined) {
      layout = this.#device.createBindGroupLayout({
        entries: types.map((type, binding) => ({
          binding,
          visibility: COMPUTE_STAGE,
          buffer: { type, hasDynamicOffset: type === "uniform" },
        })),
      });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}
