import * as fc from 'fast-check';
import { pack } from '../../src/bert/batch.ts';
import type { Batch } from '../../src/bert/batch.ts';

/** One dimension of a tensor. */
export const extent = fc.integer({ min: 1, max: 200 });
export const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });
/** Lengths of the sequences of a batch, about 200 tokens at most. */
export const lengths = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 7 }),
  fc.tuple(fc.integer({ min: 1, max: 200 })),
);
/** Heads and the size of one. */
export const heads = fc.record({ A: fc.integer({ min: 1, max: 4 }), D: fc.constantFrom(8, 18, 64) });

/** A row to spare: grids of the tests are that much higher than the result, and the kernel must leave alone what lies there. */
export const SPARE = 1;

/** What a test draws its numbers from: the same ones for the same seed, in [0, 1) (mulberry32). */
export function seeded(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` numbers in [−largest, largest]. */
export function numbers(random: () => number, count: number, largest = 1): Float32Array {
  return Float32Array.from({ length: count }, () => (2 * random() - 1) * largest);
}

/** A batch of sequences of these lengths, with token ids below `ids` and types below `types`. */
export function batchOf(random: () => number, sequences: readonly number[], ids = 1, types = 1): Batch {
  const draw = (count: number, below: number): number[] =>
    Array.from({ length: count }, () => Math.floor(random() * below));
  return pack(sequences.map((length) => ({ ids: draw(length, ids), typeIds: draw(length, types) })));
}

/** How a kernel's `ELEMENT` names the three ways weights are stored. */
export const element = fc.constantFrom(0, 1, 2);

/** Weights as they lie in a file, and their exact values. */
export interface StoredWeights {
  readonly words: Uint32Array;
  readonly values: Float64Array;
}

/** `count` weights with |w| < 2, denormals among them, stored as `ELEMENT` says. */
export function weights(random: () => number, count: number, storedAs: number): StoredWeights {
  if (storedAs === 0) {
    const floats = numbers(random, count, 2);
    return { words: new Uint32Array(floats.buffer), values: Float64Array.from(floats) };
  }
  const draw = (): number => {
    if (storedAs === 1) return Math.floor(random() * 0x4000) | (random() < 0.5 ? 0x8000 : 0);
    return ((0x3800 + Math.floor(random() * 0x800)) & 0x7fff) | (random() < 0.5 ? 0x8000 : 0);
  };
  return packHalves(Uint16Array.from({ length: count }, draw), storedAs);
}

/** Two 16-bit numbers a word, the low half first. */
export function packHalves(halves: Uint16Array, storedAs: number): StoredWeights {
  const words = new Uint32Array(Math.ceil(halves.length / 2));
  for (const [i, bits] of halves.entries()) words[i >> 1] = (words[i >> 1] as number) | (bits << (16 * (i & 1)));
  return { words, values: Float64Array.from(halves, storedAs === 1 ? fromFloat16 : fromBfloat16) };
}

function fromFloat16(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15);
}

function fromBfloat16(bits: number): number {
  return new Float32Array(Uint32Array.of(bits << 16).buffer)[0] as number;
}

/** The part of scores or probabilities [A, S, longest] that belongs to one sequence of a batch, as [A, length, length]. */
export function alone(
  scores: Float32Array,
  { A, S, longest }: { A: number; S: number; longest: number },
  start: number,
  length: number,
): Float32Array {
  const own = new Float32Array(A * length * length);
  for (let row = 0; row < A * length; row++) {
    const from = (Math.floor(row / length) * S + start + (row % length)) * longest;
    own.set(scores.subarray(from, from + length), row * length);
  }
  return own;
}

/**
 * The float32 sum in the order that the plain kernels promise: blocks of `block` terms, and then the blocks. Where the terms
 * are exact, a kernel that groups them otherwise makes other bits.
 */
export function blockSum(terms: readonly number[], block: number): number {
  let sum = 0;
  for (let i = 0; i < terms.length; i += block) {
    sum = Math.fround(sum + terms.slice(i, i + block).reduce((part, term) => Math.fround(part + term), 0));
  }
  return sum;
}

/** A batch's table with its last row once more: for dispatches with a row to spare, which the kernel must leave alone. */
export function withSpareRow(table: Uint32Array): Uint32Array {
  return Uint32Array.of(...table, ...table.subarray(-4));
}
