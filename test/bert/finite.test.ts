import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/bert/config.ts';
import type { BertConfig } from '../../src/bert/config.ts';
import { pack } from '../../src/bert/batch.ts';
import { forward } from '../../src/bert/forward.ts';
import { randomCheckpoint, smallConfig } from '../../src/bert/randommodel.ts';
import { RUNGS } from '../../src/bert/rungs.ts';
import { loadWeights } from '../../src/bert/weights.ts';
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { Recording } from '../../src/gpu/recording.ts';
import type { Tensor } from '../../src/gpu/tensor.ts';
import { ADAPTER, BERT } from '../support.ts';

// BertModel.open reads 85 million weights and looks at none of them, because a number that is not finite shows itself: this holds it
// to that, for every matrix of a layer on every rung.

let gpu: Gpu;
let config: BertConfig;
beforeAll(async () => {
  gpu = await Gpu.open({ adapter: ADAPTER });
  config = smallConfig(await readConfig(BERT));
});
afterAll(() => gpu[Symbol.asyncDispose]());

const ROW = 3;
const COLUMN = 20;
const FINITE = 0x3c000000;

/** Writes one float32 into a matrix, and three small finite ones beside it. */
function put(matrix: Tensor, bits: number): void {
  const whole = matrix.part?.of ?? matrix;
  const row = (matrix.part?.row ?? 0) + ROW;
  const resource = whole.resource as GPUBuffer | GPUTexture;
  const numbers = Uint32Array.of(bits, FINITE, FINITE, FINITE);
  const { queue } = gpu.device;
  if ('createView' in resource) {
    queue.writeTexture({ texture: resource, origin: [COLUMN / 4, row] }, numbers, { bytesPerRow: 16 }, [1, 1]);
  } else {
    queue.writeBuffer(resource, (row * whole.columns + COLUMN) * 4, numbers);
  }
}

test.each(RUNGS.map(({ name }) => name))('a weight that is not finite makes every TAS so: %s kernels', async (name) => {
  const factory = RUNGS.find((rung) => rung.name === name);
  if (!factory) throw new Error(`no rung ${name}`);
  const rung = await factory.create(gpu, config);
  await using checkpoint = await openCheckpoint(randomCheckpoint(config, 'F32'));
  const weights = await loadWeights(gpu, checkpoint, config, 1, rung.placement);
  const [layer] = weights.layers;
  if (!layer) throw new Error('no layer');
  const { query, key, value, output } = layer.attention;
  const batch = pack([{ ids: [1, 2, 3] }, { ids: [4] }, { ids: [5, 6, 7, 8, 9] }]);
  const finiteRows = async (): Promise<number> => {
    const recording = new Recording(gpu);
    const ops = rung.operations(recording);
    const [norms] = await recording.submit([ops.l2Norm(forward(ops, weights, batch, 1))]);
    return new Float32Array(norms as ArrayBuffer).filter((norm) => Number.isFinite(norm)).length;
  };
  expect(await finiteRows()).toBe(batch.rows);
  for (const [index, { weight }] of [query, key, value, output, layer.intermediate, layer.output].entries()) {
    for (const bits of [0x7fc00000, 0xff800000]) {
      put(weight, bits);
      expect(await finiteRows(), `matrix ${index}, ${bits.toString(16)}`).toBe(0);
      put(weight, FINITE);
    }
  }
});
