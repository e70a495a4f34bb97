import type { Gpu } from '../gpu/device.ts';
import type { KernelSource } from '../gpu/kernel.ts';
import type { Recording } from '../gpu/recording.ts';
import { loadKernelSource } from '../gpu/sources.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { Prepared } from './prepare.ts';
import type { AnalysisOptions } from './result.ts';
import { loadSelectionSources, readSummaries, recordSelection } from './select.ts';
import type { Group, SelectionSources, Summary } from './select.ts';

const LANES = 64;
const NOTHING_RANKED: Summary = { threshold: null, below: null, cut: null, ranked: 0, high: 0 };
/** How word_reduce calls it. */
const REDUCE = { max: 0, mean: 1, first: 2 } as const;

/** What is ranked of one input, and how it was decided. */
export interface Decided {
  /** [items] The value that is ranked: a token's TAS, or a word's. */
  readonly values: Float32Array;
  /** [items] 1 LOW, 2 HIGH; undefined where θ is found later, over more than this sequence. */
  readonly buckets: Uint32Array | undefined;
  readonly summary: Summary | undefined;
}

export interface ItemSources extends SelectionSources {
  /** Only where words are ranked. */
  readonly wordReduce: KernelSource | undefined;
}

export async function loadItemSources({ unit }: AnalysisOptions): Promise<ItemSources> {
  const wordReduce = unit === 'word' ? loadKernelSource('word_reduce') : undefined;
  return { ...(await loadSelectionSources()), wordReduce: await wordReduce };
}

/** The rows of an input, one a token in text order, and what is ranked of them. */
export type Ranked = Pick<Prepared, 'rows' | 'items'>;

/** Dispatches that were written down, what to read of them, and how to make sense of it. */
export interface RecordedItems {
  /** First row of each input in the batch. */
  readonly firstRows: readonly number[];
  readonly reads: readonly Tensor[];
  /** @param norms [S] as it was read; @param bytes what was read of `reads` */
  decode(norms: Float32Array, bytes: readonly ArrayBuffer[]): Decided[];
}

/**
 * Writes down how the items of a batch get their values from the norms of its rows and, with `select`, their θ and buckets: one θ an
 * input, or, with `together`, one for all.
 * @param norms [S] TAS of every row
 */
export function recordItems(
  { gpu }: { readonly gpu: Gpu },
  sources: ItemSources,
  recording: Recording,
  norms: Tensor,
  inputs: readonly Ranked[],
  options: AnalysisOptions,
  { select, together }: { readonly select: boolean; readonly together: boolean },
): RecordedItems {
  const layout = layOut(inputs, options);
  const reads: Tensor[] = [];
  const words =
    sources.wordReduce && layout.count > 0
      ? recordWords(gpu, sources.wordReduce, recording, norms, layout, options)
      : undefined;
  if (words) reads.push(words);
  const selecting = select && layout.count > 0;
  if (selecting) {
    const groups = together ? [merge(layout.groups)] : layout.groups;
    const { buckets, summaries } = recordSelection(
      gpu,
      sources,
      recording,
      words ?? norms,
      layout.ranked,
      groups,
      options,
    );
    reads.push(buckets, summaries);
  }
  return {
    firstRows: layout.places.map(({ firstRow }) => firstRow),
    reads,
    decode(normsRead, bytes) {
      const values = words ? new Float32Array(bytes[0] as ArrayBuffer) : normsRead;
      const [buckets, summaryBytes] = selecting ? bytes.slice(words ? 1 : 0) : [];
      const summaries = summaryBytes && readSummaries(summaryBytes, options);
      const decisions = buckets && new Uint32Array(buckets);
      return inputs.map(({ items }, index) => {
        const { firstRow, firstItem } = layout.places[index] as Place;
        // A token's value lies at its row, a word's in the order of words.
        const at = items.first.map((token, item) => (words ? firstItem + item : firstRow + token));
        return {
          values: Float32Array.from(at, (place) => values[place] as number),
          buckets: decisions && at.map((place) => decisions[place] as number),
          summary: summaries ? summaries[together ? 0 : index] : select ? NOTHING_RANKED : undefined,
        };
      });
    },
  };
}

interface Place {
  readonly firstRow: number;
  readonly firstItem: number;
}

/** Where each input's rows and items lie among those of the batch. */
interface Layout {
  readonly places: readonly Place[];
  readonly groups: readonly Group[];
  /** 1 where a row (unit token) or a word (unit word) is ranked. */
  readonly ranked: Uint32Array;
  /** Values that can be ranked: rows, or words. */
  readonly count: number;
  /** [items, 2] first row and number of rows of each item. */
  readonly pieces: Uint32Array;
}

function layOut(inputs: readonly Ranked[], { unit }: AnalysisOptions): Layout {
  const places: Place[] = [];
  const groups: Group[] = [];
  const pieces = new Uint32Array(2 * inputs.reduce((sum, { items }) => sum + items.first.length, 0));
  let firstRow = 0;
  let firstItem = 0;
  for (const { rows, items } of inputs) {
    const ranked = items.first.length;
    places.push({ firstRow, firstItem });
    const [start, length] = unit === 'token' ? [firstRow, rows] : [firstItem, ranked];
    groups.push({ start, length, ranked });
    for (let item = 0; item < ranked; item++) {
      pieces[2 * (firstItem + item)] = firstRow + (items.first[item] as number);
      pieces[2 * (firstItem + item) + 1] = items.count[item] as number;
    }
    firstRow += rows;
    firstItem += ranked;
  }
  const count = unit === 'token' ? firstRow : firstItem;
  const ranked = new Uint32Array(count);
  if (unit === 'word') ranked.fill(1);
  else for (let item = 0; item < firstItem; item++) ranked[pieces[2 * item] as number] = 1;
  return { places, groups, ranked, count, pieces };
}

function merge(groups: readonly Group[]): Group {
  const sum = (of: (group: Group) => number): number => groups.reduce((total, group) => total + of(group), 0);
  return { start: 0, length: sum(({ length }) => length), ranked: sum(({ ranked }) => ranked) };
}

/** [items] max, mean or first of the norms of each word's pieces. */
function recordWords(
  gpu: Gpu,
  source: KernelSource,
  recording: Recording,
  norms: Tensor,
  layout: Layout,
  { wordReduce }: AnalysisOptions,
): Tensor {
  const words = layout.count;
  const y = recording.tensor('word TAS', [words]);
  const pieces = recording.upload('pieces', [words, 2], layout.pieces);
  recording.dispatch(gpu.kernel(source), { norms, pieces, y }, { words, how: REDUCE[wordReduce] }, [
    Math.ceil(words / LANES),
  ]);
  return y;
}
