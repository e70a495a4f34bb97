// linear: a dense layer, scalar: what a student reads. linear_tiled computes the same faster.
//
// Maths     y[s, n] = Σ_k x[s, k] · W[n, k] + b[n]
// Shapes    x [S, K], W [N, K] stored as ELEMENT says (PyTorch's layout: a row of W makes one output), b [N], y [S, N]
// Dispatch  one invocation an output; workgroups of 64 × 1, grid [⌈N / 64⌉, S]
// Method    The products are summed in blocks of 32, and then the blocks: the rounding error grows with 32 + K / 32, not with K
//           (Higham 1993, "The accuracy of floating point summation").
// Limits    S ≤ 65535. S · K, N · K and S · N below 2³².
// Twin      kernels/twins/linear.ts

override ELEMENT: u32 = 0u; // how W is stored: 0 float32, 1 float16, 2 bfloat16; the latter two a word, the low half first

const BLOCK = 32u;

struct Size {
  S: u32, // rows: tokens of all sequences
  N: u32, // outputs of a row
  K: u32, // inputs of a row
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> W: array<u32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// A float16 widened exactly. Built from its bits: unpack2x16float may flush denormals, and float16 weights have many.
fn widen_half(bits: u32) -> f32 {
  let magnitude = bits & 0x7fffu;
  let normal = bitcast<f32>((magnitude << 13u) + (112u << 23u)); // the exponent's bias goes from 15 to 127
  let denormal = f32(magnitude) * 0x1p-24;
  let widened = select(normal, denormal, magnitude < 0x400u);
  let not_finite = 0x7f800000u | (magnitude << 13u);
  return bitcast<f32>(((bits & 0x8000u) << 16u) | select(bitcast<u32>(widened), not_finite, magnitude >= 0x7c00u));
}

fn weight_at(i: u32) -> f32 {
  if (ELEMENT == 0u) { return bitcast<f32>(W[i]); }
  let half = (W[i / 2u] >> (16u * (i % 2u))) & 0xffffu;
  if (ELEMENT == 1u) { return widen_half(half); }
  return bitcast<f32>(half << 16u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let s = id.y;
  if (n >= size.N || s >= size.S) { return; }

  var sum = 0.0;
  for (var k = 0u; k < size.K;) {
    let block_end = min(k + BLOCK, size.K);
    var block = 0.0;
    for (; k < block_end; k++) { block += x[s * size.K + k] * weight_at(n * size.K + k); }
    sum += block;
  }
  y[s * size.N + n] = sum + b[n];
}
