/** Sequences of a batch that the peer runs at once: one tensor [B, T], padded to its longest sequence. */
export interface Batch {
  /** Which of the sequences, in the tensor's order. */
  members: number[];
  /** T: the length of the longest. */
  length: number;
}

/** How the peer batches sequences of mixed length. It has no packing: a batch is a rectangle. */
export type Batching = 'padded' | 'bucketed';

/** Sequences within one bucket differ by less than this in length. */
const BUCKET = 8;

/** All sequences in one rectangle, or in one for each range of BUCKET lengths. */
export function batches(lengths: number[], batching: Batching): Batch[] {
  const buckets: Record<number, Batch> = {};
  lengths.forEach((length, i) => {
    const bucket = (buckets[batching === 'padded' ? 0 : Math.ceil(length / BUCKET)] ??= { members: [], length: 0 });
    bucket.members.push(i);
    bucket.length = Math.max(bucket.length, length);
  });
  return Object.values(buckets);
}
