import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { loadKernelSource } from '../../src/gpu/sources.ts';
import { allclose } from '../allclose.ts';
import { erf } from '../../kernels/twins/erf.ts';
import { gelu } from '../../kernels/twins/gelu.ts';
import { extent, numbers, seed, seeded, SPARE } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run(x: Float32Array, S: number, N: number): Promise<Float32Array> {
  const y = new Float32Array(S * N);
  return (await runKernel('gelu', { operands: { x, y }, numbers: { S, N }, grid: [Math.ceil(N / 64), S + SPARE] })).y;
}

test('is x Φ(x)', async () => {
  await fc.assert(
    fc.asyncProperty(extent, extent, fc.constantFrom(1e-30, 1e-3, 1, 6), seed, async (S, N, largest, start) => {
      const x = numbers(seeded(start), S * N, largest);
      // 1 + erf cancels for negative x, so what is left of erf's 4 ulp is relative to x and not to the result.
      allclose(await run(x, S, N), gelu(x), { rtol: 4e-7, atol: 2e-7 * Math.min(1, largest) });
    }),
    { numRuns: 15 },
  );
});

test('hostile numbers', async () => {
  const x = Float32Array.of(0, -0, 1e-41, -1e-41, 1e30, -1e30, 10, -10, 14.2, -14.2);
  allclose(await run(x, 1, x.length), gelu(x), { rtol: 2e-7, atol: 1.2e-38 });
});

test('its erf is within 4 ulp on the whole line', async () => {
  const source = (await loadKernelSource('gelu')).code;
  const code = `@group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    ${/fn erf\([\s\S]*?\n}/.exec(source)?.[0]}
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      y[id.x] = erf(x[id.x]);
    }`;
  const random = seeded(1);
  const bits = Uint32Array.from({ length: 65_536 }, (_, i) => {
    if (i < 32_768) return (((i % 255) << 23) | (random() * 2 ** 23) | (i % 2 === 0 ? 0x80000000 : 0)) >>> 0; // every exponent
    return (random() * (0x40900000 - 0x3e000000) + 0x3e000000) >>> 0; // 0.125 to 4.5, where erf bends
  });
  const x = new Float32Array(bits.buffer);
  const { y } = await runKernel(
    { name: 'erf', code },
    { operands: { x, y: new Float32Array(x.length) }, numbers: {}, grid: [1024] },
  );
  let worst = 0;
  for (const [i, value] of x.entries()) {
    const expected = erf(value);
    const error = Math.abs((y[i] as number) - expected);
    // A driver may flush what is below 1.2e-38 to 0, of what goes in and of what comes out.
    if (!(error <= 1.4e-38)) worst = Math.max(worst, error / 2 ** (Math.floor(Math.log2(Math.abs(expected))) - 23));
  }
  expect(worst).toBeLessThanOrEqual(4);
});

test('a NaN stays one', async () => {
  const [y, other] = await run(Float32Array.of(Number.NaN, 1), 1, 2);
  expect(y).toBeNaN();
  expect(other).not.toBeNaN();
});
