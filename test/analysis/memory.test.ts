import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ADAPTER, ROOT } from '../support.ts';
import { writeModel } from './made-model.ts';
import type { MadeModel } from './made-model.ts';
import { recorded, temporaryFolder } from './support.ts';

const LINES = 10_000;

test('memory does not grow with the input: 10,000 lines', { timeout: 120_000 }, async () => {
  const { vocabulary, models } = await recorded<{ vocabulary: string[]; models: (MadeModel & { name: string })[] }>(
    'models',
  );
  const model = models.find(({ name }) => name === 'cased') as MadeModel;
  const folder = await writeModel(join(await temporaryFolder(), 'cased'), model, vocabulary);
  // A small heap: V8 lets its own grow by tens of megabytes before it looks for what is garbage.
  const flags = ['--max-semi-space-size=4', '--max-old-space-size=64', '--expose-gc', '--import', 'tsx'];
  const args = [...flags, join(ROOT, 'test/analysis/memory.ts'), folder, ADAPTER, String(LINES)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  const { done, high, resident, live } = JSON.parse(stdout) as Record<'done' | 'high', number> &
    Record<'resident' | 'live', [early: number, late: number]>;
  expect(done).toBe(LINES);
  expect(high).toBeGreaterThan(LINES);
  const grown = ([early, late]: [number, number]): string =>
    `${early >> 10} KiB after a tenth, ${late >> 10} at the end`;
  expect(resident[1] / resident[0], grown(resident)).toBeLessThan(1.1);
  // What is reachable does not grow at all: one small object kept of each batch would show.
  expect(live[1] / live[0], grown(live)).toBeLessThan(1.01);
});
