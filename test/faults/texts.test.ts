import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../cli/run.ts';
import { memoryFor } from './memory.ts';
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
    [
      '30 an id twice',
      () => fileWith('a.jsonl', '{"id":7,"text":""}\n\n{"id":"7","text":""}\n'),
      /line 3: the id "7" is given/,
    ],
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

// fault 28
test('a file of 100 MB is streamed: memory does not grow with it', { timeout: 60_000 }, async () => {
  expect(await memoryFor(100)).toBeLessThan(250);
});
