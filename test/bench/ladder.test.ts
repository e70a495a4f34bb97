import { afterAll, beforeAll, expect, test } from 'vitest';
import { timedLayer } from '../../bench/ladder.ts';
import { peakCandidates } from '../../bench/peak.ts';
import { Repeated, Tape } from '../../bench/repeated.ts';
import { readTwinWeights } from '../../kernels/twins/weights.ts';
import { randomCheckpoint, smallConfig } from '../../src/bert/randommodel.ts';
import { RUNGS } from '../../src/bert/rungs.ts';
import { loadWeights } from '../../src/bert/weights.ts';
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { BERT_BASE } from '../../src/doctor/kernels.ts';
import { Gpu } from '../../src/gpu/device.ts';

const config = smallConfig(BERT_BASE);
const H = config.hiddenSize;
const I = config.intermediateSize;
const TOKENS = 5;
let gpu: Gpu;

beforeAll(async () => {
  gpu = await Gpu.open({ adapter: process.env['LAYER8_TEST_ADAPTER'] ?? 'swiftshader' });
});
afterAll(() => gpu[Symbol.asyncDispose]());

test.each(RUNGS.map((factory) => [factory.name, factory] as const))(
  '%s: every operation is timed, held against float64, and counts its work',
  async (_, factory) => {
    await using checkpoint = await openCheckpoint(randomCheckpoint(config, 'F16'));
    const [twin] = (await readTwinWeights(checkpoint, config)).layers;
    const rung = await factory.create(gpu, config);
    const weights = await loadWeights(gpu, checkpoint, config, 1, rung.placement);
    const layer = await timedLayer(gpu, config, rung, weights, twin, TOKENS);
    const product = 2 * TOKENS * H;
    expect(layer.operations.map(({ work }) => work)).toEqual([
      product * 3 * H,
      product * H,
      product * I,
      product * I,
      2 * TOKENS * product,
      3 * TOKENS * H * 4,
    ]);
    for (const { operation, maxError, repeated } of layer.operations) {
      expect(maxError, operation).toBeLessThan(1e-5);
      expect(await repeated.seconds(2), operation).toBeGreaterThan(0);
    }
    layer.free();

    // A single weight that differs, of the matrix that goes up, is an error of that product alone.
    twin.intermediate.weight.values[7] += 0.5;
    const altered = await timedLayer(gpu, config, rung, weights, twin, TOKENS);
    const wrong = altered.operations.filter(({ maxError }) => !(maxError < 1e-5)).map(({ operation }) => operation);
    expect(wrong).toEqual([`feed-forward, up: ${H} → ${I}`]);
    altered.free();
  },
);

test('dispatches run as often as they are asked to', async () => {
  const code = `@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn main() { y[0] = y[0] + 1u; }`;
  const tape = new Tape(gpu);
  const y = tape.tensor('y', [4], { element: 'u32' });
  tape.dispatch(gpu.kernel({ name: 'count', code }), { y }, {}, [1]);
  const repeated = await Repeated.prepare(gpu, tape.calls);
  // Counts from whatever its memory holds; a submission is one more.
  const count = async (): Promise<number> => new Uint32Array((await tape.submit([y]))[0] as ArrayBuffer)[0] as number;
  const before = await count();
  await repeated.seconds(3);
  await repeated.seconds(4);
  expect(((await count()) - before) >>> 0).toBe(8);
});

test('the peak counts two operations a multiply-add, and none of them is left out', async () => {
  const [eight, , twelve] = await peakCandidates(gpu);
  expect([eight.how, twelve.how]).toEqual(['8 chains of fma', '12 chains of fma']);
  expect(eight.work).toBe(2 * 8 * 16 * 32 * 64 * 1024);
  expect(twelve.work / eight.work).toBe(1.5);
});
