import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { layerNormTexture } from '../../kernels/layer_norm_texture.ts';
import { layerNorm } from '../../kernels/twins/layer_norm.ts';
import { allclose } from '../allclose.ts';
import { numbers, seed, seeded } from './data.ts';
import { closeGpus, testGpu } from './harness.ts';
import { runOnTextures, texture } from './textures.ts';

afterAll(closeGpus);

describe.each(['vectors', 'scalars'] as const)('layer_norm_texture, %s', (dialect) => {
  async function run(
    { x, residual, gamma, beta }: { x: Float32Array; residual?: Float32Array; gamma: Float32Array; beta: Float32Array },
    H: number,
    epsilon: number,
    robustness = true,
  ): Promise<Float32Array> {
    const { subgroupSize: lanes } = await testGpu(robustness);
    const source = layerNormTexture({ dialect, lanes, hiddenSize: H, residual: residual !== undefined });
    return runOnTextures(source, 'y', {
      operands: {
        x: texture(x, H),
        ...(residual ? { residual: texture(residual, H) } : {}),
        gamma: texture(gamma, H),
        beta: texture(beta, H),
        y: texture(new Float32Array(x.length), H),
      },
      numbers: { epsilon },
      grid: [x.length / H],
      robustness,
    });
  }

  test('is γ (z − μ) / √(σ² + ε) + β, of x or of a sum', async () => {
    const rows = fc.integer({ min: 1, max: 40 });
    const texels = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(192));
    await fc.assert(
      fc.asyncProperty(
        rows,
        texels,
        fc.boolean(),
        fc.boolean(),
        seed,
        async (S, quarter, summed, robustness, start) => {
          const H = 4 * quarter;
          const random = seeded(start);
          const [x, residual, gamma, beta] = [S * H, S * H, H, H].map((count) => numbers(random, count, 2)) as [
            Float32Array,
            Float32Array,
            Float32Array,
            Float32Array,
          ];
          const y = await run({ x, ...(summed ? { residual } : {}), gamma, beta }, H, 0.01, robustness);
          const z = summed ? x.map((value, i) => value + (residual[i] as number)) : x;
          allclose(y, layerNorm(z, gamma, beta, { S, H, epsilon: 0.01 }), { rtol: 2e-6, atol: 4e-5 });
        },
      ),
      { numRuns: 10 },
    );
  });

  test('the mean of large numbers does not swallow their variance', async () => {
    const H = 64;
    const x = Float32Array.from({ length: H }, (_, h) => 10_000 + (h % 2));
    const [gamma, beta] = [new Float32Array(H).fill(1), new Float32Array(H)];
    const y = await run({ x, gamma, beta }, H, 1e-12);
    allclose(y, layerNorm(x, gamma, beta, { S: 1, H, epsilon: 1e-12 }), { atol: 2e-3 });
  });

  test('a NaN in a row makes all of it NaN, and no other', async () => {
    const H = 12;
    const x = numbers(seeded(1), 3 * H);
    x[H + 5] = Number.NaN;
    const y = await run({ x, gamma: new Float32Array(H).fill(1), beta: new Float32Array(H) }, H, 1e-12);
    expect([0, 1, 2].map((s) => y.slice(s * H, (s + 1) * H).every(Number.isNaN))).toEqual([false, true, false]);
    expect(y.filter(Number.isNaN).length).toBe(H);
  });
});
