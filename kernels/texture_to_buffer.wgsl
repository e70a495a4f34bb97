// texture_to_buffer: some columns of a texture as a matrix in a buffer, where the plain kernels read it
//
// Maths     y[s, n] = x[s, first + n]
// Shapes    x [S, …] a texture, four float32 a texel; y [S, N] a buffer
// Dispatch  one invocation an element; workgroups of 64 × 1, grid [⌈N / 64⌉, S]
// Method    A copy by the GPU: copyTextureToBuffer would pad each row to a multiple of 256 bytes.
// Limits    S ≤ 65535
// Twin      none: the test compares bits

struct Size {
  S: u32, // rows
  N: u32, // columns to copy
  first: u32, // the first of them
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var x: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let s = id.y;
  if (n >= size.N || s >= size.S) { return; }
  let column = size.first + n;
  y[s * size.N + n] = textureLoad(x, vec2u(column / 4u, s), 0)[column % 4u];
}
