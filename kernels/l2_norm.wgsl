// l2_norm: the length of every token's state. Of layer 8 it is the Token Activation Strength (TAS).
//
// Maths     y[s] = ‖x[s]‖₂ = √(Σ_h x[s, h]²)
// Shapes    x [S, H], y [S]
// Dispatch  one invocation a row; workgroups of 64, grid [⌈S / 64⌉]
// Method    The squares are summed in blocks of 32, and then the blocks: the rounding error grows with 32 + H / 32, not with H
//           (Higham 1993, "The accuracy of floating point summation").
// Limits    The sum of squares overflows where ‖x‖ is above 1.8e19.
// Twin      kernels/twins/l2_norm.ts

const BLOCK = 32u;

struct Size {
  S: u32, // rows: tokens of all sequences
  H: u32, // hidden size
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let s = id.x;
  if (s >= size.S) { return; }
  let row = s * size.H;
  let end = row + size.H;

  var sum = 0.0;
  for (var i = row; i < end;) {
    let block_end = min(i + BLOCK, end);
    var block = 0.0;
    for (; i < block_end; i++) { block += x[i] * x[i]; }
    sum += block;
  }
  y[s] = sqrt(sum);
}
