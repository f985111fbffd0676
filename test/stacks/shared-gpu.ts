// One device for all engines of the suite, so that a shader is compiled once and not for each model: on a
// GPU that is a program, compiling takes most of the time.

/** What stands for `gpu`; engines that are disposed leave the device to the others. */
export function shareDevice(gpu: GPU): GPU {
  const adapters = new Map<string, Promise<GPUAdapter | null>>();
  return standIn(gpu, {
    requestAdapter: (options?: GPURequestAdapterOptions) =>
      once(adapters, JSON.stringify(options), async () => {
        const adapter = await gpu.requestAdapter(options);
        return adapter === null ? null : shareAdapter(adapter);
      }),
  });
}

function shareAdapter(adapter: GPUAdapter): GPUAdapter {
  const devices = new Map<string, Promise<() => GPUDevice>>();
  return standIn(adapter, {
    requestDevice: async (descriptor?: GPUDeviceDescriptor) => {
      const open = await once(devices, JSON.stringify(descriptor), async () =>
        shareCompiler(await adapter.requestDevice(descriptor)),
      );
      return open();
    },
  });
}

/** @returns Makes a device for one engine; its buffers go when it is destroyed. */
function shareCompiler(device: GPUDevice): () => GPUDevice {
  const modules = new Map<string, GPUShaderModule>();
  const pipelines = new Map<string, GPUComputePipeline>();
  const codes = new Map<GPUShaderModule, string>();
  return () => {
    const buffers = new Set<GPUBuffer>();
    return standIn(device, {
      createShaderModule: (descriptor: GPUShaderModuleDescriptor) =>
        once(modules, descriptor.code, () => {
          const module = device.createShaderModule(descriptor);
          codes.set(module, descriptor.code);
          return module;
        }),
      // The layouts follow from the code: equal ones are interchangeable.
      createComputePipeline: (descriptor: GPUComputePipelineDescriptor) => {
        const { module, entryPoint, constants } = descriptor.compute;
        const key = JSON.stringify([codes.get(module), entryPoint, constants]);
        return once(pipelines, key, () => device.createComputePipeline(descriptor));
      },
      createBuffer: (descriptor: GPUBufferDescriptor) => {
        const buffer = device.createBuffer(descriptor);
        buffers.add(buffer);
        return buffer;
      },
      destroy: () => {
        for (const buffer of buffers) buffer.destroy();
        buffers.clear();
      },
    });
  };
}

function once<T>(made: Map<string, T>, key: string | undefined, make: () => T): T {
  const found = made.get(key ?? "");
  if (found !== undefined) return found;
  const value = make();
  made.set(key ?? "", value);
  return value;
}

/** `target` with some of its methods replaced; the others still run on `target` itself. */
function standIn<T extends object>(target: T, replaced: Partial<T>): T {
  return new Proxy(target, {
    get: (_, key) => {
      const own: unknown = Reflect.get(replaced, key) ?? Reflect.get(target, key, target);
      return typeof own === "function" ? (own as () => unknown).bind(target) : own;
    },
  });
}
