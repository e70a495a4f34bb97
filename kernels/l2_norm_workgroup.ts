// l2_norm_workgroup: the length of each hidden state, which is its Token Activation Strength, a workgroup a row
//
// Maths     y[s] = ‖x[s]‖₂ = √(Σ_h x[s, h]²)
// Shapes    x [S, H], y [S]
// Dispatch  a workgroup of 64 invocations takes one row, an invocation every 64th vec4 of it; grid [S]
// Method    Neighbours read neighbours, and few numbers are summed one after the other: H / 64 squares, then 8, then 8.
// Limits    H a multiple of 4. S ≤ 65535. The sum of squares overflows where ‖x‖ is above 1.8e19.
// Twin      kernels/twins/l2_norm.ts

import type { KernelSource } from '../src/gpu/kernel.ts';
import { LANES, TOTAL } from './workgroup.ts';

export function l2NormWorkgroup(): KernelSource {
  const code = `struct Size {
  S: u32, // rows: tokens of all sequences
  H: u32, // components of a hidden state
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

${TOTAL}
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let vectors = size.H / 4u;
  var squares = vec4f();
  for (var i = lane; i < vectors; i += ${LANES}u) {
    let v = x[group.x * vectors + i];
    squares = fma(v, v, squares);
  }
  let sum = total(squares.x + squares.y + squares.z + squares.w, lane);
  if (lane == 0u && group.x < size.S) { y[group.x] = sqrt(sum); }
}
`;
  return { name: 'l2_norm_workgroup', code };
}
