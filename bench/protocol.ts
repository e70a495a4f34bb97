/**
 * What the benchmark and an engine's process say to each other: one JSON object a line, on the engine's stdin and stdout.
 * An engine has a process of its own so that its memory is its own, and so that engines can take turns in one run.
 */

/** A sequence of token ids, [CLS] and [SEP] included. Token types are all 0. */
export type Sequence = number[];

/** What `load` gives an engine; each takes what it needs. */
export interface LoadOptions {
  /** Folder of the model. */
  model: string;
  /** Number of encoder layers to run. */
  layers: number;
  /** Folder for what can be made again: the peer's graphs. */
  cache: string;
  threads: number;
  /** The adapter's kind or a part of its name, as `--adapter` takes it. */
  adapter: string;
  /** Whether Dawn keeps its bounds checks (layer8 only; onnxruntime's release builds have them off). */
  robustness: boolean;
  /** Which rungs layer8 takes; empty for its own choice. */
  kernels: string;
}

/** How a peer batches sequences of mixed length. It has no packing: a batch is a rectangle. */
export type Batching = 'padded' | 'bucketed';

/** What a peer is given to choose; layer8 takes no notice. */
export interface Variant {
  batching: Batching;
  /** Whether onnxruntime may take its FlashAttention kernel. */
  flash: boolean;
}

export type Request =
  | { cmd: 'prepare' | 'load'; options: LoadOptions }
  /** Runs whole forward passes for at least `seconds`, and at least one. */
  | { cmd: 'run'; sequences: Sequence[]; seconds: number; variant: Variant }
  /** Asks for rss_mb alone. */
  | { cmd: 'memory' }
  | { cmd: 'exit' };

export interface Reply {
  /** Peak resident memory of the process so far, MB (10⁶ bytes). */
  rss_mb: number;
  /** Seconds of one forward pass, the mean of those of this `run`. */
  seconds?: number;
  /** TAS of every token of every sequence, from the last pass. */
  tas?: number[][];
  error?: string;
}
