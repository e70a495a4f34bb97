/** The texts that are timed: word pieces of the reference texts, cut to the lengths that a table row names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sequence } from './protocol.ts';

/** A row of the table. */
export interface Size {
  name: string;
  sequences: Sequence[];
  /** TAS of the same ids in float64, where the reference has them. */
  reference: number[][] | null;
}

/** What the count of operations depends on; the names are those of config.json. */
export interface ModelShape {
  hidden_size: number;
  intermediate_size: number;
}

export const SIZE_NAMES = ['1x12', '1x128', '8x128', '1x512', 'mixed'] as const;

/** `mixed`: so many sequences, of lengths from the first to the second number, [CLS] and [SEP] included. */
const MIXED = { count: 64, shortest: 4, longest: 60 };

interface ReferenceCase {
  tokens: string[];
  tas: number[];
}

/** Builds all sizes from the reference texts in `fixtures` and the model's vocabulary. The same every time. */
export function buildSizes(fixtures: string, model: string): Size[] {
  const cases: Record<string, ReferenceCase> = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8'));
  const vocabulary = readFileSync(join(model, 'vocab.txt'), 'utf8').split('\n');
  const ids = new Map(vocabulary.map((piece, id) => [piece, id]));
  const encoded = (name: string) => cases[name].tokens.map((piece) => ids.get(piece)!);
  const [cls, sep] = [ids.get('[CLS]')!, ids.get('[SEP]')!];
  const pool = ['full-512', 'paragraph', 'bank', 'cholera', 'pieces', 'punctuation'].flatMap((name) =>
    encoded(name).slice(1, -1),
  );
  let next = 0;
  const take = (length: number): Sequence => {
    const body = Array.from({ length: length - 2 }, () => pool[next++ % pool.length]);
    return [cls, ...body, sep];
  };
  const span = MIXED.longest - MIXED.shortest + 1;
  // 37 is prime to the number of lengths, so every length comes up before one comes up again.
  const mixed = Array.from({ length: MIXED.count }, (_, i) => take(MIXED.shortest + ((i * 37) % span)));
  return [
    { name: '1x12', sequences: [encoded('fox')], reference: [cases.fox.tas] },
    { name: '1x128', sequences: [take(128)], reference: null },
    { name: '8x128', sequences: Array.from({ length: 8 }, () => take(128)), reference: null },
    { name: '1x512', sequences: [encoded('full-512')], reference: [cases['full-512'].tas] },
    { name: 'mixed', sequences: mixed, reference: null },
  ];
}

/**
 * Floating-point operations of a forward pass over these sequences, a multiply-add as two: the matrix products of
 * `layers` encoder layers, attention's included, on real tokens only. Padding that an engine computes is no work done.
 */
export function operations(
  sequences: Sequence[],
  { hidden_size: h, intermediate_size: i }: ModelShape,
  layers: number,
): number {
  let sum = 0;
  for (const { length: t } of sequences) sum += 2 * t * h * (4 * h + 2 * i) + 4 * t * t * h;
  return sum * layers;
}
