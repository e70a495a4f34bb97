// What the tests of the adapter run in a process of its own: opens the adapter that argv names, computes with it, closes
// it, and prints what happened as one line of JSON. It ends by itself, or its test runs out of time.
import { openAdapter } from '../../src/gpu/adapter.ts';
import type { AdapterDescription } from '../../src/gpu/adapter.ts';

/** What a run of this file prints. */
export interface Opened {
  description: AdapterDescription;
  reason: string;
  /** 3 · 63, which the GPU computed. */
  answer: number;
  warnings: string[];
  /** VK_DRIVER_FILES afterwards. */
  driverFiles: string | null;
  error?: { name: string; message: string; hint: string; exitCode: number };
}

const [name, cycles = '1'] = process.argv.slice(2);
const warnings: string[] = [];
// tsx itself needs a temporary folder to start.
if (process.env.LATER_TMPDIR) process.env.TMPDIR = process.env.LATER_TMPDIR;
try {
  let printed: Partial<Opened> = {};
  for (let cycle = 0; cycle < Number(cycles); cycle++) {
    const { device, description, reason, release } = await open(cycle);
    await collectGarbage();
    const answer = await compute(device);
    device.destroy();
    await device.lost;
    release?.();
    await collectGarbage();
    printed = { description, reason, answer };
  }
  console.log(JSON.stringify({ ...printed, warnings, driverFiles: process.env.VK_DRIVER_FILES ?? null }));
} catch (cause) {
  const { name: error, message, hint, exitCode } = cause as Opened['error'] & object;
  console.log(JSON.stringify({ error: { name: error, message, hint, exitCode }, warnings }));
}

/** Every second cycle loses what openAdapter returned and keeps the device only, which must work all the same. */
async function open(cycle: number) {
  const { adapter, description, reason, release } = await openAdapter({
    ...(name ? { name } : {}),
    robustness: cycle % 2 === 0,
    warn: (message) => warnings.push(message),
  });
  return { device: await adapter.requestDevice(), description, reason, release: cycle % 2 === 0 ? release : null };
}

async function collectGarbage(): Promise<void> {
  globalThis.gc?.();
  await new Promise((resolve) => setTimeout(resolve, 2)); // finalizers run in a later turn
}

async function compute(device: GPUDevice): Promise<number> {
  const code = `
    @group(0) @binding(0) var<storage, read_write> y: array<u32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = 3u * id.x; }`;
  const y = device.createBuffer({ size: 256, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
  const readback = device.createBuffer({ size: 256, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const pipeline = device.createComputePipeline({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code }) },
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer: y } }],
    }),
  );
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(y, 0, readback, 0, 256);
  device.queue.submit([encoder.finish()]);
  await readback.mapAsync(GPUMapMode.READ);
  const answer = new Uint32Array(readback.getMappedRange())[63];
  readback.unmap();
  y.destroy();
  readback.destroy();
  return answer;
}
