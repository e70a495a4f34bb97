// layer_norm_workgroup: LayerNorm of a row, or of the sum of two, that stays in a workgroup's registers
//
// Maths     y[s, h] = γ[h] · (z[s, h] − μ) / √(σ² + ε) + β[h], z = x, or x + residual; μ and σ² the row's mean and variance
// Shapes    x, residual, y [S, H], gamma, beta [H]
// Dispatch  a workgroup of 64 invocations takes one row, an invocation every 64th vec4 of it; grid [S]
// Method    Ba, Kiros & Hinton 2016, arXiv:1607.06450. Two passes over registers, mean first: Σ(z − μ)² loses no digits as Σz² − Hμ² does.
//           A row is read from memory once, and the residual's addition costs no pass of its own. It is divided by its deviation:
//           the rounding of a reciprocal would be in all components alike, and so in the row's norm, which is the TAS. Speed on a
//           real GPU is not measured yet.
// Limits    H a multiple of 4. S ≤ 65535. The variance overflows where values lie further than 1.8e19 from their mean.
// Twin      kernels/twins/add.ts, then kernels/twins/layer_norm.ts

import type { KernelSource } from '../src/gpu/kernel.ts';
import { unrolled } from './subgroup.ts';
import { LANES, TOTAL } from './workgroup.ts';

export function layerNormWorkgroup(hiddenSize: number, residual: boolean): KernelSource {
  const vectors = hiddenSize / 4;
  const held = Math.ceil(vectors / LANES); // vec4 of the row that an invocation holds
  const each = (line: (i: number) => string): string => unrolled(held, line).join('\n  ');
  // Past the row's end an invocation holds nothing.
  const guarded = (i: number): boolean => (i + 1) * LANES > vectors;
  const inside = (i: number): string => `lane + ${i * LANES}u < ${vectors}u`;
  const code = `struct Size {
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
${residual ? '@group(0) @binding(2) var<storage, read> residual: array<vec4f>;' : ''}
@group(0) @binding(3) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(4) var<storage, read> beta: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;

${TOTAL}
fn sum_of(v: vec4f) -> f32 { return v.x + v.y + v.z + v.w; }

@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * ${vectors}u;
  ${each((i) => {
    const at = `row + lane + ${i * LANES}u`;
    const value = residual ? `x[${at}] + residual[${at}]` : `x[${at}]`;
    return `var z${i} = vec4f(); ${guarded(i) ? `if (${inside(i)}) { z${i} = ${value}; }` : `z${i} = ${value};`}`;
  })}
  let mean = total(${unrolled(held, (i) => `sum_of(z${i})`).join(' + ')}, lane) / ${hiddenSize}f;
  ${each((i) => {
    const difference = `z${i} - mean`;
    return `let d${i} = ${guarded(i) ? `select(vec4f(), ${difference}, ${inside(i)})` : difference};`;
  })}
  let variance = total(${unrolled(held, (i) => `sum_of(d${i} * d${i})`).join(' + ')}, lane) / ${hiddenSize}f;
  let deviation = sqrt(variance + size.epsilon);
  ${each((i) => {
    const h = `lane + ${i * LANES}u`;
    const write = `y[row + ${h}] = gamma[${h}] * (d${i} / deviation) + beta[${h}];`;
    return guarded(i) ? `if (${inside(i)}) { ${write} }` : write;
  })}
}
`;
  return { name: `layer_norm_workgroup_${hiddenSize}${residual ? '_residual' : ''}`, code };
}
