import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadMeasureSources, measure } from '../../src/analysis/measure.ts';
import type { MeasuredInput } from '../../src/analysis/prepare.ts';
import { DEFAULT_OPTIONS } from '../../src/analysis/result.ts';
import { BertModel } from '../../src/bert/model.ts';
import { ADAPTER, TINY } from '../support.ts';

// One batch is one submission and one readback, whatever is in it: this counts what the device is really asked to do.

let model: BertModel;
beforeAll(async () => {
  model = await BertModel.open(`${TINY}/gelu-h48-a3-i100`, { adapter: ADAPTER });
});
afterAll(() => model[Symbol.asyncDispose]());

/** `count` sequences of 3 to 40 tokens, [CLS] and [SEP] not ranked. */
function inputs(count: number): MeasuredInput[] {
  return Array.from({ length: count }, (_, q) => {
    const length = 3 + ((q * 11) % 38);
    const ids = Array.from({ length }, (_unused, i) => (q + 5 * i) % 113);
    const first = Uint32Array.from({ length: length - 2 }, (_unused, i) => i + 1);
    const items = { first, count: new Uint32Array(length - 2).fill(1) };
    return { sequences: [{ ids }], rows: length, rowOf: Uint32Array.from(ids.keys()), items };
  });
}

interface Work {
  submissions: number;
  dispatches: number;
  bindGroups: number;
  mappedBytes: number;
  /** How many copies went into mapped buffers. */
  copies: number;
}

/** Runs `work` and counts what reaches the device. */
async function counted(work: () => Promise<unknown>): Promise<Work> {
  const { device } = model.gpu;
  const found: Work = { submissions: 0, dispatches: 0, bindGroups: 0, mappedBytes: 0, copies: 0 };
  const { createBuffer, createCommandEncoder, createBindGroup } = device;
  const { queue } = device;
  const { submit } = queue;
  queue.submit = (commands) => {
    found.submissions++;
    return submit.call(queue, commands);
  };
  device.createBindGroup = (descriptor) => {
    found.bindGroups++;
    return createBindGroup.call(device, descriptor);
  };
  device.createBuffer = (descriptor) => {
    const buffer = createBuffer.call(device, descriptor);
    const { mapAsync } = buffer;
    buffer.mapAsync = (...range) => {
      found.mappedBytes += descriptor.size;
      return mapAsync.apply(buffer, range);
    };
    return buffer;
  };
  device.createCommandEncoder = (descriptor) => {
    const encoder = createCommandEncoder.call(device, descriptor);
    const { beginComputePass, copyBufferToBuffer, copyTextureToBuffer } = encoder;
    encoder.beginComputePass = (pass) => {
      const compute = beginComputePass.call(encoder, pass);
      const { dispatchWorkgroups } = compute;
      compute.dispatchWorkgroups = (...grid) => {
        found.dispatches++;
        return dispatchWorkgroups.apply(compute, grid);
      };
      return compute;
    };
    encoder.copyBufferToBuffer = ((...copy: never[]) => {
      found.copies++;
      return (copyBufferToBuffer as (...all: unknown[]) => void).apply(encoder, copy);
    }) as typeof copyBufferToBuffer;
    encoder.copyTextureToBuffer = (...copy) => {
      found.copies++;
      return copyTextureToBuffer.apply(encoder, copy);
    };
    return encoder;
  };
  try {
    await work();
  } finally {
    Object.assign(device, { createBuffer, createCommandEncoder, createBindGroup });
    queue.submit = submit;
  }
  return found;
}

async function measured(count: number): Promise<Work & { rows: number }> {
  const options = { ...DEFAULT_OPTIONS, layer: 8 };
  const sources = await loadMeasureSources(options);
  const batch = inputs(count);
  const run = (): Promise<unknown> =>
    model.run((session) => measure(session, sources, batch, { options, select: true, states: false }));
  await run(); // memory and pipelines are there from here on
  return { ...(await counted(run)), rows: batch.reduce((sum, { rows }) => sum + rows, 0) };
}

test('64 sequences are one submission with as many dispatches as one', async () => {
  const one = await measured(1);
  const many = await measured(64);
  expect(one.submissions).toBe(1);
  expect(many.submissions).toBe(1);
  expect(many.dispatches).toBe(one.dispatches);
  expect(many.dispatches).toBeGreaterThan(8 * 7);
});

test('a batch of a shape that was there before makes no bind group', async () => {
  await measured(5);
  expect((await measured(5)).bindGroups).toBe(0);
  // Those of another shape are made once.
  const run = await measured(7);
  expect(run.bindGroups).toBeLessThanOrEqual(run.dispatches);
});

test('what comes back is small, and was never a hidden state', async () => {
  const { mappedBytes, copies, rows } = await measured(64);
  expect(mappedBytes).toBeGreaterThan(8 * rows);
  // A hidden state would be 192 bytes a row.
  expect(mappedBytes).toBeLessThanOrEqual(16 * rows + 64 * 64);
  expect(copies).toBe(3);
});
