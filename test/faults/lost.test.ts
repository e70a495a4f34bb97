import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { outcomeOf } from '../cli/run.ts';
import type { SequenceResult } from '../../src/analysis/result.ts';
import { ADAPTER } from '../support.ts';
import {
  TEXT,
  analyze,
  ending,
  expectFailure,
  fault,
  faultEnv,
  sequencesOf,
  temporaryFolder,
  tinyModel,
} from './support.ts';
import type { Sweep } from './sweep.ts';

const WARNING = /^layer8: the GPU was lost: [^\n]*; starting again on a new device\n$/;
const ARGS = ['--format', 'json', TEXT];

describe('a device that is lost is replaced once, and the result is the same to the last bit', () => {
  let unbroken: SequenceResult[];
  /** How often a run does what can fail; the last time is the batch. */
  let counts: Record<'upload' | 'dispatch' | 'submit' | 'submitted' | 'map', number>;
  beforeAll(async () => {
    const trace = join(temporaryFolder(), 'trace');
    // The first run may do work that later ones find done.
    await analyze(tinyModel('F32'), ARGS);
    unbroken = sequencesOf(await analyze(tinyModel('F32'), ARGS, fault('lose', { FAULT_TRACE: trace })));
    counts = JSON.parse(readFileSync(trace, 'utf8'));
  });

  // fault 40
  test.each([
    ['while the weights go up', () => `upload:${counts.upload >> 1}`],
    ['at the first submission, beside the weights', () => 'submit:1'],
    ['while the commands of the batch are recorded', () => `dispatch:${counts.dispatch - 4}`],
    ['when the batch is submitted', () => `submitted:${counts.submitted}`],
    ['when the results come back', () => `map:${counts.map}`],
  ])('%s', async (_, moment) => {
    const outcome = await analyze(tinyModel('F32'), ARGS, fault('lose', { FAULT_LOSE: moment() }));
    expect(sequencesOf(outcome)).toEqual(unbroken);
    expect(outcome.stderr).toMatch(WARNING);
  });

  // fault 41
  test.each([
    ['twice in a batch', () => `submit:${counts.submit},submit:${2 * counts.submit}`],
    ['twice while the model is loaded', () => 'submit:1,submit:2'],
  ])('%s: an error', async (_, moments) => {
    const lost = await analyze(tinyModel('F32'), ['--quiet', ...ARGS], fault('lose', { FAULT_LOSE: moments() }));
    expectFailure(lost, 6, /the GPU was lost twice: .*Try another adapter with --adapter/);
  });
});

// fault 40
test('it may be lost while the commands of any layer are recorded', async () => {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', join(import.meta.dirname, 'sweep.ts'), tinyModel('F16'), ADAPTER],
    { env: { ...process.env, ...faultEnv(fault('lose', {})) } },
  );
  const { code, stdout, stderr } = await outcomeOf(ending(child));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { layers }: Sweep = JSON.parse(stdout);
  expect(layers).toEqual(Array.from({ length: 9 }, (_, layer) => ({ layer, same: true, warnings: 1 })));
});
