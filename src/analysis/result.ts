/**
 * What an analysis is asked for and what it gives back. The JSON of the command line is these objects with lists for the
 * typed arrays; nothing here touches a GPU.
 */

/** The thirteen methods of NumPy's `quantile`, by NumPy's names (Hyndman & Fan 1996 for the first nine). */
export const INTERPOLATIONS = [
  'linear',
  'inverted_cdf',
  'averaged_inverted_cdf',
  'closest_observation',
  'interpolated_inverted_cdf',
  'hazen',
  'weibull',
  'median_unbiased',
  'normal_unbiased',
  'lower',
  'higher',
  'midpoint',
  'nearest',
] as const;
export type Interpolation = (typeof INTERPOLATIONS)[number];

/** The open choices of the Activation Flow Network, each a named option with a default. */
export interface AnalysisOptions {
  /** `hidden_states[layer]` is measured: 0 is the embedding output, l the output of encoder layer l − 1. Default 8. */
  layer: number;
  /** Default 0.75, the upper quartile; any number in [0, 1]. */
  quantile: number;
  interpolation: Interpolation;
  /** `inclusive`: HIGH if TAS ≥ θ (default); `exclusive`: HIGH if TAS > θ. */
  boundary: 'inclusive' | 'exclusive';
  /** Whether [CLS] and [SEP] are ranked and bucketed. Their TAS is shown in any case. */
  specials: 'exclude' | 'include';
  /** One θ a sequence, or one over every sequence of the run. */
  scope: 'sequence' | 'corpus';
  /** A θ given as a number; null for the quantile. */
  threshold: number | null;
  /** What is ranked: pieces, or words. */
  unit: 'token' | 'word';
  /** How a word's TAS comes from its pieces'. */
  wordReduce: 'max' | 'mean' | 'first';
  /** Also give TAS at layers 0..layer. */
  flow: boolean;
  /** Also give the four shifts of each token's state. */
  shift: boolean;
  /** Texts longer than the model takes: in overlapping windows, or an error. */
  long: 'window' | 'error';
  /** Tokens two neighbouring windows share. */
  stride: number;
}

export const DEFAULT_OPTIONS: AnalysisOptions = {
  layer: 8,
  quantile: 0.75,
  interpolation: 'linear',
  boundary: 'inclusive',
  specials: 'exclude',
  scope: 'sequence',
  threshold: null,
  unit: 'token',
  wordReduce: 'max',
  flow: false,
  shift: false,
  long: 'window',
  stride: 128,
};

export type Bucket = 'HIGH' | 'LOW';

/** Change of a token's state from layer l − 1 to l (null at layer 0), and from the embedding output to l. */
export interface Shift {
  /** ‖h_l − h_{l−1}‖₂ */
  displacement: number | null;
  /** ‖h_l‖₂ − ‖h_{l−1}‖₂ */
  normChange: number | null;
  /** 1 − cos(h_l, h_{l−1}) */
  rotation: number | null;
  /** ‖h_l − h_0‖₂ */
  fromInput: number;
}

export interface TokenResult {
  token: string;
  id: number;
  /** 0 for the text, 1 for its pair. */
  segment: number;
  /** UTF-16 code units into the text (the pair where segment is 1); null for special tokens. */
  start: number | null;
  end: number | null;
  /** Index of the word the piece belongs to; null for special tokens. */
  word: number | null;
  special: boolean;
  /** Index of the window that reported this token. */
  window: number;
  /** Token Activation Strength, ‖h‖₂, a float32. */
  tas: number;
  /** null for a token that is not ranked. */
  bucket: Bucket | null;
  /** The bucket could differ on another adapter: the cut is narrower than float32's rounding. */
  borderline: boolean;
  flow?: Float32Array;
  shift?: Shift;
}

export interface WordResult {
  /** null, as `start` and `end`, for a special token that is ranked (specials `include`). */
  word: number | null;
  text: string;
  start: number | null;
  end: number | null;
  /** Indices into `tokens`. */
  tokens: number[];
  tas: number;
  bucket: Bucket | null;
  borderline: boolean;
}

export interface SequenceResult {
  id: string;
  text: string;
  pair?: string;
  /** θ; null where nothing is ranked. */
  threshold: number | null;
  /** The order statistics on the two sides of the cut: the greatest LOW and the least HIGH value; null where there is none. */
  order: { below: number | null; cut: number | null };
  ranked: number;
  high: number;
  /** Only for texts longer than the model takes; token indices. */
  windows?: { start: number; end: number }[];
  tokens: TokenResult[];
  /** Only with unit `word`. */
  words?: WordResult[];
}

export interface AdapterReport {
  name: string;
  vendor: string;
  architecture: string;
  backend: string | null;
  software: boolean;
  /** The rung of the kernel ladder that ran. */
  kernels: string;
}

export interface ModelReport {
  name: string;
  path: string;
  /** Of the encoder's matrices, as safetensors names it: F32, F16, BF16, F64. */
  dtype: string;
  layers: number;
  hidden: number;
}

/** What `analyze` gives back. */
export interface AnalysisResult {
  layer8: string;
  model: ModelReport;
  adapter: AdapterReport;
  options: AnalysisOptions;
  sequences: SequenceResult[];
}
