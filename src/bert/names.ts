/** A dense layer, y = x · weightᵀ + bias with `weight` [outputs, inputs]; or a LayerNorm, scaled by `weight`, shifted by `bias`. */
export interface PairNames {
  readonly weight: string;
  readonly bias: string;
}

/** The tensors of the embeddings. */
export interface EmbeddingNames {
  /** [V, H] */
  readonly word: string;
  /** [positions, H] */
  readonly position: string;
  /** [token types, H] */
  readonly tokenType: string;
  readonly layerNorm: PairNames;
}

/** The tensors of one encoder layer, in the order in which it uses them. */
export interface LayerNames {
  /** [H, H], as are the next three */
  readonly query: PairNames;
  readonly key: PairNames;
  readonly value: PairNames;
  readonly attentionOutput: PairNames;
  readonly attentionLayerNorm: PairNames;
  /** [I, H] */
  readonly intermediate: PairNames;
  /** [H, I] */
  readonly output: PairNames;
  readonly outputLayerNorm: PairNames;
}

/** Every tensor that hidden states are computed from, by its name in the checkpoint. */
export interface BertNames {
  readonly embeddings: EmbeddingNames;
  /** @param index encoder layer from 0; `hidden_states[l]` needs the layers 0 to l − 1 */
  layer(index: number): LayerNames;
}

/**
 * Finds how a checkpoint names BERT's tensors: with `bert.` before them (a model with a head on top) or without (the
 * bare encoder), and each LayerNorm's as weight and bias (PyTorch) or gamma and beta (TensorFlow, and what was converted
 * from it). Opens no file and reads nothing; a tensor that is missing is noticed by whoever asks for it.
 */
export function bertNames(checkpoint: { has(name: string): boolean }): BertNames {
  // By any of three, so that where one is missing it is missed by its right name.
  const bare = ['embeddings.word_embeddings', 'embeddings.position_embeddings', 'encoder.layer.0.intermediate.dense'];
  const prefix = bare.some((name) => checkpoint.has(`${name}.weight`)) ? '' : 'bert.';
  const dense = (name: string): PairNames => ({ weight: `${name}.weight`, bias: `${name}.bias` });
  const layerNorm = (name: string): PairNames =>
    checkpoint.has(`${name}.gamma`) ? { weight: `${name}.gamma`, bias: `${name}.beta` } : dense(name);

  return {
    embeddings: {
      word: `${prefix}embeddings.word_embeddings.weight`,
      position: `${prefix}embeddings.position_embeddings.weight`,
      tokenType: `${prefix}embeddings.token_type_embeddings.weight`,
      layerNorm: layerNorm(`${prefix}embeddings.LayerNorm`),
    },
    layer: (index) => {
      const layer = `${prefix}encoder.layer.${index}`;
      return {
        query: dense(`${layer}.attention.self.query`),
        key: dense(`${layer}.attention.self.key`),
        value: dense(`${layer}.attention.self.value`),
        attentionOutput: dense(`${layer}.attention.output.dense`),
        attentionLayerNorm: layerNorm(`${layer}.attention.output.LayerNorm`),
        intermediate: dense(`${layer}.intermediate.dense`),
        output: dense(`${layer}.output.dense`),
        outputLayerNorm: layerNorm(`${layer}.output.LayerNorm`),
      };
    },
  };
}
