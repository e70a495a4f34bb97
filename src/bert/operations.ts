import type { Batch } from './batch.ts';

/** y = x Wᵀ + b: `weight` is [N, K] as PyTorch's Linear keeps it, `bias` is [N]. */
export interface Dense<T> {
  readonly weight: T;
  readonly bias: T;
}

/** The two vectors of a LayerNorm, [H] each: γ is Hugging Face's `weight` (older files: `gamma`), β its `bias`. */
export interface LayerNorm<T> {
  readonly weight: T;
  readonly bias: T;
}

/** The weights of BERT's encoder under Hugging Face's names. */
export interface BertWeights<T> {
  readonly embeddings: {
    /** [V, H] */
    readonly word: T;
    /** [P, H], P the longest sequence the model takes */
    readonly position: T;
    /** [token types, H] */
    readonly tokenType: T;
    readonly layerNorm: LayerNorm<T>;
  };
  readonly layers: readonly LayerWeights<T>[];
}

export interface LayerWeights<T> {
  readonly attention: {
    readonly query: Dense<T>;
    readonly key: Dense<T>;
    readonly value: Dense<T>;
    readonly output: Dense<T>;
    readonly layerNorm: LayerNorm<T>;
  };
  readonly intermediate: Dense<T>;
  readonly output: Dense<T>;
  readonly layerNorm: LayerNorm<T>;
}

/**
 * What a forward pass is made of. `forward` says it once; who implements this decides how: the plain kernels one by one, tuned
 * kernels that fuse several lines, or the float64 twins of the tests. S rows, H hidden, A heads, D = H / A, I intermediate.
 */
export interface Operations<T> {
  /** word[id] + position[row − start] + tokenType[type] → [S, H] */
  embeddings(batch: Batch, weights: BertWeights<T>['embeddings']): T;
  /** x Wᵀ + b: [S, K] → [S, N] */
  linear(x: T, dense: Dense<T>): T;
  /** q kᵀ / √D for each head and each pair of rows of one sequence → [A, S, longest]; entries past a sequence's length mean nothing */
  attentionScores(query: T, key: T, batch: Batch): T;
  /** exp(x − max) / Σ exp(x − max) over the keys of a row: [A, S, longest] → [A, S, longest] */
  softmax(scores: T, batch: Batch): T;
  /** Σ over keys of probability × value, the heads side by side → [S, H] */
  attentionContext(probabilities: T, value: T, batch: Batch): T;
  /** The model's `hidden_act`, component by component: [S, I] → [S, I] */
  activation(x: T): T;
  /** a + b: [S, H] → [S, H] */
  add(a: T, b: T): T;
  /** γ (x − mean) / √(variance + ε) + β along each row: [S, H] → [S, H] */
  layerNorm(x: T, weights: LayerNorm<T>): T;
  /** ‖x‖₂ along each row: [S, H] → [S] */
  l2Norm(x: T): T;
}

/** Called with every named stage of a forward pass; returns the tensor to go on with, which is the one it was given. */
export type Stage<T> = (name: string, tensor: T) => T;
