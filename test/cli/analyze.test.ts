import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AnalysisResult, SequenceResult } from '../../src/analysis/result.ts';
import expected from '../fixtures/reference/bert-base-uncased/expected.json' with { type: 'json' };
import { outcomeOf, run, start } from './run.ts';

const ADAPTER = ['--adapter', process.env['LAYER8_TEST_ADAPTER'] ?? 'swiftshader'];
const { fox } = expected;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'layer8-analyze-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the table of a sentence, and nothing on standard error', async () => {
  const { code, stdout, stderr } = await run([...ADAPTER, fox.text]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^The quick brown fox jumps over the lazy dog\.\nθ 19\.906\d\d \(0\.75 quantile, linear\)/);
  const high = stdout.split('\n').filter((line) => line.endsWith('HIGH'));
  expect(high.map((line) => line.split(' ')[0])).toEqual(['brown', 'over', 'dog']);
  expect(stdout).toContain('bert-base-uncased (F16), layer 8 of 12');
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('JSON of a file with hidden states beside it', async () => {
  const states = join(folder, 'h.safetensors');
  const output = join(folder, 'result.json');
  const input = `${JSON.stringify({ id: 'fox', text: fox.text })}\n${JSON.stringify({ id: 'q', text: 'Who?', pair: 'A dog.' })}\n`;
  const args = [...ADAPTER, '--file', '-', '--format', 'json', '--output', output, '--save-hidden-states', states];
  expect(await run(args, { input })).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(readdirSync(folder).sort()).toEqual(['h.safetensors', 'result.json']);

  const result: AnalysisResult = JSON.parse(readFileSync(output, 'utf8'));
  const [first, second] = result.sequences;
  expect(first.id).toBe('fox');
  expect(first.tokens.map(({ token }) => token)).toEqual(fox.tokens);
  for (const [i, token] of first.tokens.entries()) {
    expect(Math.abs(token.tas - fox.tas[i])).toBeLessThan(2e-5);
    // The shortest decimal of a float32, not the float64 that holds it.
    expect(String(token.tas).length).toBeLessThan(12);
    expect(token.bucket === 'HIGH').toBe(fox.high_excluded_linear[i]);
  }
  expect(second.tokens.filter(({ segment }) => segment === 1).map(({ token }) => token)).toContain('dog');

  // The states in the file are those whose norms are in the result.
  const bytes = readFileSync(states);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length));
  expect(header['fox.hidden_states.8'].shape).toEqual([12, 768]);
  for (const sequence of result.sequences) {
    const [begin] = header[`${sequence.id}.hidden_states.8`].data_offsets;
    for (const [t, token] of sequence.tokens.entries()) {
      let sum = 0;
      for (let h = 0; h < 768; h++) sum += bytes.readFloatLE(8 + length + begin + 4 * (t * 768 + h)) ** 2;
      expect(Math.abs(Math.sqrt(sum) - token.tas)).toBeLessThan(1e-4);
    }
  }
});

test('one θ over standard input, which is read twice', async () => {
  const input = `${fox.text} Who knows? A dog barked.`;
  const { code, stdout, stderr } = await run([...ADAPTER, '--file', '-', '--scope', 'corpus', '--format', 'jsonl'], {
    input,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const sequences = stdout
    .trimEnd()
    .split('\n')
    .map((line): SequenceResult => JSON.parse(line));
  expect(sequences.map(({ text }) => text)).toEqual([fox.text, 'Who knows?', 'A dog barked.']);
  expect(new Set(sequences.map(({ threshold }) => threshold)).size).toBe(1);
  const ranked = sequences.flatMap(({ tokens }) => tokens.filter(({ bucket }) => bucket !== null));
  expect(ranked.filter(({ bucket }) => bucket === 'HIGH')).toHaveLength(Math.ceil(ranked.length / 4));
});

// fault 48
test('Ctrl-C while the model works: 130, no output file', async () => {
  const output = join(folder, 'never.jsonl');
  const child = start([...ADAPTER, '--file', '-', '--split', 'line', '--format', 'jsonl', '--output', output]);
  child.stdin.on('error', () => undefined);
  const outcome = outcomeOf(child);
  child.stdin.end(`${fox.text}\n`.repeat(5000));
  await expect.poll(() => readdirSync(folder).some((name) => name.includes('never')), { timeout: 20_000 }).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  child.kill('SIGINT');
  expect(await outcome).toEqual({ code: 130, stdout: '', stderr: 'layer8: interrupted.\n' });
  expect(readdirSync(folder).filter((name) => name.includes('never'))).toEqual([]);
});
