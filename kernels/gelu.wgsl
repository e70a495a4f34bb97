// gelu: the Gaussian error linear unit, BERT's activation
//
// Maths     y = x · Φ(x) = x / 2 · (1 + erf(x / √2)), Φ the cumulative distribution of the standard normal
// Shapes    x [S, N], y [S, N]
// Dispatch  one invocation an element; workgroups of 64 × 1, grid [⌈N / 64⌉, S]
// Method    Hendrycks & Gimpel 2016, arXiv:1606.08415. WGSL has no erf: see `erf` below.
// Limits    S ≤ 65535
// Twin      kernels/twins/gelu.ts

struct Size {
  S: u32, // rows: tokens of all sequences
  N: u32, // columns
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// The error function, within 4 ulp, in two pieces: near 0 erf(x) = x + x · P(x²); beyond, erf(x) = 1 − exp(Q(|x|) − |x|).
// Both fits, the form and the coefficients, are N. Juffa's published ones.
fn erf(x: f32) -> f32 {
  let t = min(abs(x), 10.0); // erf(10) is 1 in float32, and the polynomials stay finite
  let s = t * t;

  var p = -5.96761703e-4;
  p = p * s + 4.99119423e-3;
  p = p * s - 2.67681349e-2;
  p = p * s + 1.12819925e-1;
  p = p * s - 3.76125336e-1;
  p = p * s + 1.28379166e-1;
  let near = x + x * p;

  var q = -1.72853470e-5;
  q = q * t + 3.83197126e-4;
  q = q * t - 3.88396438e-3;
  q = q * t + 2.42546219e-2;
  q = q * t - 1.06777877e-1;
  q = q * t - 6.34846687e-1;
  q = q * t - 1.28717512e-1;
  let far = sign(x) * (1.0 - exp(q * t - t));

  return select(near, far, t > 0.927734375);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let s = id.y;
  if (n >= size.N || s >= size.S) { return; }
  let i = s * size.N + n;
  y[i] = 0.5 * x[i] * (1.0 + erf(x[i] * 0.70710678118654752));
}
