// l2_norm_texture: the length of each hidden state, which is its Token Activation Strength
//
// Maths     y[s] = ‖x[s]‖₂ = √(Σ_h x[s, h]²)
// Shapes    x [S, H] a texture, four float32 a texel; y [S] a buffer
// Dispatch  a workgroup of LANES invocations is one subgroup and takes one row; grid [S]
// Method    Each lane sums the squares of every LANES-th texel, and subgroupAdd the lanes.
// Limits    H a multiple of 4
// Twin      kernels/twins/l2_norm.ts

enable subgroups;

override LANES: u32 = 8u; // lanes of a subgroup

struct Size {
  S: u32, // rows: tokens of all sequences
  H: u32, // components of a hidden state
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var x: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let s = group.x;
  var squares = vec4f();
  for (var texel = lane; texel < size.H / 4u; texel += LANES) {
    let v = textureLoad(x, vec2u(texel, s), 0);
    squares += v * v;
  }
  let sum = subgroupAdd(squares.x + squares.y + squares.z + squares.w);
  if (lane == 0u && s < size.S) { y[s] = sqrt(sum); }
}
