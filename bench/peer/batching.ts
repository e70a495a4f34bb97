import type { Batching, Sequence } from '../protocol.ts';

/** Sequences of a batch that the peer runs at once: one tensor [B, T], padded to its longest sequence. */
export interface Batch {
  /** Which of the sequences, in the tensor's order. */
  members: number[];
  /** T: the length of the longest. */
  length: number;
}

/** Sequences within one bucket differ by less than this in length. */
const BUCKET = 8;

/** All sequences in one rectangle, or in one for each range of BUCKET lengths. */
export function batches(sequences: Sequence[], batching: Batching): Batch[] {
  const buckets: Record<number, Batch> = {};
  sequences.forEach(({ length }, i) => {
    const bucket = (buckets[batching === 'padded' ? 0 : Math.ceil(length / BUCKET)] ??= { members: [], length: 0 });
    bucket.members.push(i);
    bucket.length = Math.max(bucket.length, length);
  });
  return Object.values(buckets);
}
