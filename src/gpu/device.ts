import { DeviceLostError, GpuError, NoGpuError, OutOfMemoryError } from '../errors.ts';
import { openAdapter } from './adapter.ts';
import type { AdapterDescription, OpenedAdapter } from './adapter.ts';
import { Kernel } from './kernel.ts';
import type { Constants, KernelSource } from './kernel.ts';
import { Pool } from './pool.ts';
import { Tensor } from './tensor.ts';
import { waitSleeping } from './wait.ts';

export interface GpuOptions {
  /** Part of the name of the adapter to use; the best one where it is left out. */
  adapter?: string;
  /** Longest time to wait for one answer of the GPU, in seconds. */
  timeout?: number;
  /**
   * Dawn's bounds checks on every access, besides those of the kernels, which are tested without, and memory that is cleared before its
   * first use. Default off; a browser has them always.
   */
  robustness?: boolean;
  warn?: (message: string) => void;
}

/** Limits asked of the adapter as high as it has them: a model's largest matrix decides what is needed. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxTextureDimension2D',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
] as const;

/** Optional features that some rungs of the kernel ladder use. */
const FEATURES = ['subgroups', 'shader-f16', 'timestamp-query'] as const;

/**
 * One device. Every piece of work runs inside error scopes; an error that no scope caught fails the next wait. Dispose it, and
 * the process can end.
 */
export class Gpu implements AsyncDisposable {
  readonly device: GPUDevice;
  readonly description: AdapterDescription;
  readonly reason: string;
  readonly pool: Pool;
  /** Lanes of a subgroup where the adapter has one size only; 0 where it has none or several. */
  readonly subgroupSize: number;
  readonly #opened: OpenedAdapter;
  readonly #timeout: number;
  readonly #kernels = new Map<string, Kernel>();
  /** Rejects each wait that is under way. */
  readonly #waiting = new Set<(error: Error) => void>();
  #failure: Error | undefined;
  /** The device gave no answer in time, and may never give one. */
  #silent = false;
  #disposed = false;

  private constructor(opened: OpenedAdapter, device: GPUDevice, timeout: number) {
    this.#opened = opened;
    this.device = device;
    this.description = opened.description;
    this.reason = opened.reason;
    this.#timeout = timeout;
    this.pool = new Pool(device);
    const { subgroupMinSize = 0, subgroupMaxSize = 0 } = opened.adapter.info as {
      subgroupMinSize?: number;
      subgroupMaxSize?: number;
    };
    this.subgroupSize = device.features.has('subgroups') && subgroupMinSize === subgroupMaxSize ? subgroupMaxSize : 0;
    device.addEventListener('uncapturederror', (event) =>
      this.#fail(translate((event as GPUUncapturedErrorEvent).error, 'between two batches')),
    );
    void device.lost.then(({ message }) => {
      this.#fail(
        this.#disposed
          ? new GpuError(
              'the device was disposed while work was in flight: let what runs finish before disposing the model',
            )
          : new DeviceLostError(
              `the GPU was lost: ${this.description.name}${message ? ` (${firstLine(message)})` : ''}`,
            ),
      );
    });
  }

  /**
   * Opens the best adapter, or the one named, and a device of it.
   * @throws NoGpuError where there is none, or it refuses a device.
   */
  static async open(options: GpuOptions = {}): Promise<Gpu> {
    const opened = await openAdapter({
      ...(options.adapter === undefined ? {} : { name: options.adapter }),
      ...(options.warn === undefined ? {} : { warn: options.warn }),
      robustness: options.robustness ?? false,
    });
    const { adapter } = opened;
    const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
    const requiredFeatures = FEATURES.filter((feature) => adapter.features.has(feature));
    try {
      const device = await adapter.requestDevice({ label: 'layer8', requiredLimits, requiredFeatures });
      return new Gpu(opened, device, (options.timeout ?? 0) * 1000);
    } catch (cause) {
      opened.release();
      throw new NoGpuError(`the adapter gives no device: ${opened.description.name}: ${firstLine(String(cause))}`, {
        hint: 'Update its driver, or choose another with --adapter (`layer8 doctor` lists them).',
        cause,
      });
    }
  }

  /** The kernel's pipeline on this device, compiled once for each set of constants. Compiling starts now and goes on beside other work. */
  kernel(source: KernelSource, constants: Constants = {}): Kernel {
    const key = `${source.name} ${JSON.stringify(constants)}`;
    const known = this.#kernels.get(key);
    if (known?.code === source.code) return known;
    // What the driver says against a kernel also fails its pipeline, and whoever waits for that decides what follows.
    this.device.pushErrorScope('validation');
    try {
      const kernel = new Kernel(this.device, source, constants);
      this.#kernels.set(key, kernel);
      return kernel;
    } finally {
      this.device.popErrorScope().catch(() => {});
    }
  }

  /** Every kernel that was asked for so far. */
  kernels(): Kernel[] {
    return [...this.#kernels.values()];
  }

  /** A tensor with memory of its own, for weights, until the device is disposed. Where there is none left, the next wait fails. */
  allocate(tensor: Tensor): Tensor {
    const what = `${tensor.label} of ${(tensor.byteLength / 1e6).toFixed(1)} MB`;
    this.device.pushErrorScope('out-of-memory');
    tensor.resource = this.pool.create(tensor);
    this.device.popErrorScope().then(
      (error) => error && this.#fail(translate(error, what)),
      () => {},
    );
    return tensor;
  }

  /**
   * Runs `work` inside error scopes.
   * @throws OutOfMemoryError, DeviceLostError, GpuError with `what` in the message.
   */
  async guard<T>(what: string, work: () => T | Promise<T>): Promise<T> {
    this.check();
    const { device } = this;
    for (const filter of ['validation', 'internal', 'out-of-memory'] as const) device.pushErrorScope(filter);
    let result: T | Promise<T>;
    let errors: Promise<(GPUError | null)[]>;
    try {
      // Scopes close as soon as `work` has returned, so that work which runs beside this one is not caught by them.
      result = work();
    } finally {
      errors = Promise.all([device.popErrorScope(), device.popErrorScope(), device.popErrorScope()]);
      errors.catch(() => {});
    }
    const settled = Promise.resolve(result);
    settled.catch(() => {});
    const found = (await this.wait(errors)).find((error) => error !== null);
    if (found) throw translate(found, what);
    return this.wait(settled);
  }

  /**
   * Waits for an answer of the GPU: not past the device's loss, an uncaptured error, or the time limit.
   * @throws DeviceLostError, GpuError
   */
  async wait<T>(promise: Promise<T>): Promise<T> {
    this.check();
    // A promise of this wait alone: one that all waits raced with would keep all their results for as long as the device lives.
    let fail = (_error: Error): void => {};
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    this.#waiting.add(fail);
    const giveUp = (): void => {
      this.#silent = true;
      this.#fail(
        new GpuError(`the GPU gave no answer for ${this.#timeout / 1000} s: ${this.description.name}`, {
          hint: 'Raise --timeout, or choose another adapter with --adapter.',
        }),
      );
    };
    const timer = this.#timeout > 0 ? setTimeout(giveUp, this.#timeout) : undefined;
    try {
      const race = Promise.race([promise, failed]);
      return await (this.description.software && typeof process !== 'undefined' ? waitSleeping(race) : race);
    } catch (error) {
      if (error instanceof DOMException) {
        await this.checkSoon();
        throw new DeviceLostError(`the GPU gave no result: ${this.description.name}: ${firstLine(error.message)}`, {
          cause: error,
        });
      }
      throw error;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(fail);
    }
  }

  /** Makes the device unusable: every wait, under way or later, ends with the first failure. */
  #fail(error: Error): void {
    this.#failure ??= error;
    for (const fail of this.#waiting) fail(this.#failure);
  }

  /** @throws what made this device unusable, where something did. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** `check`, a turn later: what a lost device breaks fails before the loss itself is reported. */
  async checkSoon(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.check();
  }

  /**
   * Frees all memory, ends the device, and forgets the adapter. Not so a device that gave no answer: ending it would block until
   * it does, so only the end of the process frees it.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#silent) return this.#opened.abandon();
    this.pool.destroy();
    this.device.destroy();
    await this.device.lost;
    this.#opened.release();
  }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

function translate(error: GPUError, what: string): GpuError {
  const message = firstLine(error.message);
  if (error.constructor.name === 'GPUOutOfMemoryError') {
    return new OutOfMemoryError(`the GPU's memory does not suffice: ${what}: ${message}`, {
      hint: 'A shorter text or a smaller batch needs less.',
      cause: error,
    });
  }
  const kernel = /(?:Debug group stack:\s*> |BindGroup\w* "?)"([^"\0]+)/.exec(error.message)?.[1];
  const where = kernel === undefined ? what : `${what}, kernel ${kernel}`;
  return new GpuError(`the GPU refused the work, which is a bug in layer8: ${where}: ${message}`, {
    hint: 'Please report it with the output of `layer8 doctor`.',
    cause: error,
  });
}
