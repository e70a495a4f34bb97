import type { TokenSequence } from '../bert/batch.ts';
import { InputError, ModelError } from '../errors.ts';
import { tokenizeSequence } from '../text/sequence.ts';
import type { SequenceToken, TokenizedSequence } from '../text/sequence.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
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

/** What is ranked and bucketed, in text order: single tokens, or words, whose pieces follow each other. */
export interface Items {
  /** [items] Index of an item's first token. */
  readonly first: Uint32Array;
  /** [items] Its number of tokens. */
  readonly count: Uint32Array;
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
  readonly items: Items;
}

/** What a submission needs of an input, or of some windows of one. */
export type MeasuredInput = Pick<Prepared, 'sequences' | 'rows' | 'rowOf' | 'items'>;

/** The limits of the model that a text is prepared for. */
export interface PrepareLimits {
  /** P, the positions the model has. */
  readonly maxPositionEmbeddings: number;
  /** V, rows of the word embeddings. */
  readonly vocabSize: number;
  readonly typeVocabSize: number;
}

const NO_ITEMS: Items = { first: new Uint32Array(), count: new Uint32Array() };

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
  checkIds(tokenized.encoding, limits, tokenized.encoding.tokens);
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
 * The windows of a long text in parts of at most `most` rows (one window at least), and the first of the tokens that a part
 * reports: they are a run, as many as the part's `rowOf` has. Nothing of a part is ranked: a word may lie in two.
 */
export function* partsOf(input: Prepared, most: number): Generator<{ part: MeasuredInput; first: number }> {
  const { sequences, tokens } = input;
  let firstRow = 0;
  let token = 0;
  for (let window = 0; window < sequences.length;) {
    const start = window;
    let rows = 0;
    do rows += sequences[window++]?.ids.length ?? 0;
    while (window < sequences.length && rows + (sequences[window]?.ids.length ?? 0) <= most);
    const first = token;
    while (token < tokens.length && (tokens[token]?.window ?? 0) < window) token++;
    const rowOf = input.rowOf.slice(first, token).map((row) => row - firstRow);
    yield { part: { sequences: sequences.slice(start, window), rows, rowOf, items: NO_ITEMS }, first };
    firstRow += rows;
  }
}

/** The items of a sequence: every token that may be ranked, or every word. */
function itemsOf(tokens: readonly SequenceToken[], { unit, specials }: AnalysisOptions): Items {
  const first: number[] = [];
  const count: number[] = [];
  let last = '';
  for (const [t, { special, segment, word }] of tokens.entries()) {
    if (special && specials === 'exclude') continue;
    const key = unit === 'token' || special ? `token ${t}` : `word ${segment} ${word}`;
    if (key === last) (count[count.length - 1] as number)++;
    else {
      first.push(t);
      count.push(1);
    }
    last = key;
  }
  return { first: Uint32Array.from(first), count: Uint32Array.from(count) };
}

/**
 * Holds that the model can take a sequence.
 * @throws ModelError for a token, InputError for a token type or a length that it has no row of its embeddings for
 */
export function checkSequence(sequence: TokenSequence, limits: PrepareLimits): void {
  checkIds(sequence, limits);
  const { length } = sequence.ids;
  if (length > limits.maxPositionEmbeddings)
    throw new InputError(`sequence too long: ${length} tokens where the model takes ${limits.maxPositionEmbeddings}`);
}

function checkIds(
  { ids, typeIds = [] }: TokenSequence,
  { vocabSize, typeVocabSize }: PrepareLimits,
  tokens: readonly string[] = [],
): void {
  const bad = Array.from(ids).findIndex((id) => id >= vocabSize);
  if (bad >= 0) {
    const name = tokens[bad] === undefined ? `token ${bad}` : JSON.stringify(tokens[bad]);
    throw new ModelError(
      `the vocabulary is smaller than a token's id: ${name} is ${ids[bad]}, the word embeddings have ${vocabSize} rows`,
      {
        hint: 'The tokenizer and the weights are not of one model.',
      },
    );
  }
  const type = Array.from(typeIds).find((id) => id >= typeVocabSize);
  if (type !== undefined) {
    throw new InputError(
      `the model knows ${typeVocabSize} token type${typeVocabSize === 1 ? '' : 's'}, and a pair needs type ${type}`,
    );
  }
}
