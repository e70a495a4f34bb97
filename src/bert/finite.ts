import { findNonfiniteTexture } from '../../kernels/find_nonfinite_texture.ts';
import type { ModelError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import { Recording } from '../gpu/recording.ts';
import { loadKernelSource } from '../gpu/sources.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { BertWeights } from './operations.ts';
import { ELEMENT_CODE } from './plain.ts';
import { notFinite } from './weights.ts';

const NONE = 0xffffffff;
/** Workgroups that share one matrix. */
const GROUPS = 64;

/**
 * Looks for NaN and infinity in every matrix, on the GPU, in one submission. Vectors were looked at when they were read.
 * @throws ModelError with the name of the first tensor that holds one
 */
export async function checkWeightsFinite(gpu: Gpu, weights: BertWeights<Tensor>): Promise<void> {
  const source = await loadKernelSource('find_nonfinite');
  const recording = new Recording(gpu);
  const tensors = matricesOf(weights);
  const matrices = [...new Set(tensors.map((tensor) => tensor.part?.of ?? tensor))];
  const found = matrices.map((matrix) => {
    const first = recording.upload('found', [1], Uint32Array.of(NONE));
    const { element, length, storage } = matrix;
    if (storage !== 'buffer') {
      const kernel = gpu.kernel(findNonfiniteTexture(storage === 'sampled' ? 'f32' : element, storage === 'panels'));
      const groups = Math.min(GROUPS, Math.ceil((matrix.texels * matrix.rows) / 64));
      recording.dispatch(kernel, { x: matrix, found: first }, { N: matrix.rows, K: matrix.columns }, [groups]);
    } else {
      const kernel = gpu.kernel(source, { ELEMENT: ELEMENT_CODE[element] });
      const groups = Math.min(GROUPS, Math.ceil(length / 64));
      recording.dispatch(kernel, { words: matrix, found: first }, { count: length }, [groups]);
    }
    return first;
  });
  const results = await recording.submit(found);
  for (const [index, bytes] of results.entries()) {
    const first = new Uint32Array(bytes)[0] ?? NONE;
    if (first !== NONE) throw whatIsNotFinite(tensors, matrices[index] as Tensor, first);
  }
}

/** The error for an element of a matrix, which may be made of several tensors of the file. */
function whatIsNotFinite(tensors: readonly Tensor[], matrix: Tensor, element: number): ModelError {
  for (const { part, label, length } of tensors) {
    const index = element - (part?.row ?? 0) * matrix.columns;
    if (part?.of === matrix && index >= 0 && index < length) return notFinite(label, index);
  }
  return notFinite(matrix.label, element);
}

function matricesOf({ embeddings, layers }: BertWeights<Tensor>): Tensor[] {
  const dense = layers.flatMap(({ attention: { query, key, value, output }, intermediate, output: down }) =>
    [query, key, value, output, intermediate, down].map(({ weight }) => weight),
  );
  return [embeddings.word, ...dense];
}
