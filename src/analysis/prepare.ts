import { InputError, ModelError } from '../errors.ts';
import type { TokenSequence } from '../bert/batch.ts';
import type { Encoding, Tokenizer } from '../text/tokenizer.ts';
import { planWindows } from '../text/windows.ts';
import type { AnalysisOptions } from './result.ts';

/** A text to analyze, as the caller gives it. */
export interface Input {
  /** Default: its index among the inputs, as a string. */
  id?: string;
  text: string;
  /** A second text, in the same sequence after a [SEP]. */
  pair?: string;
}

/** What is ranked: one token, or the pieces of one word. */
export interface Item {
  /** Indices into the sequence's tokens. */
  readonly tokens: readonly number[];
}

/** A tokenized input and the rows it takes in a batch: one run of them for each window. */
export interface Prepared {
  readonly id: string;
  readonly text: string;
  readonly pair?: string;
  readonly encoding: Encoding;
  /** The sequences the model sees: the text itself, or its windows. */
  readonly sequences: readonly TokenSequence[];
  /** Rows of all windows together. */
  readonly rows: number;
  /** [tokens] The row of each token, counted from the sequence's first: in the window where it is farthest from an edge. */
  readonly rowOf: Uint32Array;
  /** [tokens] The window of that row. */
  readonly windowOf: Uint32Array;
  /** Tokens that each window covers; undefined for a text that fits. */
  readonly windows: readonly { readonly start: number; readonly end: number }[] | undefined;
  /** What is ranked and bucketed, in text order. */
  readonly items: readonly Item[];
}

/** The limits of the model that a text is prepared for. */
export interface PrepareLimits {
  /** P, the positions the model has. */
  readonly maxPositionEmbeddings: number;
  /** V, rows of the word embeddings. */
  readonly vocabSize: number;
  readonly typeVocabSize: number;
}

/**
 * Tokenizes an input and lays it out in rows.
 * @throws InputError where it is too long and may not be cut; ModelError where a token has no row in the embeddings
 */
export function prepare(
  tokenizer: Tokenizer,
  input: Input,
  index: number,
  limits: PrepareLimits,
  options: AnalysisOptions,
): Prepared {
  const encoding = tokenizer.encode(input.text, input.pair === undefined ? {} : { pair: input.pair });
  checkIds(encoding, limits);
  const id = input.id ?? String(index);
  const most = Math.min(limits.maxPositionEmbeddings, tokenizer.modelMaxLength);
  const common = {
    id,
    text: input.text,
    ...(input.pair === undefined ? {} : { pair: input.pair }),
    encoding,
    items: itemsOf(encoding, options),
  };
  const length = encoding.ids.length;
  if (length <= most) {
    return {
      ...common,
      sequences: [encoding],
      rows: length,
      rowOf: Uint32Array.from({ length }, (_, i) => i),
      windowOf: new Uint32Array(length),
      windows: undefined,
    };
  }
  if (options.long === 'error' || input.pair !== undefined) {
    const what = input.pair === undefined ? 'the text' : 'the pair';
    throw new InputError(`${what} ${JSON.stringify(id)} is too long: ${length} tokens where the model takes ${most}`, {
      hint:
        input.pair === undefined
          ? '--long window analyzes it in overlapping windows.'
          : 'A pair cannot be cut into windows: shorten one of its texts.',
    });
  }
  return { ...common, ...layWindows(encoding, most, options.stride) };
}

/** Cuts what lies between [CLS] and [SEP] into windows that the model takes, each with a [CLS] and a [SEP] of its own. */
function layWindows(
  encoding: Encoding,
  most: number,
  stride: number,
): Pick<Prepared, 'sequences' | 'rows' | 'rowOf' | 'windowOf' | 'windows'> {
  const length = encoding.ids.length;
  const lead = encoding.specials.findIndex((special) => !special);
  const tail = length - 1 - encoding.specials.findLastIndex((special) => !special);
  const { windows, owner } = planWindows(length - lead - tail, most - lead - tail, stride);
  const rowOf = new Uint32Array(length);
  const windowOf = new Uint32Array(length);
  const sequences: TokenSequence[] = [];
  const firstRows: number[] = [];
  let rows = 0;
  for (const { start, end } of windows) {
    const from = lead + start;
    const to = lead + end;
    const cut = (list: Uint32Array): Uint32Array =>
      Uint32Array.from([...list.subarray(0, lead), ...list.subarray(from, to), ...list.subarray(length - tail)]);
    sequences.push({ ids: cut(encoding.ids), typeIds: cut(encoding.typeIds) });
    firstRows.push(rows);
    rows += lead + (end - start) + tail;
  }
  const last = windows.length - 1;
  for (let token = 0; token < length; token++) {
    const content = token - lead;
    const isTail = token >= length - tail;
    const window = content < 0 ? 0 : isTail ? last : (owner[content] as number);
    const { start, end } = windows[window] as { start: number; end: number };
    const within =
      content < 0 ? token : isTail ? lead + (end - start) + (token - (length - tail)) : lead + content - start;
    windowOf[token] = window;
    rowOf[token] = (firstRows[window] as number) + within;
  }
  return {
    sequences,
    rows,
    rowOf,
    windowOf,
    windows: windows.map(({ start, end }) => ({ start: lead + start, end: lead + end })),
  };
}

/**
 * The windows of a long text in parts of at most `most` rows (one window at least). Nothing of a part is ranked: a word may lie in two.
 * `tokens` are the tokens that the part reports, in the order of the part's own.
 */
export function* partsOf(input: Prepared, most: number): Generator<{ part: Prepared; tokens: Uint32Array }> {
  let first = 0;
  let firstRow = 0;
  let token = 0;
  while (first < input.sequences.length) {
    let last = first;
    let rows = 0;
    while (last < input.sequences.length) {
      const length = input.sequences[last]?.ids.length ?? 0;
      if (last > first && rows + length > most) break;
      rows += length;
      last++;
    }
    // Tokens are reported by windows in order, so those of a part are a run.
    const firstToken = token;
    while (token < input.windowOf.length && (input.windowOf[token] as number) < last) token++;
    const tokens = Uint32Array.from({ length: token - firstToken }, (_, i) => firstToken + i);
    const start = firstRow;
    const rowOf = tokens.map((t) => (input.rowOf[t] as number) - start);
    yield { part: { ...input, sequences: input.sequences.slice(first, last), rows, rowOf, items: [] }, tokens };
    first = last;
    firstRow += rows;
  }
}

/** The items of a sequence: every token that may be ranked, or every word. */
function itemsOf({ specials, wordIds, segments }: Encoding, { unit, specials: specialRule }: AnalysisOptions): Item[] {
  const items: { tokens: number[] }[] = [];
  let word = '';
  for (const [token, special] of specials.entries()) {
    if (special && specialRule === 'exclude') continue;
    const key = unit === 'token' || special ? `token ${token}` : `word ${segments[token]} ${wordIds[token]}`;
    if (key === word) items.at(-1)?.tokens.push(token);
    else items.push({ tokens: [token] });
    word = key;
  }
  return items;
}

function checkIds({ ids, typeIds, tokens }: Encoding, { vocabSize, typeVocabSize }: PrepareLimits): void {
  const bad = ids.findIndex((id) => id >= vocabSize);
  if (bad >= 0) {
    throw new ModelError(
      `the vocabulary is smaller than a token's id: ${JSON.stringify(tokens[bad])} is ${ids[bad]}, the word embeddings have ${vocabSize} rows`,
      {
        hint: 'The tokenizer and the weights are not of one model.',
      },
    );
  }
  const type = typeIds.find((id) => id >= typeVocabSize);
  if (type !== undefined) {
    throw new InputError(
      `the model knows ${typeVocabSize} token type${typeVocabSize === 1 ? '' : 's'}, and a pair needs type ${type}`,
    );
  }
}
