/** What a run of the benchmark found: the shape of bench/results/ADAPTER.json and of `--format json`. */

/** Ours first, then the peers. */
export const ENGINE_NAMES = ['layer8', 'onnxruntime-webgpu', 'onnxruntime-cpu'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

/** Times of one engine, over the rounds. */
export interface Timing {
  median_s: number;
  min_s: number;
  /** Slowest round over fastest. */
  spread: number;
}

/** One engine at one size. */
export interface Measurement extends Timing {
  /** 10⁹ operations a second of work on real tokens, at the median time. */
  gflops: number;
  /** Peak resident memory of the engine's process, from its start, MB (10⁶ bytes). */
  rss_mb: number;
  /** What a peer chose, where it had a choice: how it batched, and whether it went without FlashAttention. */
  note?: string;
}

/** One size. An engine is missing only where it is not asked to run: see bench/README.md. */
export interface SizeRow {
  size: string;
  tokens: number;
  rounds: number;
  /** Largest difference of a peer's TAS from layer8's. */
  max_tas_difference: number;
  engines: Partial<Record<EngineName, Measurement>>;
}

/** Seconds from the start of a new process to its first result for 12 tokens. */
export interface ColdRow {
  /** State of the driver's cache of compiled shaders. */
  cache: string;
  rounds: number;
  engines: Partial<Record<EngineName, Timing>>;
}

/** What every result says about the run it is from. */
export interface RunDescription {
  /** Name and driver of the adapter that ran. */
  adapter: string;
  cpu: string;
  threads: number;
  /** Whether layer8 ran with Dawn's bounds checks. */
  robustness: boolean;
  versions: Record<string, string>;
  /** Day of the run, YYYY-MM-DD. */
  date: string;
}

export interface Results extends RunDescription {
  rows: SizeRow[];
  cold: ColdRow[];
}

/** Median (of an even number: the mean of the middle two), minimum and spread. */
export function timing(seconds: number[]): Timing {
  const sorted = seconds.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median_s: rounded(median), min_s: rounded(sorted[0]), spread: rounded(sorted.at(-1)! / sorted[0]) };
}

/** Four significant digits: more are noise. */
export const rounded = (value: number): number => Number(value.toPrecision(4));
