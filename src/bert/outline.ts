import { Tensor } from '../gpu/tensor.ts';
import type { ElementType } from '../gpu/tensor.ts';
import type { BertConfig } from './config.ts';
import type { BertWeights, Dense, LayerNorm } from './operations.ts';
import type { Placement } from './rung.ts';
import { elementIn } from './weights.ts';

/**
 * The weights of a model of one layer, without memory: enough to write a forward pass down and see which kernels it takes, not to
 * run it.
 * @param element how the file stores matrices
 */
export function outlineWeights(config: BertConfig, element: ElementType, placement: Placement): BertWeights<Tensor> {
  const { hiddenSize: H, intermediateSize: I, vocabSize, maxPositionEmbeddings, typeVocabSize } = config;
  const stored = elementIn(placement.matrices, element);
  const vector = (length: number): Tensor => new Tensor('vector', [length], { storage: placement.vectors });
  const matrix = (N: number, K: number): Tensor =>
    new Tensor('matrix', [N, K], { element: stored, storage: placement.matrices });
  const dense = (N: number, K: number): Dense<Tensor> => ({ weight: matrix(N, K), bias: vector(N) });
  const layerNorm = (): LayerNorm<Tensor> => ({ weight: vector(H), bias: vector(H) });

  const stacked = dense(3 * H, H);
  const part = (of: Tensor, shape: readonly number[], row: number): Tensor =>
    new Tensor(of.label, shape, { element: of.element, storage: of.storage, part: { of, row } });
  const projection = (index: number): Dense<Tensor> =>
    placement.stackedQkv
      ? { weight: part(stacked.weight, [H, H], index * H), bias: part(stacked.bias, [H], index * H) }
      : dense(H, H);

  const attention = {
    query: projection(0),
    key: projection(1),
    value: projection(2),
    output: dense(H, H),
    layerNorm: layerNorm(),
  };
  return {
    embeddings: {
      word: new Tensor('word', [vocabSize, H], { element }),
      position: new Tensor('position', [maxPositionEmbeddings, H]),
      tokenType: new Tensor('token type', [typeVocabSize, H]),
      layerNorm: layerNorm(),
    },
    layers: [{ attention, intermediate: dense(I, H), output: dense(H, I), layerNorm: layerNorm() }],
  };
}
