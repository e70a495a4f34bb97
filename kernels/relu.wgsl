// relu: the rectifier, an activation some models take in place of GELU
//
// Maths     y = 0 where x < 0, else x
// Shapes    x [S, N], y [S, N]
// Dispatch  one invocation an element; workgroups of 64 × 1, grid [⌈N / 64⌉, S]
// Method    select, not max: on some drivers max(NaN, 0) is 0, and a NaN must stay one so that it is found.
// Limits    S ≤ 65535
// Twin      kernels/twins/relu.ts

struct Size {
  S: u32, // rows: tokens of all sequences
  N: u32, // columns
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let s = id.y;
  if (n >= size.N || s >= size.S) { return; }
  let i = s * size.N + n;
  y[i] = select(x[i], 0.0, x[i] < 0.0);
}
