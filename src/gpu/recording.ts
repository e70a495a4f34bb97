import { CompileError, OutOfMemoryError } from '../errors.ts';
import type { Gpu } from './device.ts';
import type { Kernel } from './kernel.ts';
import { Tensor } from './tensor.ts';
import type { ElementType, Storage } from './tensor.ts';

interface Step {
  readonly kernel: Kernel;
  readonly operands: Record<string, Tensor>;
  readonly numbers: Record<string, number>;
  readonly grid: readonly [number, number, number];
}

/** A number of a uniform starts where WebGPU lets a binding start. */
const UNIFORM_ALIGNMENT = 256;
/** Bind groups that a kernel remembers: those of the last few shapes of a batch. */
const MOST_GROUPS = 512;

/**
 * A list of dispatches that is submitted once. Recording only writes down; `submit` finds memory for every tensor, records one
 * compute pass, submits it, and maps the tensors that are asked for in one piece.
 */
export class Recording {
  readonly #gpu: Gpu;
  readonly #steps: Step[] = [];
  readonly #owned = new Set<Tensor>();
  readonly #makers = new Map<Tensor, string>();
  readonly #uploads: { tensor: Tensor; data: ArrayBufferView }[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** A tensor of this recording. Its memory is shared with tensors that are not alive at the same time. */
  tensor(label: string, shape: readonly number[], options: { element?: ElementType; storage?: Storage } = {}): Tensor {
    const tensor = new Tensor(label, shape, options);
    this.#owned.add(tensor);
    return tensor;
  }

  /** A small table that goes up with the batch. */
  upload(label: string, shape: readonly number[], data: Float32Array | Uint32Array): Tensor {
    const tensor = this.tensor(label, shape, { element: data instanceof Float32Array ? 'f32' : 'u32' });
    this.#uploads.push({ tensor, data });
    return tensor;
  }

  /**
   * Writes down one dispatch: tensors by the kernel's operand names, numbers by the fields of its uniform.
   * A grid that is 0 in one dimension runs nothing.
   */
  dispatch(
    kernel: Kernel,
    operands: Record<string, Tensor>,
    numbers: Record<string, number>,
    grid: readonly [number, number?, number?],
  ): void {
    const [x, y = 1, z = 1] = grid;
    const names = Object.keys(operands);
    if (names.length !== kernel.operands.size || names.some((name) => !kernel.operands.has(name))) {
      throw new Error(
        `kernel ${kernel.name} takes ${[...kernel.operands.keys()].join(', ')}; given ${names.join(', ')}`,
      );
    }
    for (const [name, tensor] of Object.entries(operands))
      if (kernel.writes(name)) this.#makers.set(tensor, kernel.name);
    if (x * y * z > 0) this.#steps.push({ kernel, operands, numbers, grid: [x, y, z] });
  }

  /** The name of the kernel that writes `tensor`, the last one where there are several. */
  makerOf(tensor: Tensor): string | undefined {
    return this.#makers.get(tensor);
  }

  /** How many dispatches are written down. */
  get length(): number {
    return this.#steps.length;
  }

  /**
   * Runs the list and returns the bytes of `reads`, in order.
   * @throws DeviceLostError, OutOfMemoryError, GpuError
   */
  async submit(reads: readonly Tensor[]): Promise<ArrayBuffer[]> {
    const gpu = this.#gpu;
    const { device, pool } = gpu;
    const pipelines = await this.#pipelines();
    const borrowed: (GPUBuffer | GPUTexture)[] = [];
    let refused = false;
    const own: GPUBuffer[] = [];
    let uniforms: GPUBuffer | undefined;
    try {
      return await gpu.guard(`${this.#steps.length} dispatches`, async () => {
        this.#allocate(reads, borrowed);
        for (const { tensor, data } of this.#uploads) {
          device.queue.writeBuffer(tensor.resource as GPUBuffer, 0, data.buffer, data.byteOffset, data.byteLength);
        }
        const offsets = this.#offsets();
        uniforms = this.#uniforms(offsets);
        const encoder = device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        for (const [index, step] of this.#steps.entries()) {
          pass.setPipeline(pipelines[index] as GPUComputePipeline);
          pass.setBindGroup(0, this.#bind(step, uniforms, offsets[index] ?? 0));
          // A validation error tells the groups it happened in: the kernel's name.
          pass.pushDebugGroup(step.kernel.name);
          pass.dispatchWorkgroups(...step.grid);
          pass.popDebugGroup();
        }
        pass.end();
        // Something is mapped even where nothing is asked for: only a mapping tells that the device is lost.
        const places = placesOf(reads);
        const staging = device.createBuffer({
          label: 'readback',
          size: places.bytes,
          usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
        });
        own.push(staging);
        for (const [index, tensor] of reads.entries()) copyOut(encoder, tensor, staging, places.at[index] as number);
        device.queue.submit([encoder.finish()]);
        await staging.mapAsync(GPUMapMode.READ);
        const mapped = staging.getMappedRange();
        return reads.map((tensor, index) => copyRows(mapped, places.at[index] as number, tensor));
      });
    } catch (error) {
      refused = error instanceof OutOfMemoryError;
      throw error;
    } finally {
      for (const resource of borrowed) pool.release(resource);
      // What was refused must not be handed out again, and what was not makes room for a smaller batch.
      if (refused) pool.trim();
      if (uniforms) pool.releaseUniforms(uniforms);
      for (const buffer of own) buffer.destroy();
      for (const tensor of this.#owned) tensor.resource = undefined;
    }
  }

  async #pipelines(): Promise<GPUComputePipeline[]> {
    const compiling = this.#steps.map(({ kernel }) =>
      kernel.pipeline.catch(async (cause: unknown) => {
        await this.#gpu.checkSoon();
        throw new CompileError(
          `a kernel does not compile on this driver: ${kernel.name} on ${this.#gpu.description.name}`,
          {
            hint: 'Try --kernels plain, or another adapter with --adapter.',
            cause,
          },
        );
      }),
    );
    return this.#gpu.wait(Promise.all(compiling));
  }

  /** Gives every tensor memory, from its first to its last use; what is read back keeps it to the end. */
  #allocate(reads: readonly Tensor[], borrowed: (GPUBuffer | GPUTexture)[]): void {
    const { pool } = this.#gpu;
    const lastUse = new Map<Tensor, number>();
    for (const [index, { operands }] of this.#steps.entries()) {
      for (const tensor of Object.values(operands)) lastUse.set(tensor, index);
    }
    for (const tensor of reads) lastUse.set(tensor, Infinity);
    const idle: (GPUBuffer | GPUTexture)[] = [];
    const give = (tensor: Tensor): void => {
      if (!this.#owned.has(tensor) || tensor.resource) return;
      // Released memory goes back through the pool, so that the best fit is found among all of it.
      for (const resource of idle.splice(0)) pool.release(resource);
      tensor.resource = pool.acquire(tensor);
    };
    // Uploads are written before the pass starts, so nothing else may lie where they are until their last use.
    for (const { tensor } of this.#uploads) give(tensor);
    for (const [index, { operands }] of this.#steps.entries()) {
      for (const tensor of Object.values(operands)) give(tensor);
      for (const tensor of new Set(Object.values(operands))) {
        if (this.#owned.has(tensor) && lastUse.get(tensor) === index)
          idle.push(tensor.resource as GPUBuffer | GPUTexture);
      }
    }
    for (const resource of idle) pool.release(resource);
    for (const tensor of this.#owned) {
      // What is read back, and what went up for a dispatch that had nothing to do.
      if (tensor.resource && !Number.isFinite(lastUse.get(tensor))) borrowed.push(tensor.resource);
    }
  }

  /** Where the numbers of each dispatch lie, and at the end how many bytes there are. */
  #offsets(): number[] {
    const offsets = [0];
    for (const { kernel } of this.#steps)
      offsets.push((offsets.at(-1) as number) + Math.ceil(kernel.uniformBytes / UNIFORM_ALIGNMENT) * UNIFORM_ALIGNMENT);
    return offsets;
  }

  #uniforms(offsets: readonly number[]): GPUBuffer | undefined {
    const bytes = offsets.at(-1) as number;
    if (bytes === 0) return undefined;
    const data = new DataView(new ArrayBuffer(bytes));
    for (const [index, { kernel, numbers }] of this.#steps.entries())
      kernel.writeUniform(data, offsets[index] as number, numbers);
    const uniforms = this.#gpu.pool.acquireUniforms(bytes);
    this.#gpu.device.queue.writeBuffer(uniforms, 0, data.buffer);
    return uniforms;
  }

  #bind({ kernel, operands }: Step, uniforms: GPUBuffer | undefined, offset: number): GPUBindGroup {
    const bound = Object.entries(operands).map(([name, { resource }]) => `${name} ${identity(resource)}`);
    const key = [...bound, `${identity(uniforms)} ${offset}`].join();
    const known = kernel.groups.get(key);
    if (known) return known;
    const entries: GPUBindGroupEntry[] = Object.entries(operands).map(([name, tensor]) => ({
      binding: kernel.operands.get(name)?.binding ?? -1,
      resource: tensor.binding(),
    }));
    if (uniforms && kernel.uniformBinding >= 0) {
      entries.push({
        binding: kernel.uniformBinding,
        resource: { buffer: uniforms, offset, size: kernel.uniformBytes },
      });
    }
    const group = this.#gpu.device.createBindGroup({ label: kernel.name, layout: kernel.layout, entries });
    // Groups of memory that is gone are never asked for again: they go with the others.
    if (kernel.groups.size >= MOST_GROUPS) kernel.groups.clear();
    kernel.groups.set(key, group);
    return group;
  }
}

const identities = new WeakMap<object, number>();
let identified = 0;

/** A number for each object: no other gets it, not even when the first is gone. */
function identity(object: object | undefined): number {
  if (!object) return 0;
  let number = identities.get(object);
  if (number === undefined) identities.set(object, (number = ++identified));
  return number;
}

/** A row of a texture is copied to a multiple of 256 bytes. */
function rowPitch(tensor: Tensor): number {
  return Math.ceil((tensor.texels * 16) / 256) * 256;
}

function placesOf(tensors: readonly Tensor[]): { at: number[]; bytes: number } {
  const at: number[] = [];
  let bytes = 0;
  for (const tensor of tensors) {
    at.push(bytes);
    const own = tensor.storage === 'texture' ? rowPitch(tensor) * tensor.rows : tensor.byteLength;
    bytes += Math.ceil(own / 256) * 256;
  }
  return { at, bytes: Math.max(4, bytes) };
}

function copyOut(encoder: GPUCommandEncoder, tensor: Tensor, staging: GPUBuffer, offset: number): void {
  if (tensor.length === 0) return;
  const resource = tensor.resource as GPUBuffer | GPUTexture;
  if ('createView' in resource) {
    encoder.copyTextureToBuffer({ texture: resource }, { buffer: staging, offset, bytesPerRow: rowPitch(tensor) }, [
      tensor.texels,
      tensor.rows,
    ]);
  } else {
    encoder.copyBufferToBuffer(resource, 0, staging, offset, tensor.byteLength);
  }
}

function copyRows(mapped: ArrayBuffer, offset: number, tensor: Tensor): ArrayBuffer {
  if (tensor.storage === 'buffer') return mapped.slice(offset, offset + tensor.byteLength);
  const width = tensor.columns * 4;
  const rows = new Uint8Array(tensor.rows * width);
  for (let row = 0; row < tensor.rows; row++) {
    rows.set(new Uint8Array(mapped, offset + row * rowPitch(tensor), width), row * width);
  }
  return rows.buffer;
}
