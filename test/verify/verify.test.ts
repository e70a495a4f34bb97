import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { withinPytorch } from '../../src/verify/compare.ts';
import type { CaseReport } from '../../src/verify/compare.ts';
import { ADAPTER, REFERENCE, ROOT, TINY } from '../support.ts';
import { run } from './run.ts';

// `layer8 verify`, the real command: it passes as things are, and one wrong byte anywhere makes it fail.

const temporary = mkdtempSync(join(tmpdir(), 'layer8-verify-'));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

interface Result {
  cases: CaseReport[];
  files: { file: string; status: string }[];
  pass: boolean;
}

async function verify(
  args: readonly string[],
  root = ROOT,
): Promise<{ code: number | null; result: Result; stderr: string }> {
  const { code, stdout, stderr } = await run(['verify', '--adapter', ADAPTER, '--format', 'json', ...args], root);
  return { code, result: JSON.parse(stdout || '{}') as Result, stderr };
}

/** A copy of one tiny model and its reference. */
function copyOfTiny(name: string, copy: string): string {
  const folder = join(temporary, copy);
  cpSync(join(TINY, name), folder, { recursive: true });
  return folder;
}

test('every reference case passes on the default kernels, to the last bucket', async () => {
  const { code, result, stderr } = await verify([]);
  expect(stderr).toBe('');
  expect(result.cases.filter(({ pass }) => !pass)).toEqual([]);
  expect(result.cases).toHaveLength(13 + 4 * 6);
  expect(result.cases.every(({ wrongBuckets }) => wrongBuckets === 0)).toBe(true);
  expect(code).toBe(0);
}, 180_000);

test('a sentence of BERT, stage by stage, and the tiny models pass on the plain kernels', async () => {
  const fox = await verify([
    '--kernels',
    'plain',
    '--only',
    'fox',
    '--stages',
    '--reference',
    join(REFERENCE, 'bert-base-uncased'),
  ]);
  expect(fox.code).toBe(0);
  const stages = fox.result.cases[0]?.stages ?? [];
  expect(stages.map(({ stage }) => stage)).toContain('layer.7.attention.probs');
  expect(new Set(stages.map(({ kernel }) => kernel))).toEqual(
    new Set(['layer_norm', 'linear', 'softmax', 'attention_context', 'add', 'gelu']),
  );
  const tiny = await verify(['--kernels', 'plain', '--reference', TINY]);
  expect(tiny.result.cases.filter(({ pass }) => !pass)).toEqual([]);
  expect(tiny.code).toBe(0);
}, 120_000);

test('over all cases PyTorch’s error is the measure, but not over a few that are named', async () => {
  const one = (maxAbsError: number, pytorchMaxAbsError: number | null) => ({ maxAbsError, pytorchMaxAbsError });
  expect(withinPytorch([one(3e-6, 2e-6), one(1e-6, null)])).toBe(true);
  expect(withinPytorch([one(3.1e-6, 2e-6), one(1e-6, 1e-6)])).toBe(false);
  expect(withinPytorch([one(1e-5, null)])).toBe(true);
  const { code, result } = await verify(['--only', 'empty', '--reference', join(REFERENCE, 'bert-base-uncased')]);
  const [empty] = result.cases as [CaseReport];
  expect(empty.maxAbsError).toBeGreaterThan(1.5 * (empty.pytorchMaxAbsError as number)); // or this shows nothing
  expect([result.pass, code]).toEqual([true, 0]);
});

test('one altered byte of the weights fails', async () => {
  const folder = copyOfTiny('gelu-h48-a3-i100', 'weights');
  const path = join(folder, 'model.safetensors');
  const bytes = readFileSync(path);
  bytes[bytes.length - 4] = (bytes[bytes.length - 4] as number) ^ 1; // the last bit of a float32
  writeFileSync(path, bytes);
  const { code, result } = await verify(['--reference', folder]);
  expect(code).toBe(1);
  expect(result.files).toEqual([{ file: path, status: 'wrong checksum' }]);
});

test('one altered value of the reference fails, and is named', async () => {
  const folder = copyOfTiny('relu-h64-a1-i64-bf16', 'reference');
  const path = join(folder, 'reference.safetensors');
  const bytes = readFileSync(path);
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  const at = 8 + headerLength + (header['3.hidden_states.2']?.data_offsets[0] ?? NaN);
  bytes.writeFloatLE(bytes.readFloatLE(at) + 1e-4, at);
  writeFileSync(path, bytes);
  const { code, result } = await verify(['--reference', folder]);
  expect(code).toBe(1);
  expect(result.cases.filter(({ pass }) => !pass).map(({ name, firstOut }) => [name, firstOut])).toEqual([
    ['reference 3', 'hidden_states.2'],
  ]);
});

test('one altered kernel fails, and is named', async () => {
  const root = join(temporary, 'altered');
  for (const folder of ['src', 'kernels', 'package.json', 'tsconfig.json'])
    cpSync(join(ROOT, folder), join(root, folder), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'), 'dir');
  const kernel = join(root, 'kernels', 'gelu.wgsl');
  const text = readFileSync(kernel, 'utf8');
  const altered = text.replace(/0\.5/, '0.5001');
  expect(altered).not.toBe(text);
  writeFileSync(kernel, altered);
  const reference = join(TINY, 'gelu-h48-a3-i100');
  const { code, result } = await verify(['--kernels', 'plain', '--reference', reference], root);
  expect(code).toBe(1);
  expect(result.cases.some(({ pass }) => !pass)).toBe(true);
});
