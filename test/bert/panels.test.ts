import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { RungFactory } from '../../src/bert/rung.ts';
import { selfCheck } from '../../src/bert/selfcheck.ts';
import { createSubgroup, subgroupRung } from '../../src/bert/subgroup.ts';
import { panelExtent, PANEL_ROWS, toPanels } from '../../src/gpu/panels.ts';
import { readConfig } from '../../src/bert/config.ts';
import { BERT } from '../support.ts';
import { closeGpus, testGpu } from '../kernels/harness.ts';

afterAll(closeGpus);

test('every texel of every row has a place of its own', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 70 }), (rows, texels) => {
      const words = Uint32Array.from({ length: rows * texels * 4 }, (_, i) => i + 1);
      const [width, height] = panelExtent(rows, texels);
      const panels = toPanels(words, texels);
      expect(panels.length).toBe(width * height * 4);
      expect(panels.filter((word) => word > 0).toSorted()).toEqual(words);
      // And it is the documented one.
      const [n, t] = [rows - 1, texels - 1];
      const y = Math.floor(n / 32) * Math.ceil(texels / 16) + Math.floor(t / 16);
      const at = 4 * (y * width + (t % 16) * 32 + (n % 32));
      expect([...panels.subarray(at, at + 4)]).toEqual([...words.subarray(-4)]);
    }),
    { numRuns: 25 },
  );
});

test('rows that start a panel go below those before, whatever memory they are put in', () => {
  const texels = 5;
  const words = Uint32Array.from({ length: 3 * PANEL_ROWS * texels * 4 }, (_, i) => i + 1);
  const whole = toPanels(words, texels);
  const memory = new Uint32Array(whole.length);
  const first = toPanels(words.subarray(0, 2 * PANEL_ROWS * texels * 4), texels, memory).slice();
  memory.fill(0);
  const rest = toPanels(words.subarray(2 * PANEL_ROWS * texels * 4), texels, memory);
  expect([...first, ...rest]).toEqual([...whole]);
});

// The adapter of the tests is given the other dialect; this is how weights reach lavapipe.
describe('a layer with its weights in panels is right', () => {
  test.each([
    ['F16', 64],
    ['F32', 64],
    ['BF16', 16],
    // Query, key and value are 24 rows each, and a panel 32.
    ['F16', 12],
    ['F64', 12],
  ] as const)('%s, heads of %i', async (dtype, headSize) => {
    const factory: RungFactory = {
      ...subgroupRung,
      create: (gpu, config) => createSubgroup(gpu, config, 'vectors'),
    };
    await selfCheck(await testGpu(), factory, { ...(await readConfig(BERT)), headSize }, dtype);
  });
});
