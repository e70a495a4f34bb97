import { createWriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { describe, expect, test } from 'vitest';
import { run } from '../cli/run.ts';
import { expectFailure, temporaryFolder } from './support.ts';

// Input as it comes, through the real command. `tokenize` reads it as `analyze` does, and needs no GPU.

function fileWith(name: string, content: string | Uint8Array): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  return path;
}

const tokenize = (...args: string[]) => run(['tokenize', '--format', 'jsonl', ...args]);

// faults 21, 22, 29, 30
describe('an input that is refused', () => {
  test.concurrent.each<[string, () => string, RegExp]>([
    ['21 a file that is missing', () => '/nowhere/a.txt', /cannot read \/nowhere\/a\.txt: no such file or directory/],
    ['22 not UTF-8', () => fileWith('a.txt', Buffer.from([97, 98, 0xe9, 99])), /a\.txt is not UTF-8: byte 2/],
    ['29 no JSON', () => fileWith('a.jsonl', '{"text":\n'), /a\.jsonl, line 1: not JSON/],
    ['30 an id twice', () => fileWith('a.jsonl', '{"id":7,"text":""}\n\n{"id":"7","text":""}\n'), /line 3: the id "7" is given/],
  ])('%s', async (_, input, message) => {
    const { stdout, ...rest } = await tokenize('--file', input());
    // What came before the failure stands.
    expect(stdout).toMatch(/^(?:\{"id":"7".*\}\n)?$/);
    expectFailure({ stdout: '', ...rest }, 4, message);
  });
});

// faults 23, 25, 26, 27
test('texts that are odd, and no failure', { timeout: 60_000 }, async () => {
  const texts = ['', ' \t\n', 'a [CLS] b [MASK]', '\0\u0007a\u200b\ufffd', '\ud800 a \udfff', 'x'.repeat(1 << 20)];
  const path = fileWith('odd.jsonl', texts.map((text) => `${JSON.stringify({ text })}\n`).join(''));
  const { code, stdout, stderr } = await tokenize('--file', path);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const sequences = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(sequences.map(({ text }) => text)).toEqual(texts);
  expect(sequences.map(({ tokens }) => tokens.map(({ token }: { token: string }) => token))).toEqual([
    ['[CLS]', '[SEP]'],
    ['[CLS]', '[SEP]'],
    ['[CLS]', 'a', '[CLS]', 'b', '[MASK]', '[SEP]'],
    ['[CLS]', 'a', '[SEP]'],
    ['[CLS]', 'a', '[SEP]'],
    ['[CLS]', '[UNK]', '[SEP]'],
  ]);
});

/** Prints the most memory that the process has had, in kilobytes, behind all else. */
const MEMORY = `data:text/javascript,process.on('exit',()=>console.error(process.resourceUsage().maxRSS))`;

/** The most memory in megabytes that `tokenize` takes for a file of that many. */
export async function memoryFor(megabytes: number): Promise<number> {
  const path = join(temporaryFolder(), 'large.txt');
  const stream = createWriteStream(path);
  const block = 'The quick brown fox jumps over the lazy dog. '.repeat(23_302).slice(0, (1 << 20) - 1) + '\n';
  for (let i = 0; i < megabytes; i++) if (!stream.write(block)) await new Promise((done) => stream.once('drain', done));
  stream.end();
  await finished(stream);
  const output = join(temporaryFolder(), 'out.csv');
  const env = { NODE_OPTIONS: `--import=${MEMORY}` };
  const { code, stderr } = await run(['tokenize', '--file', path, '--format', 'csv', '--output', output], { env });
  expect(code).toBe(0);
  return Number(stderr.trim()) / 1000;
}
