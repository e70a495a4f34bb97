import type { Constants, KernelSource } from '../../src/gpu/kernel.ts';
import { Recording } from '../../src/gpu/recording.ts';
import { loadKernelSource } from '../../src/gpu/sources.ts';
import { Tensor } from '../../src/gpu/tensor.ts';
import type { ElementType } from '../../src/gpu/tensor.ts';
import { ELEMENT_CODE } from '../../src/bert/plain.ts';
import { isMargin, MARGIN, testGpu, withMargin } from './harness.ts';
import type { Operand } from './harness.ts';

/** A matrix that is given to a kernel as a texture. */
export interface Texture {
  readonly columns: number;
  /** float32, or packed weights as 32-bit words. */
  readonly values: Operand;
  readonly element: ElementType;
}

/** One dispatch of a kernel that reads or writes textures. */
export interface TextureCall {
  readonly operands: Readonly<Record<string, Operand | Texture>>;
  readonly numbers: Record<string, number>;
  readonly grid: readonly [number, number?, number?];
  readonly constants?: Constants;
  readonly robustness?: boolean;
}

/** Rows below every texture, and texels beside it, that a kernel must leave alone. */
const FRAME = 2;
const UNTOUCHED = 0x4b1dbeef;

/** A matrix of float32 as a texture, or of `element` as the words of a file. */
export function texture(values: Operand, columns: number, element: ElementType = 'f32'): Texture {
  return { columns, values, element };
}

/** The elements of textures, by the code of data.ts. */
export const ELEMENTS = (['f32', 'f16', 'bf16'] as const).map((element) => ({ element, code: ELEMENT_CODE[element] }));

/**
 * Runs one dispatch and returns the buffer or the float32 texture called `result`.
 * @throws Error where the kernel wrote below it or beside it.
 */
export async function runOnTextures(
  source: string | KernelSource,
  result: string,
  { operands, numbers, grid, constants, robustness = true }: TextureCall,
): Promise<Float32Array> {
  const gpu = await testGpu(robustness);
  const recording = new Recording(gpu);
  const textures: Tensor[] = [];
  const place = ([name, operand]: [string, Operand | Texture], i: number): [string, Tensor] => {
    if (!('element' in operand))
      return [name, recording.upload(name, [operand.length + MARGIN], withMargin(operand, i))];
    const tensor = upload(gpu.device, name, operand, (made) => gpu.allocate(made));
    textures.push(tensor);
    return [name, tensor];
  };
  const tensors = Object.fromEntries(Object.entries(operands).map(place));
  const kernel = gpu.kernel(typeof source === 'string' ? await loadKernelSource(source) : source, constants);
  recording.dispatch(kernel, tensors, numbers, grid);
  try {
    const tensor = tensors[result] as Tensor;
    const operand = operands[result] as Operand | Texture;
    const [bytes] = await recording.submit([tensor]);
    const words = new Uint32Array(bytes as ArrayBuffer);
    if (!('element' in operand)) {
      if (!isMargin(words.subarray(operand.length), Object.keys(operands).indexOf(result)))
        throw new Error(`${kernel.name} wrote past the end of ${result}`);
      return new Float32Array(words.buffer, 0, operand.length);
    }
    const inside = (word: number): boolean =>
      word % tensor.columns < operand.columns &&
      Math.floor(word / tensor.columns) * operand.columns < operand.values.length;
    if (words.some((word, at) => !inside(at) && word !== UNTOUCHED))
      throw new Error(`${kernel.name} wrote beside ${result}`);
    return new Float32Array(words.filter((_, at) => inside(at)).buffer);
  } finally {
    for (const tensor of textures) gpu.pool.free(tensor.resource as GPUTexture);
  }
}

/** The matrix with a few rows below it and a few texels beside it that hold what no kernel writes. */
function upload(
  device: GPUDevice,
  name: string,
  { columns, values, element }: Texture,
  allocate: (tensor: Tensor) => Tensor,
): Tensor {
  const perWord = element === 'f32' ? 1 : 2;
  const rowWords = columns / perWord;
  const wide = rowWords + 4 * FRAME;
  const rows = values.length / rowWords;
  const words = new Uint32Array((rows + FRAME) * wide).fill(UNTOUCHED);
  const own = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let row = 0; row < rows; row++) words.set(own.subarray(row * rowWords, (row + 1) * rowWords), row * wide);
  const tensor = allocate(new Tensor(name, [rows + FRAME, wide * perWord], { element, storage: 'texture' }));
  const size = [tensor.texels, rows + FRAME];
  device.queue.writeTexture({ texture: tensor.resource as GPUTexture }, words, { bytesPerRow: wide * 4 }, size);
  return tensor;
}
