import type { BertConfig } from '../../src/bert/config.ts';
import { bertNames } from '../../src/bert/names.ts';
import type { PairNames } from '../../src/bert/names.ts';
import type { BertWeights, LayerWeights } from '../../src/bert/operations.ts';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { readAllF32 } from '../../src/checkpoint/read.ts';
import type { Matrix } from './operations.ts';

/** The weights of a small model as float64, for `TwinOperations`. */
export async function readTwinWeights(checkpoint: Checkpoint, config: BertConfig): Promise<BertWeights<Matrix>> {
  const { embeddings, layer } = bertNames(checkpoint);
  const { hiddenSize: H, intermediateSize: I } = config;

  const matrix = async (name: string, ...shape: readonly number[]): Promise<Matrix> => {
    const values = Float64Array.from(await readAllF32(await checkpoint.need(name, shape)));
    const columns = shape.at(-1) as number;
    return { values, rows: values.length / columns, columns };
  };
  const dense = async (
    { weight, bias }: PairNames,
    N: number,
    K: number,
  ): Promise<{ weight: Matrix; bias: Matrix }> => ({
    weight: await matrix(weight, N, K),
    bias: await matrix(bias, N),
  });
  const layerNorm = async ({ weight, bias }: PairNames): Promise<{ weight: Matrix; bias: Matrix }> => ({
    weight: await matrix(weight, H),
    bias: await matrix(bias, H),
  });

  const layers: LayerWeights<Matrix>[] = [];
  for (let l = 0; l < config.numHiddenLayers; l++) {
    const names = layer(l);
    layers.push({
      attention: {
        query: await dense(names.query, H, H),
        key: await dense(names.key, H, H),
        value: await dense(names.value, H, H),
        output: await dense(names.attentionOutput, H, H),
        layerNorm: await layerNorm(names.attentionLayerNorm),
      },
      intermediate: await dense(names.intermediate, I, H),
      output: await dense(names.output, H, I),
      layerNorm: await layerNorm(names.outputLayerNorm),
    });
  }
  return {
    embeddings: {
      word: await matrix(embeddings.word, config.vocabSize, H),
      position: await matrix(embeddings.position, config.maxPositionEmbeddings, H),
      tokenType: await matrix(embeddings.tokenType, config.typeVocabSize, H),
      layerNorm: await layerNorm(embeddings.layerNorm),
    },
    layers,
  };
}
