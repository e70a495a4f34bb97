/** What `npm run bench -- kernels` and `throughput` found: the shapes of bench/results/kernels-ADAPTER.json and throughput-ADAPTER.json. */
import type { RunDescription, Timing } from './results.ts';

/** One operation on one rung. Rates are in 10⁹ operations, or bytes, a second. */
export interface Rate {
  best: number;
  median: number;
  /** Slowest round over fastest. */
  spread: number;
  /** Largest difference from float64 in the sampled rows, divided by their root mean square. */
  max_error: number;
}

/** One operation on a number of tokens. A rung is missing where it would have taken too long: see bench/README.md. */
export interface OperationRow {
  operation: string;
  tokens: number;
  unit: 'GFLOPS' | 'GB/s';
  rounds: number;
  rungs: Record<string, Rate>;
}

/** A whole forward pass against what its matrix products take at their best. */
export interface ForwardRow {
  tokens: number;
  rung: string;
  best_s: number;
  median_s: number;
  spread: number;
  /** The dense layers of all encoder layers, each at its best rate in this run. */
  dense_s: number;
  /** And attention, whose products a rung may not run by themselves. */
  products_s: number;
}

/** One size end to end, by the public library, on each rung. */
export interface GainRow {
  size: string;
  rounds: number;
  rungs: Record<string, Timing>;
}

export interface KernelResults extends RunDescription {
  /** The rungs of the ladder that fit this adapter, plainest first. */
  rungs: string[];
  /** The other ones, and why they do not. */
  unfit: Record<string, string>;
  /** The fastest multiply-adds on this adapter, 10⁹ operations a second, and how they were written. */
  peak: { gflops: number; how: string };
  operations: OperationRow[];
  forward: ForwardRow[];
  gains: GainRow[];
}

export interface ThroughputResults extends RunDescription {
  /** Rung that ran. */
  rung: string;
  rounds: number;
  /** A text, and one ten times as long: tokens and median tokens a second. */
  short: { tokens: number; tokens_per_s: number };
  long: { tokens: number; tokens_per_s: number };
  /** Median over the pairs of long rate / short rate. */
  ratio: number;
}
