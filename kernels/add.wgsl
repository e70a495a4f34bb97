// add: the residual connection, y = a + b
//
// Maths     y[s, n] = a[s, n] + b[s, n]
// Shapes    a [S, N], b [S, N], y [S, N]
// Dispatch  one invocation an element; workgroups of 64 × 1, grid [⌈N / 64⌉, S]
// Method    He et al. 2015, arXiv:1512.03385: what a sublayer computes is added to what it was given.
// Limits    S ≤ 65535. A sum beyond 3.4e38 becomes infinite.
// Twin      kernels/twins/add.ts

struct Size {
  S: u32, // rows: tokens of all sequences
  N: u32, // columns
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let s = id.y;
  if (n >= size.N || s >= size.S) { return; }
  let i = s * size.N + n;
  y[i] = a[i] + b[i];
}
