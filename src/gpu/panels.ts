// A matrix in panels: 32 of its rows side by side, so that what neighbouring lanes read lies side by side in memory.
//
// A subgroup that makes a tile of a matrix product walks down k with one row of W, a column of the result, after the other in its lanes. Where
// the rows lie as in the file, that is dozens of streams through memory at once, each a few bytes a step: more than a processor's
// prefetcher follows, and at a power of two apart they push each other out of the cache. In panels it is one stream.
//
// Texel t of row n lies at ((t mod 16) · 32 + n mod 32, ⌊n / 32⌋ · ⌈texels of a row / 16⌉ + ⌊t / 16⌋). What the last panel and the
// last texels leave free is never read.

/** Rows of a matrix that lie side by side. */
export const PANEL_ROWS = 32;
/** Texels of each of these rows that one row of the texture holds. */
export const PANEL_TEXELS = 16;

const WIDTH = PANEL_ROWS * PANEL_TEXELS;
const WORDS = 4; // of a texel

/** Width and height of the texture of a matrix whose rows take `texels` texels each. */
export function panelExtent(rows: number, texels: number): readonly [width: number, height: number] {
  return [WIDTH, Math.ceil(rows / PANEL_ROWS) * Math.ceil(texels / PANEL_TEXELS)];
}

/**
 * Rows of a matrix, the first of them the first of a panel, as rows of the texture of 512 texels.
 * @param words the 32-bit words of the rows, a whole number of texels each
 * @param into memory to write to; what holds no number keeps what was there
 */
export function toPanels(
  words: Uint32Array,
  texels: number,
  into?: Uint32Array<ArrayBuffer>,
): Uint32Array<ArrayBuffer> {
  const rows = words.length / (texels * WORDS);
  const [, height] = panelExtent(rows, texels);
  const length = height * WIDTH * WORDS;
  const panels = into !== undefined && into.length >= length ? into.subarray(0, length) : new Uint32Array(length);
  const high = Math.ceil(texels / PANEL_TEXELS); // rows of the texture that a panel takes
  for (let n = 0; n < rows; n++) {
    let to = (Math.floor(n / PANEL_ROWS) * high * WIDTH + (n % PANEL_ROWS)) * WORDS;
    const end = (n + 1) * texels * WORDS;
    for (let from = n * texels * WORDS; from < end; from += WORDS) {
      panels[to] = words[from] as number;
      panels[to + 1] = words[from + 1] as number;
      panels[to + 2] = words[from + 2] as number;
      panels[to + 3] = words[from + 3] as number;
      // The next texel of a row is 32 texels on, in the next row of the texture too: that begins where this one ends.
      to += PANEL_ROWS * WORDS;
    }
  }
  return panels;
}

/** The place of texel `texel` of row `row` in WGSL, for a matrix whose panels are `high` rows of the texture high. */
export function panelTexel(texel: string, row: string, high: string): { x: string; y: string } {
  return {
    x: `${texel} % ${PANEL_TEXELS}u * ${PANEL_ROWS}u + ${row} % ${PANEL_ROWS}u`,
    y: `${row} / ${PANEL_ROWS}u * ${high} + ${texel} / ${PANEL_TEXELS}u`,
  };
}
