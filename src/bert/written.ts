import type { Gpu } from '../gpu/device.ts';
import type { Kernel, KernelSource } from '../gpu/kernel.ts';

/** Kernels of one device whose text a function writes. Each is written, and starts to compile, when it is first asked for. */
export class WrittenKernels {
  readonly #gpu: Gpu;
  readonly #written = new Map<string, Kernel>();

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** The kernel called `key`; `write` is called the first time only. */
  get(key: string, write: () => KernelSource): Kernel {
    let kernel = this.#written.get(key);
    if (!kernel) {
      kernel = this.#gpu.kernel(write());
      this.#written.set(key, kernel);
    }
    return kernel;
  }
}
