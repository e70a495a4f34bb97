import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BertModel } from '../../src/bert/model.ts';
import { readConfig } from '../../src/bert/config.ts';
import type { BertConfig } from '../../src/bert/config.ts';
import { RUNGS, candidates } from '../../src/bert/rungs.ts';
import type { LinearTile } from '../../kernels/linear_workgroup.ts';
import { LARGE_TILES, LINEAR_TILES, linearTile, workgroupRung } from '../../src/bert/workgroup.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { Recording } from '../../src/gpu/recording.ts';
import { compareCase } from '../../src/verify/compare.ts';
import { readReference } from '../../src/verify/reference.ts';
import { ADAPTER, BERT, REFERENCE, TINY } from '../support.ts';

const KERNELS = { adapter: ADAPTER, kernels: 'workgroup' };

// Bias and activation in the product, q, k and v side by side, LayerNorm with its residual: every fusion, in float32 and bfloat16.
describe.each(['gelu-h48-a3-i100', 'gelu_new-h40-a5-i52', 'relu-h64-a1-i64-bf16'])('%s', (name) => {
  let model: BertModel;
  beforeAll(async () => {
    model = await BertModel.open(join(TINY, name), KERNELS);
  });
  afterAll(() => model[Symbol.asyncDispose]());

  test('every case of the reference: states, every stage that it knows, TAS and θ', async () => {
    expect(model.rung.name).toBe('workgroup');
    for (const { cases } of await readReference(join(TINY, name))) {
      for (const reference of cases) {
        const { firstOut } = await compareCase(model, reference, 8, 'all');
        expect(firstOut, reference.name).toBeUndefined();
      }
    }
  });
});

test('a head that is no multiple of 4 is refused, in words', async () => {
  await expect(BertModel.open(join(TINY, 'gelu-h36-a2-i20-f16'), KERNELS)).rejects.toThrow(
    '--kernels workgroup cannot run here: it needs the size of a head to be a multiple of 4, and it is 18',
  );
});

test('the first layer of BERT, stage by stage', async () => {
  const cases = (await readReference(join(REFERENCE, 'bert-base-uncased'))).flatMap((set) => set.cases);
  const fox = cases.find(({ name }) => name === 'fox');
  if (!fox) throw new Error('no case fox');
  await using model = await BertModel.open(BERT, { ...KERNELS, layers: 1 });
  const report = await compareCase(model, fox, 1, 'all');
  expect(report).toMatchObject({ pass: true });
  expect(report.stages?.map(({ stage }) => stage)).toContain('layer.0.attention.query');
});

test('few rows are computed by small tiles, so that there is work for a whole GPU', () => {
  const [large, small] = [LINEAR_TILES[0], LINEAR_TILES.at(-1)];
  expect(linearTile(12, 768)).toBe(small);
  expect(linearTile(128, 768)).toBe(small);
  expect(linearTile(128, 3072)).toBe(large);
  expect(linearTile(1024, 768)).toBe(large);
});

test('tuning may choose any of the large tiles: the bits are the same', async () => {
  const adapter = ADAPTER === undefined ? {} : { adapter: ADAPTER };
  await using gpu = await Gpu.open(adapter);
  const config = { ...(await readConfig(BERT)), hiddenSize: 48, intermediateSize: 4096 };
  const rung = await workgroupRung.create(gpu, config);
  const x = Float32Array.from({ length: 70 * 48 }, (_, i) => Math.sin(i));
  const W = Float32Array.from({ length: 4096 * 48 }, (_, i) => Math.sin(2 * i));
  const b = Float32Array.from({ length: 4096 }, (_, i) => Math.sin(3 * i));
  const results: string[] = [];
  for (const way of rung.tuning?.ways ?? []) {
    rung.tuning?.choose(way);
    const recording = new Recording(gpu);
    const ops = rung.operations(recording);
    const dense = {
      weight: recording.upload('W', [4096, 48], W),
      bias: recording.upload('b', [4096], b),
    };
    const y = ops.asBuffer(ops.linear(recording.upload('x', [70, 48], x), dense));
    const [bytes] = await recording.submit([y]);
    results.push(
      createHash('sha256')
        .update(new Uint8Array(bytes as ArrayBuffer))
        .digest('hex'),
    );
    const [tile] = Object.entries(LARGE_TILES).find(([name]) => name === way) as [string, LinearTile];
    expect(recording.makerOf(y)).toContain(tile.split(',')[0]?.replace(' × ', 'x'));
  }
  expect(results).toHaveLength(3);
  expect(new Set(results).size).toBe(1);
});

describe('what runs where', () => {
  const config = { hiddenSize: 768, intermediateSize: 3072, headSize: 64 } as BertConfig;
  const limits = {
    maxComputeWorkgroupStorageSize: 16_384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxTextureDimension2D: 8192,
  };
  const machine = (software: boolean, changes: Partial<typeof limits> = {}): Gpu =>
    ({
      description: { name: 'an adapter', software },
      subgroupSize: software ? 8 : 32,
      device: { limits: { ...limits, ...changes } },
    }) as unknown as Gpu;
  const names = (gpu: Gpu, wanted = 'auto'): string[] => candidates(wanted, gpu, config, 'f16').map(({ name }) => name);

  test('auto: shared memory on a GPU, textures on a processor', () => {
    expect(names(machine(false))).toEqual(['workgroup', 'tiled', 'plain']);
    expect(names(machine(true))).toEqual(['subgroup', 'tiled', 'plain']);
    expect(names(machine(true), 'workgroup')).toEqual(['workgroup']);
    expect(RUNGS.map(({ name }) => name)).toEqual(['workgroup', 'subgroup', 'tiled', 'plain']);
  });

  test('what is missing is said in one clause', () => {
    const without = (changes: Partial<typeof limits>): string | undefined =>
      workgroupRung.unfit(machine(false, changes), config, 'f16');
    expect(without({})).toBeUndefined();
    expect(without({ maxComputeWorkgroupStorageSize: 8192 })).toBe(
      'it needs maxComputeWorkgroupStorageSize 10240, and an adapter offers 8192',
    );
    expect(without({ maxComputeInvocationsPerWorkgroup: 128 })).toBe(
      'it needs maxComputeInvocationsPerWorkgroup 256, and an adapter offers 128',
    );
    expect(names(machine(false, { maxComputeInvocationsPerWorkgroup: 128 }))).toEqual(['tiled', 'plain']);
  });
});
