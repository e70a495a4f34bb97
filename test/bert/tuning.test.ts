import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { readConfig } from '../../src/bert/config.ts';
import { smallConfig, randomCheckpoint } from '../../src/bert/randommodel.ts';
import type { Rung } from '../../src/bert/rung.ts';
import { candidates } from '../../src/bert/rungs.ts';
import { tune } from '../../src/bert/tuning.ts';
import { loadWeights } from '../../src/bert/weights.ts';
import { CompileError } from '../../src/errors.ts';
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { closeGpus, testGpu } from '../kernels/harness.ts';
import { BERT } from '../support.ts';

let cache = '';
const before = process.env['XDG_CACHE_HOME'];
beforeEach(async () => {
  if (cache) await rm(cache, { recursive: true });
  cache = await mkdtemp(join(tmpdir(), 'layer8-tuning-'));
  process.env['XDG_CACHE_HOME'] = cache;
});
afterAll(async () => {
  await rm(cache, { recursive: true });
  if (before === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = before;
  await closeGpus();
});

/** Tunes a rung with three ways, one of which does its work once; returns all that was chosen, in order. */
async function choices(ways = ['slow', 'fast', 'slower']): Promise<string[]> {
  const gpu = await testGpu();
  const config = smallConfig(await readConfig(BERT));
  const [factory] = candidates('tiled', gpu, config, 'f32');
  const rung = await (factory as NonNullable<typeof factory>).create(gpu, config);
  const chosen: string[] = [];
  const tuned: Rung = {
    ...rung,
    tuning: { rows: 16, ways, choose: (way) => void chosen.push(way) },
    operations(recording) {
      const ops = rung.operations(recording);
      const times = { slow: 20, slower: 30 }[chosen.at(-1) as string] ?? 1;
      if (chosen.at(-1) === 'broken') throw new CompileError('does not compile');
      const linear = ops.linear.bind(ops);
      ops.linear = (x, dense) => {
        for (let i = 1; i < times; i++) linear(x, dense);
        return linear(x, dense);
      };
      return ops;
    },
  };
  await using checkpoint = await openCheckpoint(randomCheckpoint(config, 'F32'));
  await tune(gpu, tuned, config, await loadWeights(gpu, checkpoint, config, 1, rung.placement));
  return chosen;
}

test('the fastest way is chosen, and the next time without a trial', async () => {
  const tried = await choices();
  expect(new Set(tried)).toEqual(new Set(['slow', 'fast', 'slower']));
  expect(tried.at(-1)).toBe('fast');
  expect(await choices()).toEqual(['fast']);
});

test('what is kept of other ways, or damaged, is found out again', async () => {
  await choices();
  expect((await choices(['fast', 'slow'])).length).toBeGreaterThan(2);
  const folder = join(cache, 'layer8', 'tuning');
  for (const file of await readdir(folder)) await writeFile(join(folder, file), 'nonsense');
  expect((await choices()).at(-1)).toBe('fast');
  expect(
    (await Promise.all((await readdir(folder)).map((file) => readFile(join(folder, file), 'utf8')))).sort(),
  ).toEqual(['fast', 'nonsense']);
});

test('a way that the driver does not compile is not taken, unless it is the only one', async () => {
  expect((await choices(['slow', 'broken', 'fast'])).at(-1)).toBe('fast');
  await expect(choices(['broken', 'fast'])).rejects.toThrow(CompileError);
});

test('a rung without a choice is left as it is', async () => {
  const gpu = await testGpu();
  const config = smallConfig(await readConfig(BERT));
  const rung: Rung = { name: 'none', placement: undefined as never, operations: () => expect.fail('nothing to time') };
  await tune(gpu, rung, config, { embeddings: undefined as never, layers: [] });
  expect(await readdir(cache)).toEqual([]);
});
