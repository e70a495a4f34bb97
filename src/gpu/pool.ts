import type { Tensor } from './tensor.ts';

type Resource = GPUBuffer | GPUTexture;

/** Memory of tensors, kept for the next batch: a batch of the same shape allocates nothing. */
export class Pool {
  readonly #device: GPUDevice;
  readonly #free: Resource[] = [];
  readonly #freeUniforms: GPUBuffer[] = [];
  /** All memory, and when it was made. */
  readonly #all = new Map<Resource, number>();
  #made = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Memory for `tensor` that only it uses. */
  create(tensor: Tensor): Resource {
    const resource =
      tensor.storage === 'buffer' ? this.#buffer(tensor.label, tensor.byteLength) : this.#texture(tensor);
    this.#all.set(resource, this.#made++);
    return resource;
  }

  /**
   * Memory of at least the tensor's size, from what was released where something fits without wasting more than half of it. Of the
   * smallest it is the oldest, so that the same batch gets the same memory again, whatever was released in which order.
   */
  acquire(tensor: Tensor): Resource {
    let best: Resource | undefined;
    for (const resource of this.#free) {
      if (fits(resource, tensor) && (!best || this.#before(resource, best))) best = resource;
    }
    if (!best) return this.create(tensor);
    this.#free.splice(this.#free.indexOf(best), 1);
    return best;
  }

  /** Whether `a` is smaller than `b`, or as large and older. */
  #before(a: Resource, b: Resource): boolean {
    return size(a) < size(b) || (size(a) === size(b) && (this.#all.get(a) ?? 0) < (this.#all.get(b) ?? 0));
  }

  release(resource: Resource): void {
    this.#free.push(resource);
  }

  /** A buffer for the numbers of a recording's dispatches. */
  acquireUniforms(bytes: number): GPUBuffer {
    const index = this.#freeUniforms.findIndex((buffer) => buffer.size >= bytes);
    if (index >= 0) return this.#freeUniforms.splice(index, 1)[0] as GPUBuffer;
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    // In powers of two, so that a batch with some more dispatches finds it large enough.
    const buffer = this.#device.createBuffer({ label: 'uniforms', size: 2 ** Math.ceil(Math.log2(bytes)), usage });
    this.#all.set(buffer, this.#made++);
    return buffer;
  }

  releaseUniforms(buffer: GPUBuffer): void {
    this.#freeUniforms.push(buffer);
  }

  /** Frees what no tensor uses now. */
  trim(): void {
    for (const resource of this.#free.splice(0)) this.free(resource);
  }

  /** Frees one piece of memory for good. */
  free(resource: Resource): void {
    this.#all.delete(resource);
    resource.destroy();
  }

  destroy(): void {
    for (const resource of this.#all.keys()) resource.destroy();
    this.#all.clear();
    this.#free.length = 0;
    this.#freeUniforms.length = 0;
  }

  #buffer(label: string, bytes: number): GPUBuffer {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    // A binding must not be empty, and vec4 views want whole texels.
    return this.#device.createBuffer({ label, size: Math.max(16, Math.ceil(bytes / 16) * 16), usage });
  }

  #texture(tensor: Tensor): GPUTexture {
    const usage =
      GPUTextureUsage.TEXTURE_BINDING |
      GPUTextureUsage.STORAGE_BINDING |
      GPUTextureUsage.COPY_SRC |
      GPUTextureUsage.COPY_DST;
    return this.#device.createTexture({
      label: tensor.label,
      size: tensor.extent,
      format: tensor.format,
      usage,
    });
  }
}

function size(resource: Resource): number {
  return 'createView' in resource
    ? resource.width * resource.height * (resource.format === 'rgba16float' ? 8 : 16)
    : resource.size;
}

function fits(resource: Resource, tensor: Tensor): boolean {
  if ('createView' in resource) {
    const [width, height] = tensor.extent;
    return (
      tensor.storage !== 'buffer' &&
      resource.format === tensor.format &&
      resource.width === width &&
      resource.height >= height &&
      resource.height <= 2 * height
    );
  }
  return (
    tensor.storage === 'buffer' &&
    resource.size >= tensor.byteLength &&
    resource.size <= Math.max(64, 2 * tensor.byteLength)
  );
}
