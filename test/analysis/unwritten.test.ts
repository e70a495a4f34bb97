import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { createSubgroup, subgroupRung } from '../../src/bert/subgroup.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { load } from '../../src/index.ts';
import type { AnalysisOptions, Layer8, SequenceResult } from '../../src/index.ts';
import { ADAPTER } from '../support.ts';
import { writeModel } from './made-model.ts';
import type { MadeModel } from './made-model.ts';
import { recorded, temporaryFolder } from './support.ts';

// Memory is not cleared before it is used, so no kernel may read what nothing wrote. Here all memory holds bytes of 0xff before a
// tensor gets it, NaN as a number of any size and the largest index, and then zeros: results must keep their bits.

const { vocabulary, models } = await recorded<{ vocabulary: string[]; models: (MadeModel & { name: string })[] }>(
  'models',
);
afterEach(() => vi.restoreAllMocks());

/** Fills whatever memory a tensor gets, new or used, with `held.byte`, and counts the bytes. */
function fillMemory({ device: { queue }, pool }: Gpu, held: { byte: number; filled: number }): void {
  const fill = (resource: GPUBuffer | GPUTexture): typeof resource => {
    if ('createView' in resource) {
      const bytesPerRow = resource.width * (resource.format === 'rgba16float' ? 8 : 16);
      const bytes = new Uint8Array(bytesPerRow * resource.height).fill(held.byte);
      queue.writeTexture({ texture: resource }, bytes, { bytesPerRow }, [resource.width, resource.height]);
      held.filled += bytes.length;
    } else {
      queue.writeBuffer(resource, 0, new Uint8Array(resource.size).fill(held.byte));
      held.filled += resource.size;
    }
    return resource;
  };
  const { create, acquire } = pool;
  pool.create = (tensor) => fill(create.call(pool, tensor));
  pool.acquire = (tensor) => fill(acquire.call(pool, tensor));
}

const TEXTS = [
  'The quick brown fox.',
  '',
  'a b c d e f g h i j k l m n o p',
  'fox',
  'The fox, the fox, the lazy fox; jumps over.',
];
const OPTIONS: Partial<AnalysisOptions>[] = [
  { flow: true, shift: true },
  { unit: 'word', wordReduce: 'mean', specials: 'include', scope: 'corpus' },
  { layer: 0, quantile: 0.3, boundary: 'exclusive', threshold: 5 },
];

async function results(layer8: Layer8): Promise<SequenceResult[][]> {
  const found: SequenceResult[][] = [];
  for (const options of OPTIONS) found.push((await layer8.analyze(TEXTS, { layer: 1, ...options })).sequences);
  const { states } = await layer8.hiddenStates('The fox.', { layer: 1 });
  expect(states.every(Number.isFinite)).toBe(true);
  if (layer8.adapter.kernels !== 'plain') return found;
  // Selection has the same kernels on every rung; these are enough tokens for radix.
  const many = Array.from({ length: 700 }, (_, i) => TEXTS[i % TEXTS.length] as string);
  const { sequences } = await layer8.analyze(many, { layer: 1, scope: 'corpus' });
  expect(sequences.reduce((sum, { ranked }) => sum + ranked, 0)).toBeGreaterThanOrEqual(4096);
  found.push(sequences);
  return found;
}

test.each([
  ['bf16', 'plain'],
  ['gamma-f16', 'tiled'],
  ['gamma-f16', 'workgroup'],
  ['bf16', 'subgroup'],
  ['cased', 'subgroup in panels'],
])('model %s on %s: what memory held before changes nothing', async (name, rung) => {
  if (rung.endsWith('panels')) {
    vi.spyOn(subgroupRung, 'create').mockImplementation((gpu, config) => createSubgroup(gpu, config, 'vectors'));
  }
  const made = models.find((each) => each.name === name) as MadeModel;
  const model = await writeModel(join(await temporaryFolder(), name), made, vocabulary);
  const kernels = rung.split(' ')[0] as string;
  const held = { byte: 0xff, filled: 0 };
  const open = Gpu.open.bind(Gpu);
  vi.spyOn(Gpu, 'open').mockImplementation(async (options) => {
    const gpu = await open(options);
    fillMemory(gpu, held);
    return gpu;
  });
  await using layer8 = await load({ model, adapter: ADAPTER, kernels, layers: 1 });
  const poisoned = await results(layer8);
  held.byte = 0;
  expect(poisoned).toEqual(await results(layer8));
  expect(held.filled).toBeGreaterThan(100_000);
});
