import type { Checkpoint, TensorRef } from '../checkpoint/checkpoint.ts';
import type { WeightDtype } from '../checkpoint/dtypes.ts';
import { readF32, readRaw } from '../checkpoint/read.ts';
import type { ChunkPair } from '../checkpoint/read.ts';
import { ModelError, NoGpuError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import { PANEL_ROWS, panelExtent, toPanels } from '../gpu/panels.ts';
import { Tensor } from '../gpu/tensor.ts';
import type { ElementType, Storage } from '../gpu/tensor.ts';
import { awake } from '../gpu/wait.ts';
import type { BertConfig } from './config.ts';
import { bertNames } from './names.ts';
import type { LayerNames, PairNames } from './names.ts';
import type { BertWeights, Dense, LayerNorm, LayerWeights } from './operations.ts';
import type { Placement } from './rung.ts';

/** Float64 has no type in WGSL: it goes up as float32. The others go up as they lie in the file. */
const ELEMENT: Record<WeightDtype, ElementType> = { F32: 'f32', F64: 'f32', F16: 'f16', BF16: 'bf16' };
const CHUNK_BYTES = 1 << 20;

/** How matrices go up: a texture that a driver widens has no format for bfloat16. */
export function elementIn(storage: Storage, element: ElementType): ElementType {
  return storage === 'sampled' && element === 'bf16' ? 'f32' : element;
}

/** How matrices of this dtype lie in their file, as the GPU is told. */
export function elementOf(dtype: WeightDtype): ElementType {
  return ELEMENT[dtype];
}

/** Where weights come from and where they go. */
interface Target {
  readonly gpu: Gpu;
  readonly checkpoint: Checkpoint;
  readonly placement: Placement;
  /** Every matrix is read through these, by turns. */
  readonly scratch: ChunkPair;
  /** And is put in panels in this. */
  readonly panels: Uint32Array<ArrayBuffer>;
}

/** The dtype of the encoder's matrices, read off the first of them. */
export async function weightDtype(checkpoint: Checkpoint, config: BertConfig): Promise<WeightDtype> {
  const { hiddenSize: H } = config;
  return (await checkpoint.need(bertNames(checkpoint).layer(0).query.weight, [H, H])).dtype;
}

/**
 * Reads the embeddings and the first `layers` encoder layers into GPU memory, range by range; nothing of a later layer is opened
 * or read. `onFirstLayer` is called as soon as a forward pass of one layer could run.
 * @throws ModelError where a tensor is missing, of another shape, or not finite; NoGpuError where the adapter's limits are too small
 */
export async function loadWeights(
  gpu: Gpu,
  checkpoint: Checkpoint,
  config: BertConfig,
  layers: number,
  placement: Placement,
  onFirstLayer: (weights: BertWeights<Tensor>) => void = () => {},
): Promise<BertWeights<Tensor>> {
  const target: Target = {
    gpu,
    checkpoint,
    placement,
    scratch: [new Uint8Array(CHUNK_BYTES), new Uint8Array(CHUNK_BYTES)],
    panels: new Uint32Array(CHUNK_BYTES / 4),
  };
  const names = bertNames(checkpoint);
  const { hiddenSize: H } = config;
  const embeddings = {
    // Looked up row by row: a storage buffer holds any number of rows, a texture does not.
    word: await loadMatrix(target, 'buffer', [names.embeddings.word], [config.vocabSize, H]),
    position: await loadVector(target, 'buffer', names.embeddings.position, [config.maxPositionEmbeddings, H]),
    tokenType: await loadVector(target, 'buffer', names.embeddings.tokenType, [config.typeVocabSize, H]),
    layerNorm: await loadLayerNorm(target, names.embeddings.layerNorm, H),
  };
  const loaded: LayerWeights<Tensor>[] = [];
  // What is written lies in memory twice until the GPU has taken it: it takes a layer while the next is read, not the whole model.
  let taken = Promise.resolve<unknown>(undefined);
  for (let l = 0; l < layers; l++) {
    loaded.push(await awake(() => loadLayer(target, names.layer(l), H, config.intermediateSize)));
    if (l === 0) onFirstLayer({ embeddings, layers: [...loaded] });
    await taken;
    gpu.device.queue.submit([]);
    taken = gpu.wait(gpu.device.queue.onSubmittedWorkDone());
    taken.catch(() => {});
  }
  await taken;
  return { embeddings, layers: loaded };
}

async function loadLayer(target: Target, names: LayerNames, H: number, I: number): Promise<LayerWeights<Tensor>> {
  const [query, key, value] = await loadQkv(target, [names.query, names.key, names.value], H);
  return {
    attention: {
      query,
      key,
      value,
      output: await loadDense(target, names.attentionOutput, H, H),
      layerNorm: await loadLayerNorm(target, names.attentionLayerNorm, H),
    },
    intermediate: await loadDense(target, names.intermediate, I, H),
    output: await loadDense(target, names.output, H, I),
    layerNorm: await loadLayerNorm(target, names.outputLayerNorm, H),
  };
}

type Three<T> = [query: T, key: T, value: T];

/** Query, key and value by themselves, or as parts of one matrix where the rung wants that and they are stored alike. */
async function loadQkv(target: Target, names: Three<PairNames>, H: number): Promise<Three<Dense<Tensor>>> {
  const { placement, checkpoint, gpu } = target;
  const dtypes = await Promise.all(names.map(async ({ weight }) => (await checkpoint.need(weight, [H, H])).dtype));
  const alike = dtypes.every((dtype) => dtype === dtypes[0]);
  // In panels the second and the third must each begin one.
  const apart = placement.matrices === 'panels' && H % PANEL_ROWS !== 0;
  if (!placement.stackedQkv || !alike || apart) {
    const [query, key, value] = names;
    return [
      await loadDense(target, query, H, H),
      await loadDense(target, key, H, H),
      await loadDense(target, value, H, H),
    ];
  }
  const matrices = names.map(({ weight }) => weight);
  const weight = await loadMatrix(target, placement.matrices, matrices, [3 * H, H]);
  const bias = gpu.allocate(new Tensor('query + key + value bias', [3 * H], { storage: placement.vectors }));
  for (const [index, name] of names.entries()) await writeVector(target, bias, name.bias, [H], index * H);
  const part = (of: Tensor, name: string, shape: readonly number[], row: number): Tensor =>
    new Tensor(name, shape, { element: of.element, storage: of.storage, part: { of, row } });
  return names.map((name, index) => ({
    weight: part(weight, name.weight, [H, H], index * H),
    bias: part(bias, name.bias, [H], index * H),
  })) as Three<Dense<Tensor>>;
}

async function loadDense(target: Target, { weight, bias }: PairNames, N: number, K: number): Promise<Dense<Tensor>> {
  return {
    weight: await loadMatrix(target, target.placement.matrices, [weight], [N, K]),
    bias: await loadVector(target, target.placement.vectors, bias, [N]),
  };
}

async function loadLayerNorm(target: Target, { weight, bias }: PairNames, H: number): Promise<LayerNorm<Tensor>> {
  return {
    weight: await loadVector(target, target.placement.vectors, weight, [H]),
    bias: await loadVector(target, target.placement.vectors, bias, [H]),
  };
}

/** One matrix as it lies in the file, or several of the same width, one below the other. */
async function loadMatrix(
  target: Target,
  storage: Storage,
  names: readonly string[],
  shape: readonly [number, number],
): Promise<Tensor> {
  const [rows, columns] = shape;
  const refs = await Promise.all(names.map((name) => target.checkpoint.need(name, [rows / names.length, columns])));
  const element = elementIn(storage, elementOf((refs[0] as TensorRef<WeightDtype>).dtype));
  const tensor = new Tensor(names.join(' + '), shape, { element, storage });
  checkLimits(target.gpu, tensor);
  target.gpu.allocate(tensor);
  const rowBytes = columns * (element === 'f32' ? 4 : 2);
  // With two-byte numbers an odd row is no multiple of the four bytes that buffers are written in.
  const together = storage === 'panels' ? PANEL_ROWS : 2;
  for (const [index, ref] of refs.entries()) {
    const start = index * (rows / names.length) * rowBytes;
    const write = (bytes: Uint8Array<ArrayBuffer>, offset: number): void =>
      storage === 'panels'
        ? writePanels(target, tensor, bytes, (start + offset) / rowBytes)
        : writeRows(target.gpu, tensor, bytes, start + offset, rowBytes);
    if (element === 'f32' && ref.dtype !== 'F32') {
      const writeChunk = (chunk: Float32Array<ArrayBuffer>, at: number): void => write(asBytes(chunk), at * 4);
      await readF32(ref, writeChunk, wholeRows(CHUNK_BYTES / 4, columns, together));
    } else {
      const chunk = wholeRows(CHUNK_BYTES, rowBytes, together);
      const [one, two] = target.scratch;
      await readRaw(ref, write, chunk <= CHUNK_BYTES ? [one.subarray(0, chunk), two.subarray(0, chunk)] : chunk);
    }
  }
  return tensor;
}

function asBytes(chunk: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

/** The most rows that fit a chunk, a multiple of `together`. */
function wholeRows(limit: number, row: number, together: number): number {
  return Math.max(together, Math.floor(limit / row / together) * together) * row;
}

/** Small tensors go up as float32, whatever they are in the file. */
async function loadVector(target: Target, storage: Storage, name: string, shape: readonly number[]): Promise<Tensor> {
  const tensor = target.gpu.allocate(new Tensor(name, shape, { storage }));
  await writeVector(target, tensor, name, shape, 0);
  return tensor;
}

/** Writes one small tensor from element `first` of `tensor` on. */
async function writeVector(
  target: Target,
  tensor: Tensor,
  name: string,
  shape: readonly number[],
  first: number,
): Promise<void> {
  const ref = await target.checkpoint.need(name, shape);
  await readF32(ref, (chunk, offset) => {
    const bad = chunk.findIndex((x) => !Number.isFinite(x));
    if (bad >= 0) throw notFinite(name, offset + bad);
    writeRows(target.gpu, tensor, asBytes(chunk), (first + offset) * 4, tensor.columns * 4);
  });
}

/** Writes rows of a matrix from `row` on, which is the first of a panel. */
function writePanels({ gpu, panels }: Target, tensor: Tensor, bytes: Uint8Array<ArrayBuffer>, row: number): void {
  gpu.check();
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const arranged = toPanels(words, tensor.texels, panels);
  const [width] = tensor.extent;
  const [, above] = panelExtent(row, tensor.texels);
  const bytesPerRow = width * tensor.texelBytes;
  const size = [width, arranged.byteLength / bytesPerRow];
  gpu.device.queue.writeTexture(
    { texture: tensor.resource as GPUTexture, origin: [0, above] },
    arranged,
    { bytesPerRow },
    size,
  );
}

function writeRows(gpu: Gpu, tensor: Tensor, bytes: Uint8Array<ArrayBuffer>, offset: number, rowBytes: number): void {
  gpu.check(); // a lost device takes writes without a word
  const { queue } = gpu.device;
  const resource = tensor.resource as GPUBuffer | GPUTexture;
  if ('createView' in resource) {
    // A texture is written in whole rows, or, where it has a single one, in whole texels of it.
    const rows = Math.max(1, bytes.byteLength / rowBytes);
    const { texelBytes } = tensor;
    const origin = [(offset % rowBytes) / texelBytes, Math.floor(offset / rowBytes)];
    const width = Math.min(rowBytes, bytes.byteLength) / texelBytes;
    queue.writeTexture({ texture: resource, origin }, bytes, { bytesPerRow: width * texelBytes }, [width, rows]);
    return;
  }
  const whole = bytes.byteLength & ~3;
  queue.writeBuffer(resource, offset, bytes, 0, whole);
  if (whole < bytes.byteLength) {
    const rest = new Uint8Array(4);
    rest.set(bytes.subarray(whole));
    queue.writeBuffer(resource, offset + whole, rest);
  }
}

export function notFinite(name: string, index: number): ModelError {
  return new ModelError(`the weights hold NaN or infinity: tensor ${name}, element ${index}`, {
    hint: 'The file is damaged, or the model was not trained to its end.',
  });
}

function checkLimits(gpu: Gpu, tensor: Tensor): void {
  const { limits } = gpu.device;
  const need = (limit: string, needed: number, offered: number): void => {
    if (needed <= offered) return;
    throw new NoGpuError(
      `the model is too large for this adapter: ${tensor.label} needs ${limit} ${needed}, ${gpu.description.name} offers ${offered}`,
      { hint: 'Choose another adapter with --adapter (`layer8 doctor` lists them).' },
    );
  };
  if (tensor.storage !== 'buffer') {
    need('maxTextureDimension2D', Math.max(...tensor.extent), limits.maxTextureDimension2D);
  } else {
    need(
      'maxStorageBufferBindingSize',
      tensor.byteLength,
      Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize),
    );
  }
}
