// copy_columns: some columns of a matrix as a matrix of their own, such as the query of the product that makes query, key and value
//
// Maths     y[s, n] = x[s, first + n]
// Shapes    x [S, width], y [S, N]
// Dispatch  one invocation an element; workgroups of 64 × 1, grid [⌈N / 64⌉, S]
// Method    A copy. It runs only where somebody asks to see a stage that the fused kernels never write by itself.
// Limits    S ≤ 65535
// Twin      the columns themselves

struct Size {
  S: u32, // rows: tokens of all sequences
  N: u32, // columns of y
  first: u32, // column of x that is column 0 of y
  width: u32, // columns of x
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let s = id.y;
  if (n >= size.N || s >= size.S) { return; }
  y[s * size.N + n] = x[s * size.width + size.first + n];
}
