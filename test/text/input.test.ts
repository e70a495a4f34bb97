import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitLines } from '../../src/text/lines.ts';
import { readRecords } from '../../src/text/records.ts';
import { decodeUtf8 } from '../../src/text/utf8.ts';

async function* chunked<T extends string | Uint8Array>(whole: T, sizes: readonly number[]): AsyncGenerator<T> {
  let from = 0;
  for (const size of sizes) {
    yield whole.slice(from, from + size) as T;
    from += size;
  }
  yield whole.slice(from) as T;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const SIZES = fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 20 });

test('text comes through in chunks of any size', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), SIZES, async (text, sizes) => {
      const bytes = new TextEncoder().encode(text);
      const decoded = (await all(decodeUtf8(chunked(bytes, sizes), 'F'))).join('');
      expect(decoded).toBe(new TextDecoder('utf-8').decode(bytes));
    }),
  );
});

// fault 22
test('bytes that are no UTF-8 are refused at the offset of the first, whatever the chunks', async () => {
  const byte = fc.constantFrom(
    0x41,
    0x80,
    0xbf,
    0xc0,
    0xc3,
    0xe0,
    0xa0,
    0x9f,
    0xed,
    0xe2,
    0x82,
    0xac,
    0xf0,
    0x90,
    0xf4,
    0x8f,
    0xff,
  );
  await fc.assert(
    fc.asyncProperty(fc.array(byte, { maxLength: 12 }), SIZES, async (list, sizes) => {
      const bytes = new Uint8Array(list);
      const valid = (end: number) => {
        try {
          new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end));
          return true;
        } catch {
          return false;
        }
      };
      const outcome = await all(decodeUtf8(chunked(bytes, sizes), 'F')).then(
        () => null,
        (error: Error) => error.message,
      );

      // The longest valid beginning of the file ends where the first ill-formed sequence begins.
      let offset = bytes.length;
      while (!valid(offset)) offset--;
      const message = offset === bytes.length ? null : `F is not UTF-8: byte ${offset} begins no character`;
      expect(outcome).toBe(message);
    }),
    { numRuns: 1000 },
  );
});

test('a byte order mark is no text; UTF-16 is recognised by its own', async () => {
  expect((await all(decodeUtf8(chunked(Buffer.from('\ufeffa'), [1, 1]), 'F'))).join('')).toBe('a');
  const error = await all(decodeUtf8(chunked(Buffer.from('\ufeffa', 'utf16le'), []), 'F')).catch((thrown) => thrown);
  expect(error.message).toContain('byte 0');
  expect(error.hint).toContain('UTF-16');
});

test('lines are those of the text, whatever the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: fc.constantFrom('a', '\n', '\r\n', ' ') }), SIZES, async (text, sizes) => {
      const lines = text.split(/\r?\n/);
      if (lines.at(-1) === '') lines.pop();
      expect(await all(splitLines(chunked(text, sizes), 'F'))).toEqual(lines);
    }),
  );
});

test('a line longer than memory should hold is refused with its number', async () => {
  async function* endless(): AsyncGenerator<string> {
    yield 'first\n';
    for (;;) yield 'x'.repeat(1 << 20);
  }
  await expect(all(splitLines(endless(), 'F'))).rejects.toThrow(/^F, line 2 is longer than the 16,777,216 characters/);
});

async function records(text: string): Promise<{ id: string; text: string; pair?: string }[]> {
  const found = await all(readRecords(chunked(text, [3, 5]), 'F'));
  return found.map(({ id, text: own, pair }) => ({ id, text: own, ...(pair !== undefined && { pair }) }));
}

test('JSON lines: text, id and pair; other members and empty lines are passed over', async () => {
  expect(
    await records(
      '{"text":"a","label":1}\r\n\n{"id":"x","text":"b","pair":"c"}\n{"id":7,"text":"\\u2028","pair":null}',
    ),
  ).toEqual([
    { id: '0', text: 'a' },
    { id: 'x', text: 'b', pair: 'c' },
    { id: '7', text: '\u2028' },
  ]);
});

test.each([
  ['{"text":"a"}\n{"text":', /^F, line 2: not JSON/],
  ['\n\n[1]', /^F, line 3: not an object, but a list/],
  ['null', /^F, line 1: not an object, but null/],
  ['{"texts":"a"}', /^F, line 1: text must be a string, and is missing/],
  ['{"text":1}', /text must be a string, and is a number/],
  ['{"text":"a","pair":{}}', /pair must be a string, and is an object/],
  ['{"text":"a","id":true}', /id must be a string or a number, and is a boolean/],
  [
    '{"id":"a","text":""}\n{"id":"b","text":""}\n{"id":"a","text":""}',
    /^F, line 3: the id "a" is given before, on line 1/,
  ],
  ['{"text":""}\n{"id":"0","text":""}', /^F, line 2: the id "0" is the index of an earlier record without id/],
  ['{"id":"1","text":""}\n{"text":""}', /^F, line 2: the id "1" is given before, on line 1/],
])('refused: %s', async (text, message) => {
  await expect(records(text)).rejects.toThrow(message);
});
