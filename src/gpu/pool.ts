import type { Tensor } from './tensor.ts';

type Resource = GPUBuffer | GPUTexture;

/** Memory of tensors, kept for the next batch: a batch of the same shape allocates nothing. */
export class Pool {
  readonly #device: GPUDevice;
  readonly #free: Resource[] = [];
  readonly #all = new Set<Resource>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Memory for `tensor` that only it uses. */
  create(tensor: Tensor): Resource {
    const resource =
      tensor.storage === 'buffer' ? this.#buffer(tensor.label, tensor.byteLength) : this.#texture(tensor);
    this.#all.add(resource);
    return resource;
  }

  /** Memory of at least the tensor's size, from what was released where something fits without wasting more than half of it. */
  acquire(tensor: Tensor): Resource {
    let best = -1;
    for (const [index, resource] of this.#free.entries()) {
      if (fits(resource, tensor) && (best < 0 || size(resource) < size(this.#free[best] as Resource))) best = index;
    }
    return best < 0 ? this.create(tensor) : (this.#free.splice(best, 1)[0] as Resource);
  }

  release(resource: Resource): void {
    this.#free.push(resource);
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
    for (const resource of this.#all) resource.destroy();
    this.#all.clear();
    this.#free.length = 0;
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
