// gelu_new: GELU by its tanh approximation, the activation some models were trained with
//
// Maths     y = x / 2 · (1 + tanh u), u = √(2/π) · (x + 0.044715 · x³)
// Shapes    x [S, N], y [S, N]
// Dispatch  one invocation an element; workgroups of 64 × 1, grid [⌈N / 64⌉, S]
// Method    Hendrycks & Gimpel 2016, arXiv:1606.08415. (1 + tanh u) / 2 is the logistic function of 2u. WGSL lets tanh be wrong
//           by 1e-5 and some drivers' tanh(∞) is NaN, so the gate is written with e = exp(−2|u|), which never overflows:
//           1 / (1 + e) for u ≥ 0 and e / (1 + e) for u < 0.
// Limits    S ≤ 65535
// Twin      kernels/twins/gelu_new.ts

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
  let v = clamp(x[i], -20.0, 20.0); // beyond 20 the gate is 0 or 1, and x³ could overflow
  let u = 0.79788456080286536 * (v + 0.044715 * v * v * v);
  let e = exp(-2.0 * abs(u));
  y[i] = x[i] * (select(1.0, e, u < 0.0) / (1.0 + e));
}
