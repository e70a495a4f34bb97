import * as fc from 'fast-check';
import { splitLines } from '../../src/text/lines.ts';
import type { InputText } from '../../src/text/records.ts';
import { readRecords } from '../../src/text/records.ts';
import { splitSentences } from '../../src/text/sentences.ts';
import { decodeUtf8 } from '../../src/text/utf8.ts';
import { apply, editsOf, fromLatin1, jsonFragments, toLatin1 } from './edits.ts';
import type { Target } from './target.ts';

const FILES = [
  '{"text":"A fox.","id":"a"}\n\n{"text":"Who?","pair":"A dog.","id":7}\r\n{"text":"\\ud83e\\udd8a"}',
  '{"text":"one"}\n{"text":"two"}\n',
  'The quick brown fox. It jumps!\r\n\r\nNaïve 🦊 e.g. 3.5 .\u0085x\u2029y',
  '',
].map((text) => new TextEncoder().encode(text));
const FRAGMENTS = jsonFragments('"text":"x" "id":"0" "id":0 "pair":null \\r \\ud83e A. 日本 🦊');

interface Bytes {
  bytes: string;
  /** Bytes of a chunk. */
  chunk: number;
}

async function* chunksOf({ bytes, chunk }: Bytes): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunk) yield fromLatin1(bytes.slice(at, at + chunk));
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Text and JSON lines, as bytes in chunks. */
export const inputs: Target<Bytes> = {
  name: 'inputs',
  runs: { full: 200_000, short: 5000 },
  inputs: fc.tuple(editsOf(FILES.length), fc.integer({ min: 1, max: 40 })).map(([{ file, edits }, chunk]) => ({
    bytes: toLatin1(apply(FILES[file], edits, FRAGMENTS)),
    chunk,
  })),
  async take(input) {
    const whole = new TextDecoder('utf-8', { fatal: true });
    const decoded = (): AsyncGenerator<string> => decodeUtf8(chunksOf(input), 'file');
    const text = (await all(decoded())).join('');
    if (text !== whole.decode(fromLatin1(input.bytes))) throw new Error('the text is not that of the bytes');
    const lines = await all(splitLines(decoded(), 'file'));
    if (lines.join('\n').replaceAll('\r', '') !== text.replace(/\n$/, '').replaceAll('\r', '')) {
      throw new Error(`other lines: ${JSON.stringify(lines)}`);
    }
    const sentences = await all(splitSentences(decoded()));
    if (sentences.join('').replaceAll(/\s/g, '') !== text.replaceAll(/\s/g, '')) {
      throw new Error(`other sentences: ${JSON.stringify(sentences)}`);
    }
    // Last, for it may refuse.
    checkRecords(await all(readRecords(decoded(), 'file')), lines);
  },
};

function checkRecords(records: readonly InputText[], lines: readonly string[]): void {
  const parsed = lines.filter((line) => line.trim() !== '').map((line) => JSON.parse(line));
  if (parsed.length !== records.length) throw new Error(`${records.length} records of ${parsed.length} lines`);
  for (const [i, { text, pair = null }] of parsed.entries()) {
    if (records[i].text !== text || (records[i].pair ?? null) !== pair) throw new Error(`record ${i} is another`);
  }
  if (new Set(records.map(({ id }) => id)).size !== records.length) throw new Error('an id is there twice');
}
