import type { AnalysisResult, SequenceResult, TokenResult } from '../analysis/result.ts';

/** What stands before the sequences of an analysis. */
export type AnalysisHead = Omit<AnalysisResult, 'sequences'>;

/** A sequence without numbers, as `tokenize` gives it. */
export type TokenizedSequence = Pick<SequenceResult, 'id' | 'text' | 'pair' | 'windows'> & { tokens: TokenizedToken[] };
export type TokenizedToken = Pick<
  TokenResult,
  'token' | 'id' | 'segment' | 'start' | 'end' | 'word' | 'special' | 'window'
>;

/** What stands before the sequences of `tokenize`. */
export interface TokenizeHead {
  layer8: string;
  model: { name: string; path: string };
  options: { long: string; stride: number };
}

export interface Summary {
  sequences: number;
  tokens: number;
  seconds: number;
}

/**
 * One format of the results. What it gives is written in order: head, each sequence as soon as it is known, tail. The
 * head is asked for with the first sequence or the tail, so that a run that fails before leaves nothing.
 */
export interface Report<Sequence> {
  head(): string;
  /** In pieces of bounded size: a sequence of a million tokens is no one string. */
  sequence(sequence: Sequence): Iterable<string>;
  tail(summary: Summary): string;
}

export const FORMATS = ['table', 'json', 'jsonl', 'csv'] as const;
export type Format = (typeof FORMATS)[number];
