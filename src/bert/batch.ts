/** The tokens of one sequence, specials included: Hugging Face's `input_ids` and `token_type_ids`. */
export interface TokenSequence {
  readonly ids: ArrayLike<number>;
  /** 0 for the first text, 1 for its pair; all 0 where it is left out. */
  readonly typeIds?: ArrayLike<number>;
}

/**
 * Sequences packed end to end, without padding: S rows in all. Only attention looks at the table of (start, length); every other
 * step treats the S rows alike, so there is no mask and no work on padding.
 */
export interface Batch {
  /** S, the tokens of all sequences together. */
  readonly rows: number;
  /** T of the longest sequence. */
  readonly longest: number;
  /** First row and length of each sequence. */
  readonly sequences: readonly { readonly start: number; readonly length: number }[];
  /** [S, 4]: token id, token type, first row of its sequence, length of its sequence. The position is row − first row. */
  readonly table: Uint32Array;
}

/** Packs sequences into one batch. Empty sequences are allowed and take no row. */
export function pack(sequences: readonly TokenSequence[]): Batch {
  const rows = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
  const table = new Uint32Array(rows * 4);
  const places: { start: number; length: number }[] = [];
  let start = 0;
  for (const { ids, typeIds } of sequences) {
    for (let i = 0; i < ids.length; i++)
      table.set([ids[i] ?? 0, typeIds?.[i] ?? 0, start, ids.length], (start + i) * 4);
    places.push({ start, length: ids.length });
    start += ids.length;
  }
  return { rows, longest: Math.max(0, ...places.map(({ length }) => length)), sequences: places, table };
}
