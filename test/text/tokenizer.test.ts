/** Against what Hugging Face's fast tokenizer (Rust, tokenizers 0.23.3) gave on the same texts. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { InputError, UsageError } from '../../src/errors.ts';
import { type Encoding, Tokenizer } from '../../src/text/tokenizer.ts';
import type { TruncationStrategy } from '../../src/text/truncate.ts';

const MODEL = new URL('../../weights/bert-base-uncased/', import.meta.url);
const FIXTURES = new URL('../fixtures/tokenizer/', import.meta.url);

interface Recorded {
  text: string;
  ids: number[];
  tokens?: string[];
  /** [0, 0] for special tokens. */
  offsets: [number, number][];
  word_ids: (number | null)[];
}

const readJson = (url: URL): unknown => JSON.parse(readFileSync(url, 'utf8'));
/** Lines end at \n only: the texts hold other line ends. */
const readLines = <T>(name: string): T[] =>
  readFileSync(new URL(name, FIXTURES), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line): T => JSON.parse(line));

/** In groups by a key, as rows of a table of tests. */
function grouped<T>(items: readonly T[], key: (item: T) => string): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return [...groups];
}

const tokenizerJson = readJson(new URL('tokenizer.json', MODEL)) as Record<string, Record<string, unknown>>;
const tokenizer = Tokenizer.fromJson(tokenizerJson, readJson(new URL('tokenizer_config.json', MODEL)));

function expectRecorded(actual: Encoding, recorded: Recorded): void {
  const offsets = actual.offsets.map((offset) => offset ?? [0, 0]);
  expect({ ids: [...actual.ids], offsets, words: actual.wordIds }).toEqual({
    ids: recorded.ids,
    offsets: recorded.offsets,
    words: recorded.word_ids,
  });
  if (recorded.tokens !== undefined) expect(actual.tokens).toEqual(recorded.tokens);
}

describe('single texts', () => {
  const lines = readLines<Recorded & { cat: string }>('lines.jsonl');

  test.each(grouped(lines, ({ cat }) => cat))('%s', (_, group) => {
    for (const line of group) expectRecorded(tokenizer.encode(line.text), line);
  });

  // fault 26
  test('lone surrogates', () => {
    const { cases } = readJson(new URL('surrogates.json', FIXTURES)) as { cases: (Recorded & { units: number[] })[] };
    for (const recorded of cases) expectRecorded(tokenizer.encode(String.fromCharCode(...recorded.units)), recorded);
  });
});

/** The uncased vocabulary under other settings, as recorded. */
describe('other configurations', () => {
  const flag = (flags: Record<string, unknown>) => ({
    ...tokenizerJson,
    normalizer: { ...tokenizerJson['normalizer'], ...flags },
  });
  const token = (content: string, index: number, flags: Record<string, boolean>) => ({
    content,
    id: 30522 + index,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: false,
    ...flags,
  });
  const added = {
    added_tokens: [
      ...(tokenizerJson['added_tokens'] as unknown as unknown[]),
      token('Neo Word', 0, { normalized: true }),
      token('naïve', 1, { normalized: true }),
      token('xyz', 2, {}),
      token('xyzzy', 3, { single_word: true }),
      token('<e1>', 4, { lstrip: true, special: true }),
      token('<e2>', 5, { rstrip: true, special: true }),
      token('日本', 6, { normalized: true, rstrip: true }),
      // In the vocabulary already: its id there counts.
      token('cat', 7, { single_word: true, normalized: true, lstrip: true }),
    ],
  };
  const configurations: Record<string, unknown> = {
    base: tokenizerJson,
    cased: flag({ lowercase: false }),
    casedstrip: flag({ lowercase: false, strip_accents: true }),
    lowernostrip: flag({ strip_accents: false }),
    noclean: flag({ clean_text: false }),
    nocjk: flag({ handle_chinese_chars: false }),
    bare: flag({ clean_text: false, handle_chinese_chars: false, lowercase: false, strip_accents: false }),
    added: { ...tokenizerJson, ...added },
    addedcased: { ...flag({ lowercase: false }), ...added },
    short: { ...tokenizerJson, model: { ...tokenizerJson['model'], max_input_chars_per_word: 5 } },
  };
  const lines = readLines<Recorded & { config: string }>('extra.jsonl');

  test.each(grouped(lines, ({ config }) => config))('%s', (config, group) => {
    const configured = Tokenizer.fromJson(configurations[config]);
    for (const line of group) expectRecorded(configured.encode(line.text), line);
  });
});

describe('pairs and truncation', () => {
  interface RecordedPair extends Recorded {
    kind: string;
    text_pair?: string | null;
    max_length?: number;
    strategy?: TruncationStrategy;
    token_type_ids?: number[];
    sequence_ids?: (number | null)[];
    error?: string;
  }
  const lines = readLines<RecordedPair>('pairs.jsonl');

  test.each(grouped(lines, ({ kind, strategy }) => `${kind} ${strategy ?? ''}`))('%s', (_, group) => {
    for (const line of group) {
      const encode = (): Encoding =>
        tokenizer.encode(line.text, {
          ...((line.text_pair ?? null) === null ? {} : { pair: line.text_pair! }),
          ...(line.max_length === undefined ? {} : { maxLength: line.max_length }),
          ...(line.strategy === undefined ? {} : { strategy: line.strategy }),
        });
      if (line.error !== undefined) {
        expect(encode).toThrow(InputError);
        continue;
      }
      const encoding = encode();
      expectRecorded(encoding, line);
      if (line.token_type_ids !== undefined) expect([...encoding.typeIds]).toEqual(line.token_type_ids);
      if (line.sequence_ids !== undefined) {
        const sequences = encoding.segments.map((segment, i) => (encoding.specials[i] ? null : segment));
        expect(sequences).toEqual(line.sequence_ids);
      }
    }
  });

  test('only_second takes from the pair alone', () => {
    const encoding = tokenizer.encode('a b c', { pair: 'd e f', maxLength: 7, strategy: 'only_second' });
    expect(encoding.tokens).toEqual(['[CLS]', 'a', 'b', 'c', '[SEP]', 'd', '[SEP]']);
    expect(() => tokenizer.encode('a b c', { pair: 'd', maxLength: 6, strategy: 'only_second' })).toThrow(InputError);
    expect(() => tokenizer.encode('a', { strategy: 'only_second', maxLength: 9 })).toThrow(UsageError);
  });

  test('a limit below the special tokens is refused', () => {
    expect(tokenizer.encode('a b', { maxLength: 2 }).tokens).toEqual(['[CLS]', '[SEP]']);
    expect(() => tokenizer.encode('a b', { maxLength: 1 })).toThrow(UsageError);
    expect(() => tokenizer.encode('a b', { maxLength: Number.NaN })).toThrow(UsageError);
    expect(() => tokenizer.encode('a', { pair: 'b', maxLength: 2 })).toThrow(
      'maxLength 2: less than the 3 special tokens',
    );
  });
});

describe('hostile lengths', () => {
  const milliseconds = (text: string): number => {
    const start = performance.now();
    tokenizer.encode(text);
    return performance.now() - start;
  };

  test.each([
    ['one ASCII word', 'a'],
    ['one word of accented letters', 'é'],
    ['a letter for each mark', 'e\u0301'],
    ['control characters', '\0'],
    ['lone surrogates', '\ud800'],
    ['beginnings of added tokens', '[MASK'],
    ['punctuation', '!'],
  ])('%s: time is linear', (_, unit) => {
    milliseconds(unit.repeat(1000));
    // A quadratic pass would take minutes.
    expect(milliseconds(unit.repeat(300_000))).toBeLessThan(10_000);
  });

  // fault 27
  test('a word of a million letters is one unknown token that spans it', () => {
    const { tokens, offsets } = tokenizer.encode(`x ${'a'.repeat(500_000)}é${'a'.repeat(500_000)} y`);
    expect(tokens).toEqual(['[CLS]', 'x', '[UNK]', 'y', '[SEP]']);
    expect(offsets[2]).toEqual([2, 1_000_003]);
  });

  test('a word remembered from one text is the same in the next', () => {
    const words = Array.from({ length: 70_000 }, (_, i) => `w${i.toString(36)}`);
    const first = tokenizer.encode(words.join(' '));
    const second = tokenizer.encode(words.toReversed().join(' '));
    expect([...second.ids].sort()).toEqual([...first.ids].sort());
  });
});
