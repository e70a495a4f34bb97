import { panelExtent } from './panels.ts';

/** How the numbers of a tensor are stored. `f16` and `bf16` are weights as they lie in their file, two numbers a word. */
export type ElementType = 'f32' | 'f16' | 'bf16' | 'u32';

/**
 * Where a tensor lies: a storage buffer, row-major; or a texture whose row is a row of the tensor. The texels of `texture` are 16 bytes
 * as they are stored: four float32, or the words of eight halves. Those of `sampled` are four numbers, float32 or float16, which the
 * driver widens when a kernel fetches them. `panels` is a texture with the texels of `texture` in another order, see panels.ts.
 */
export type Storage = 'buffer' | 'texture' | 'panels' | 'sampled';

export interface TensorOptions {
  readonly element?: ElementType;
  readonly storage?: Storage;
  readonly part?: { readonly of: Tensor; readonly row: number };
}

const BYTES: Record<ElementType, number> = { f32: 4, f16: 2, bf16: 2, u32: 4 };

/**
 * An array of numbers on the GPU. A recording makes tensors that have no memory yet: it is found when the whole list of
 * dispatches is known, so two tensors that are never alive together share theirs. Weights and tables have theirs from the start.
 */
export class Tensor {
  readonly label: string;
  readonly shape: readonly number[];
  readonly element: ElementType;
  readonly storage: Storage;
  /** The tensor this one is a run of rows of, and the first of them; undefined for a tensor with memory of its own. */
  readonly part: { readonly of: Tensor; readonly row: number } | undefined;
  /** The memory; undefined until the recording that owns this tensor is submitted. */
  resource: GPUBuffer | GPUTexture | undefined;

  constructor(label: string, shape: readonly number[], options: TensorOptions = {}) {
    this.label = label;
    this.shape = shape;
    this.element = options.element ?? 'f32';
    this.storage = options.storage ?? 'buffer';
    this.part = options.part;
    this.resource = undefined;
  }

  /** How many numbers. */
  get length(): number {
    return this.shape.reduce((product, extent) => product * extent, 1);
  }

  /** Bytes of the numbers themselves, rounded up to a whole 32-bit word. */
  get byteLength(): number {
    return Math.ceil((this.length * BYTES[this.element]) / 4) * 4;
  }

  /** Numbers in the last dimension: the width of a row. */
  get columns(): number {
    return this.shape.at(-1) ?? 1;
  }

  /** Rows: all dimensions but the last. */
  get rows(): number {
    return this.columns === 0 ? 0 : this.length / this.columns;
  }

  /** Bytes of a texel. */
  get texelBytes(): number {
    return this.storage === 'sampled' ? 4 * BYTES[this.element] : 16;
  }

  /** Texels that a row takes. */
  get texels(): number {
    return Math.ceil((this.columns * BYTES[this.element]) / this.texelBytes);
  }

  /** Width and height of the texture. */
  get extent(): readonly [width: number, height: number] {
    const rows = Math.max(1, this.rows);
    return this.storage === 'panels' ? panelExtent(rows, this.texels) : [this.texels, rows];
  }

  /** The format of the texture. */
  get format(): GPUTextureFormat {
    if (this.element === 'f32') return 'rgba32float';
    return this.storage === 'sampled' ? 'rgba16float' : 'rgba32uint';
  }

  /** What a bind group takes. */
  binding(): GPUBindingResource {
    const resource = this.resource;
    if (resource === undefined) throw new Error(`tensor ${this.label} has no memory yet`);
    return 'createView' in resource ? viewOf(resource) : { buffer: resource };
  }
}

const views = new WeakMap<GPUTexture, GPUTextureView>();

/** The texture's only view: making one for each of a pass's bindings takes longer than all else that is recorded. */
function viewOf(texture: GPUTexture): GPUTextureView {
  let view = views.get(texture);
  if (!view) views.set(texture, (view = texture.createView()));
  return view;
}
