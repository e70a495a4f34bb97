import { findNonfiniteTexture } from '../../kernels/find_nonfinite_texture.ts';
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
  const matrices = matricesOf(weights);
  const found = matrices.map((matrix) => {
    const first = recording.upload('found', [1], Uint32Array.of(NONE));
    const { element, length, storage } = matrix;
    if (storage === 'texture') {
      const kernel = gpu.kernel(findNonfiniteTexture(element));
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
    if (first !== NONE) throw notFinite((matrices[index] as Tensor).label, first);
  }
}

function matricesOf({ embeddings, layers }: BertWeights<Tensor>): Tensor[] {
  const dense = layers.flatMap(({ attention: { query, key, value, output }, intermediate, output: down }) =>
    [query, key, value, output, intermediate, down].map(({ weight }) => weight.part?.of ?? weight),
  );
  return [...new Set([embeddings.word, ...dense])];
}
