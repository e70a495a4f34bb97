import type { TokenSequence } from '../bert/batch.ts';
import { InputError, ModelError } from '../errors.ts';
import { tokenizeSequence } from '../text/sequence.ts';
import type { SequenceToken, TokenizedSequence } from '../text/sequence.ts';
import type { Encoding, Tokenizer } from '../text/tokenizer.ts';
import type { Window } from '../text/windows.ts';
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
  readonly tokens: readonly SequenceToken[];
  /** Tokens that each window covers; one window where the text fits. */
  readonly windows: readonly Window[];
  /** The sequences the model sees: the text itself, or its windows. */
  readonly sequences: readonly TokenSequence[];
  /** Rows of all windows together. */
  readonly rows: number;
  /** [tokens] The row of each token, counted from the sequence's first: in the window that reports it. */
  readonly rowOf: Uint32Array;
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
  const { id = String(index), text, pair } = input;
  const maxLength = Math.min(limits.maxPositionEmbeddings, tokenizer.modelMaxLength);
  const tokenized = tokenizeSequence(tokenizer, text, pair, options.long, { maxLength, stride: options.stride });
  checkIds(tokenized.encoding, limits);
  const { tokens, windows } = tokenized;
  const items = itemsOf(tokens, options);
  return { id, text, ...(pair === undefined ? {} : { pair }), tokens, windows, items, ...layRows(tokenized) };
}

/** Rows of each window: the tokens it covers, between special tokens of its own. */
function layRows({ encoding, tokens, windows }: TokenizedSequence): Pick<Prepared, 'sequences' | 'rows' | 'rowOf'> {
  const length = tokens.length;
  if (windows.length === 1) return { sequences: [encoding], rows: length, rowOf: Uint32Array.from(tokens.keys()) };
  const lead = tokens.findIndex(({ special }) => !special);
  const tail = tokens.findLastIndex(({ special }) => !special) + 1;
  const sequences: TokenSequence[] = [];
  /** Row of token t in window w: t + shift[w] for content and what leads it, counted from the end for what trails. */
  const shifts: number[] = [];
  let rows = 0;
  for (const { start, end } of windows) {
    const [from, to] = [Math.max(start, lead), Math.min(end, tail)];
    const cut = (list: Uint32Array): Uint32Array =>
      Uint32Array.from([...list.subarray(0, lead), ...list.subarray(from, to), ...list.subarray(tail)]);
    sequences.push({ ids: cut(encoding.ids), typeIds: cut(encoding.typeIds) });
    shifts.push(rows + lead - from);
    rows += lead + (to - from) + (length - tail);
  }
  // What leads the text is the first window's, whose content starts right after it; what trails it is the last window's.
  const rowOf = Uint32Array.from(tokens, ({ window }, t) => t + (shifts[window] as number));
  return { sequences, rows, rowOf };
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
    while (token < input.tokens.length && (input.tokens[token]?.window ?? 0) < last) token++;
    const tokens = Uint32Array.from({ length: token - firstToken }, (_, i) => firstToken + i);
    const start = firstRow;
    const rowOf = tokens.map((t) => (input.rowOf[t] as number) - start);
    yield { part: { ...input, sequences: input.sequences.slice(first, last), rows, rowOf, items: [] }, tokens };
    first = last;
    firstRow += rows;
  }
}

/** The items of a sequence: every token that may be ranked, or every word. */
function itemsOf(tokens: readonly SequenceToken[], { unit, specials }: AnalysisOptions): Item[] {
  const items: { tokens: number[] }[] = [];
  let last = '';
  for (const [t, { special, segment, word }] of tokens.entries()) {
    if (special && specials === 'exclude') continue;
    const key = unit === 'token' || special ? `token ${t}` : `word ${segment} ${word}`;
    if (key === last) items.at(-1)?.tokens.push(t);
    else items.push({ tokens: [t] });
    last = key;
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
