// layer_norm_texture: LayerNorm of a row, or of the sum of two, that stays in registers
//
// Maths     y[s, h] = γ[h] · (z[s, h] − μ) / √(σ² + ε) + β[h], z = x, or x + residual; μ and σ² the row's mean and variance
// Shapes    x, residual, y [S, H], gamma, beta [H]: textures, four float32 a texel
// Dispatch  a workgroup is one subgroup and takes one row; grid [S]
// Method    Ba et al. 2016, arXiv:1607.06450. Two passes over registers, mean first: Σ(z − μ)² loses no digits as Σz² − Hμ² does. The
//           residual's addition costs one fetch here and a whole pass of its own elsewhere.
//           gamma and beta are sampled textures in both dialects: a pipeline may have four storage textures only.
// Limits    H a multiple of 4; workgroups of `lanes` invocations are one subgroup
// Twin      kernels/twins/add.ts, then kernels/twins/layer_norm.ts

import type { KernelSource } from '../src/gpu/kernel.ts';
import { fetch, textureIn, textureOut, unrolled } from './subgroup.ts';
import type { Dialect } from './subgroup.ts';

export interface LayerNormTexture {
  readonly dialect: Dialect;
  /** Lanes of a subgroup. */
  readonly lanes: number;
  /** H, components of a row. */
  readonly hiddenSize: number;
  /** Whether a second row is added first. */
  readonly residual: boolean;
}

export function layerNormTexture({ dialect, lanes, hiddenSize, residual }: LayerNormTexture): KernelSource {
  const texels = hiddenSize / 4;
  const held = Math.ceil(texels / lanes); // texels of the row that a lane holds
  // SwiftShader compiles a fetch as often as it is written: unrolled, the two kernels of BERT took 1.8 s of its 3 s.
  const each = (line: string): string =>
    dialect === 'vectors'
      ? unrolled(held, (i) => `{ const i = ${i}u; ${line} }`).join('\n  ')
      : `for (var i = 0u; i < ${held}u; i++) { ${line} }`;
  // Past the row's end a lane holds its last texel once more, which counts as 0.
  const counted = (value: string): string =>
    texels % lanes === 0 ? value : `select(vec4f(), ${value}, i * ${lanes}u + lane < ${texels}u)`;
  const texel = `min(i * ${lanes}u + lane, ${texels - 1}u)`;
  const sum = residual ? ` + ${fetch('residual', 'texel', 'row', dialect)}` : '';
  const scaled = `z[i] * scale * ${fetch('gamma', 'texel', '0u', 'scalars')} + ${fetch('beta', 'texel', '0u', 'scalars')}`;
  const code = `enable subgroups;

struct Size {
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> size: Size;
${textureIn(1, 'x', dialect)}
${residual ? textureIn(2, 'residual', dialect) : ''}
${textureIn(3, 'gamma', 'scalars')}
${textureIn(4, 'beta', 'scalars')}
${textureOut(5, 'y')}

fn total(v: vec4f) -> f32 { return subgroupAdd(v.x + v.y + v.z + v.w); }

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x;
  var z: array<vec4f, ${held}>;
  var sum = vec4f();
  ${each(`let texel = ${texel}; z[i] = ${fetch('x', 'texel', 'row', dialect)}${sum}; sum += ${counted('z[i]')};`)}
  let mean = total(sum) / ${hiddenSize}f;
  var squares = vec4f();
  ${each(`z[i] = ${counted('z[i] - mean')}; squares += z[i] * z[i];`)}
  let variance = total(squares) / ${hiddenSize}f;
  let scale = 1f / sqrt(variance + size.epsilon);
  ${each(`let texel = ${texel}; if (i * ${lanes}u + lane < ${texels}u) { textureStore(y, vec2u(texel, row), ${scaled}); }`)}
}
`;
  return { name: `layer_norm_texture_${hiddenSize}${residual ? '_residual' : ''}`, code };
}
