import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pack } from '../../src/bert/batch.ts';
import type { TokenSequence } from '../../src/bert/batch.ts';
import type { BertConfig } from '../../src/bert/config.ts';
import { forward } from '../../src/bert/forward.ts';
import { BertModel } from '../../src/bert/model.ts';
import { subgroupRung } from '../../src/bert/subgroup.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { compareCase } from '../../src/verify/compare.ts';
import { readReference } from '../../src/verify/reference.ts';
import { ADAPTER, BERT, REFERENCE, TINY } from '../support.ts';

const KERNELS = { adapter: ADAPTER, kernels: 'subgroup' };

test('a tiny model: every case of the reference, and every stage that it knows', async () => {
  const folder = join(TINY, 'relu-h64-a1-i64-bf16');
  await using model = await BertModel.open(folder, KERNELS);
  expect(model.rung.name).toBe('subgroup');
  for (const { cases } of await readReference(folder))
    for (const reference of cases)
      expect(await compareCase(model, reference, 8, 'all'), reference.name).toMatchObject({ pass: true });
});

describe('the first layer of BERT', () => {
  let model: BertModel;
  beforeAll(async () => {
    model = await BertModel.open(BERT, { ...KERNELS, layers: 1 });
  });
  afterAll(() => model[Symbol.asyncDispose]());

  /** TAS of layer 1 of sequences in one batch. */
  async function tas(sequences: readonly TokenSequence[]): Promise<Float32Array> {
    return model.run(async (session) => {
      const { recording, ops } = session.record();
      const norms = ops.l2Norm(forward(ops, session.weights, pack(sequences), 1));
      const [bytes] = await recording.submit([norms]);
      return new Float32Array(bytes as ArrayBuffer);
    });
  }

  test('stage by stage, those too that no dispatch of the rung writes', async () => {
    const cases = (await readReference(join(REFERENCE, 'bert-base-uncased'))).flatMap((set) => set.cases);
    const fox = cases.find(({ name }) => name === 'fox');
    if (!fox) throw new Error('no case fox');
    const report = await compareCase(model, fox, 1, 'all');
    expect(report).toMatchObject({ pass: true });
    const stages = report.stages?.map(({ stage }) => stage);
    for (const stage of ['query', 'scores', 'probs', 'output.residual'])
      if (fox.stages.has(`layer.0.attention.${stage}`)) expect(stages).toContain(`layer.0.attention.${stage}`);
  });

  test('a sequence has the same bits alone and packed, whatever tiles its rows fall into', async () => {
    const sequences = [7, 1, 40, 12, 29].map((length, q) => ({
      ids: Array.from({ length }, (_, i) => 1000 + (((i + 31 * q) * 7919) % 20_000)),
    }));
    const packed = await tas(sequences);
    let start = 0;
    for (const sequence of sequences) {
      const end = start + sequence.ids.length;
      expect(await tas([sequence])).toEqual(packed.slice(start, end));
      start = end;
    }
  });
});

describe('where it cannot run, the reason is one clause', () => {
  const bert = { hiddenSize: 768, intermediateSize: 3072, headSize: 64 } as BertConfig;
  const machine = (subgroupSize: number, maxTextureDimension2D = 8192): Gpu =>
    ({
      description: { name: 'an adapter' },
      subgroupSize,
      device: { limits: { maxTextureDimension2D } },
    }) as unknown as Gpu;

  test.each([
    ['subgroups', machine(0), {}, 'has none of one size'],
    ['their size', machine(32), {}, 'has 32'],
    ['textures', machine(8, 2048), {}, 'it needs maxTextureDimension2D 3072, and an adapter offers 2048'],
    ['hidden size', machine(8), { hiddenSize: 36 }, 'it needs hidden_size to be a multiple of 8, and it is 36'],
    [
      'intermediate size',
      machine(4),
      { intermediateSize: 100 },
      'intermediate_size to be a multiple of 8, and it is 100',
    ],
    ['heads', machine(8), { headSize: 18 }, 'the size of a head to be a multiple of 4, and it is 18'],
  ] as const)('%s', (_what, gpu, changes, reason) => {
    expect(subgroupRung.unfit(gpu, { ...bert, ...changes }, 'f16')).toContain(reason);
  });

  test('BERT on software adapters', () => {
    expect(subgroupRung.unfit(machine(4), bert, 'f16')).toBeUndefined();
    expect(subgroupRung.unfit(machine(8), bert, 'f32')).toBeUndefined();
  });
});
