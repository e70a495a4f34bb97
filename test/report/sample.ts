import type { AnalysisOptions, SequenceResult, TokenResult } from '../../src/analysis/result.ts';
import { DEFAULT_OPTIONS } from '../../src/analysis/result.ts';
import type { AnalysisHead } from '../../src/report/report.ts';

/** A result as the analysis gives it, from the bare essentials: [token, TAS], θ and the text. */
export function sampleSequence(
  text: string,
  tokens: readonly (readonly [token: string, tas: number])[],
  threshold: number | null,
): SequenceResult {
  let from = 0;
  const results = tokens.map(([token, tas], i): TokenResult => {
    const special = /^\[(?:CLS|SEP)\]$/.test(token);
    const start = special ? null : text.indexOf(token, from);
    if (start !== null && start >= 0) from = start + token.length;
    return {
      token,
      id: 1000 + i,
      segment: 0,
      start,
      end: start === null ? null : start + token.length,
      word: special ? null : i - 1,
      special,
      window: 0,
      tas: Math.fround(tas),
      bucket: special || threshold === null ? null : tas >= threshold ? 'HIGH' : 'LOW',
      borderline: false,
    };
  });
  const ranked = results.filter(({ bucket }) => bucket !== null);
  return {
    id: '0',
    text,
    threshold: threshold === null ? null : Math.fround(threshold),
    order: { below: null, cut: null },
    ranked: ranked.length,
    high: ranked.filter(({ bucket }) => bucket === 'HIGH').length,
    tokens: results,
  };
}

export const FOX = sampleSequence(
  'brown fox jumps',
  [
    ['[CLS]', 17.808975],
    ['brown', 19.976238],
    ['fox', 19.75655],
    ['jumps', 19.016352],
    ['[SEP]', 9.571079],
  ],
  19.90656,
);

export function sampleHead(options: Partial<AnalysisOptions> = {}): AnalysisHead {
  return {
    layer8: '0.1.0',
    model: { name: 'bert-base-uncased', path: 'weights/bert-base-uncased', dtype: 'F16', layers: 12, hidden: 768 },
    adapter: { name: 'A device', vendor: 'v', architecture: '', backend: null, software: true, kernels: 'plain' },
    options: { ...DEFAULT_OPTIONS, ...options },
  };
}

export const NO_COLOUR = { width: 80, colour: false };
export const SUMMARY = { sequences: 1, tokens: 5, seconds: 1.25 };

/** All that a report writes about the sequences. */
export function write<S>(
  report: { head(): string; sequence(s: S): Iterable<string>; tail(summary: typeof SUMMARY): string },
  sequences: readonly S[],
): string {
  return (
    report.head() + sequences.map((sequence) => [...report.sequence(sequence)].join('')).join('') + report.tail(SUMMARY)
  );
}
