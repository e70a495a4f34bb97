import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Diagnosis } from '../../src/doctor/diagnosis.ts';
import { fault, faultEnv, temporaryFolder, tinyModel } from '../faults/support.ts';
import type { RunOptions } from '../cli/run.ts';
import { run } from '../cli/run.ts';
import { ADAPTER, BERT, ROOT } from '../support.ts';

/** Without the system's own drivers, which write warnings to a standard error that is a socket, as here. */
const DRIVERS = ADAPTER === 'swiftshader' ? { VK_DRIVER_FILES: '/nonexistent' } : {};

async function doctor(args: readonly string[], options: RunOptions = {}): Promise<string> {
  const env = { ...DRIVERS, ...options.env };
  const { code, stdout, stderr } = await run(['doctor', ...args], { ...options, env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}
const diagnosis = async (args: readonly string[], options?: RunOptions): Promise<Diagnosis> =>
  JSON.parse(await doctor(['--adapter', ADAPTER, '--format', 'json', ...args], options));

describe('what is there', () => {
  test('BERT-base: an absent shard and the layers that run without it; for people', async () => {
    const text = await doctor(['--adapter', ADAPTER, '--model', BERT]);
    expect(text).toMatch(/^Machine\n {2}layer8 \S+, Node v\d/);
    expect(text).toMatch(/\n {2}→ [^\n]+\n {6}features: [^\n]+\n {6}limits: buffers of /);
    expect(text).toContain('  12 layers, hidden size 768, 12 heads, 30522 tokens, stored as F16\n');
    expect(text).toContain('  weights up to layer 8 of 12 are there\n');
    expect(text).toMatch(/model-00004-of-00004\.safetensors: absent, encoder layers 8–11, the pooler/);
  });

  test('in JSON: adapters, the one that runs, the ladder, and what the environment says', async () => {
    const { node, adapters, chosen, reason, rungs, model, environment, refused } = await diagnosis(
      ['--model', tinyModel('F16')],
      { env: { HF_TOKEN: 'a secret', LP_NUM_THREADS: '2' } },
    );
    expect(node).toBe(process.version);
    const running = adapters.find(({ name }) => name === chosen);
    expect(running?.kind).toBe(ADAPTER);
    expect(running?.limits?.maxBufferSize).toBeGreaterThan(2 ** 27);
    expect(reason).toContain(ADAPTER);
    expect(rungs.slice(0, 2)).toEqual([
      { name: 'tiled', state: 'runs', reason: null },
      { name: 'plain', state: 'fallback', reason: null },
    ]);
    expect(rungs.find(({ name }) => name === 'subgroup')).toMatchObject({
      state: 'unfit',
      reason: expect.stringMatching(/hidden_size to be a multiple of 8, and it is 36/),
    });
    expect(refused).toEqual([]);
    expect(model).toMatchObject({ dtype: 'F16', reachable: 8, problems: [] });
    expect(environment).toMatchObject({ HF_TOKEN: '(set)', LP_NUM_THREADS: '2' });
  });
});

describe('what is wrong is told with what to do, and is no failure', () => {
  test('no adapter, no model', async () => {
    const args = ['--adapter', 'no such GPU', '--model', join(temporaryFolder(), 'nothing')];
    const text = await doctor(args);
    expect(text).toMatch(/\nWhat runs\n {2}nothing: no adapter is called "no such GPU": there is /);
    expect(text).toMatch(/\nModel\n {2}problem: no such folder: /);
    expect(text).toMatch(/\nWhat to do\n {2}Give --adapter a part of such a name[^\n]*\n {2}Give a folder in/);
  });

  test('a folder without weights', async () => {
    const model = tinyModel('F16');
    rmSync(join(model, 'model.safetensors'));
    const { model: examined, chosen } = await diagnosis(['--model', model]);
    expect(chosen).not.toBeNull();
    expect(examined.problems.map(({ message }) => message)).toEqual([
      expect.stringMatching(/has neither model\.safetensors nor/),
    ]);
  });

  test('a kernel that the driver refuses, and a feature it lacks', async () => {
    const model = tinyModel('BF16');
    const spoilt = faultEnv(fault('shader', { FAULT_KERNEL: 'attention' }));
    const { refused, advice } = await diagnosis(['--model', model], { env: spoilt });
    expect(refused.map(({ name }) => name)).toEqual(['attention_subgroup_64']);
    expect(advice.join('\n')).toMatch(/The driver refuses attention_subgroup_64: slower kernels run instead/);
    const poor = faultEnv(fault('poor', { FAULT_WITHOUT: 'subgroups' }));
    const { rungs } = await diagnosis(['--model', model], { env: poor });
    expect(rungs.find(({ name }) => name === 'subgroup')?.reason).toMatch(/needs subgroups of always 4/);
  });
});

describe('--print-kernel', () => {
  test('a file of kernels/ as it is, after the constants it is compiled with', async () => {
    const args = ['--adapter', ADAPTER, '--model', tinyModel('F16'), '--print-kernel', 'linear_tiled'];
    const file = readFileSync(join(ROOT, 'kernels', 'linear_tiled.wgsl'), 'utf8');
    expect(await doctor(args)).toBe(`// compiled with ELEMENT = 1\n${file}`);
  });

  test('one that is none: the names there are', async () => {
    const args = ['doctor', '--adapter', ADAPTER, '--model', tinyModel('BF16'), '--print-kernel', 'gemm'];
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/no kernel of this adapter is called 'gemm'\. There are attention_subgroup_64, bucket, /);
  });
});
