import { spawn } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { outcomeOf, start } from '../cli/run.ts';
import { ADAPTER } from '../support.ts';
import { TEXT, analyze, ending, expectFailure, fault, faultEnv, temporaryFolder, tinyModel } from './support.ts';
import type { Lives } from './lives.ts';

describe('a GPU that gives no answer', () => {
  // fault 45
  test.each([
    ['results never come', 'map'],
    ['a kernel never ends, and with it the device', 'l2_norm'],
  ])('%s: given up after --timeout, and the process ends', async (_, what) => {
    const folder = temporaryFolder();
    const started = performance.now();
    const args = ['--timeout', '2', '--format', 'json', '--output', join(folder, 'result.json'), TEXT];
    const outcome = await analyze(tinyModel('F16'), args, fault('hang', { FAULT_HANG: what }));
    expectFailure(outcome, 6, /the GPU gave no answer for 2 s: .*Raise --timeout/);
    expect(readdirSync(folder)).toEqual([]);
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  test('Ctrl-C ends it as well', async () => {
    const folder = temporaryFolder();
    const env = faultEnv(fault('hang', { FAULT_HANG: 'l2_norm' }));
    const args = ['--adapter', ADAPTER, '--model', tinyModel('F16'), '--output', join(folder, 'result.json'), TEXT];
    const child = start(['analyze', ...args], { env });
    await until(() => readdirSync(folder).length > 0);
    await sleep(1000); // into the endless dispatch
    child.kill('SIGINT');
    expect(await outcomeOf(ending(child))).toMatchObject({ code: 130, stdout: '' });
    expect(readdirSync(folder)).toEqual([]);
  });
});

// fault 48
test('Ctrl-C while batches run: 130, nothing left of the output, the process ends by itself', async () => {
  const folder = temporaryFolder();
  const input = join(temporaryFolder(), 'lines.txt');
  writeFileSync(input, `${`${TEXT} `.repeat(8)}\n`.repeat(20_000));
  const args = ['--file', input, '--split', 'line', '--format', 'jsonl', '--output', join(folder, 'result.jsonl')];
  const child = start(['analyze', '--adapter', ADAPTER, '--model', tinyModel('F16'), ...args]);
  await until(() => readdirSync(folder).some((name) => statSync(join(folder, name)).size > 0));
  const interrupted = performance.now();
  child.kill('SIGINT');
  expect(await outcomeOf(ending(child))).toEqual({ code: 130, stdout: '', stderr: 'layer8: interrupted.\n' });
  expect(readdirSync(folder)).toEqual([]);
  expect(performance.now() - interrupted).toBeLessThan(4900); // after 5 s the command line loses its patience
});

// faults 46, 47
test('one model, used and disposed at awkward times', async () => {
  const script = join(import.meta.dirname, 'lives.ts');
  const child = spawn(process.execPath, ['--expose-gc', '--import', 'tsx', script, tinyModel('F16'), ADAPTER], {
    env: { ...process.env, ...faultEnv(fault('lose', {})) },
  });
  const { code, stdout, stderr } = await outcomeOf(ending(child));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lives: Lives = JSON.parse(stdout);
  const inFlight = /GpuError: the device was disposed while work was in flight/;
  expect(lives.together).toBe(true);
  expect(lives.togetherWithLoss).toBe(true);
  expect(lives.inFlight).toMatch(inFlight);
  expect(lives.queued).toMatch(/UsageError: the model was disposed/);
  expect(lives.afterwards).toMatch(/UsageError: the model was disposed/);
  expect(lives.whileReopening).toMatch(inFlight);
  expect(lives.devicesLeft).toBe(0);
});

async function until(reached: () => boolean): Promise<void> {
  for (let tries = 0; !reached(); tries++) {
    if (tries > 2000) throw new Error('what the test waits for did not happen');
    await sleep(10);
  }
}
