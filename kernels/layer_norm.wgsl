// layer_norm: every token's state, centred and scaled to unit variance, then scaled and shifted by learned vectors
//
// Maths     y[s, h] = γ[h] · (x[s, h] − μ) / √(σ² + ε) + β[h], μ = mean of x[s], σ² = mean of (x[s] − μ)²
// Shapes    x [S, H], gamma [H], beta [H], y [S, H]
// Dispatch  one invocation a row; workgroups of 64, grid [⌈S / 64⌉]
// Method    Ba, Kiros & Hinton 2016, arXiv:1607.06450. Two passes, the mean first and then the squares of the differences:
//           mean(x²) − μ² would cancel. Sums in blocks of 32, as in l2_norm.
// Limits    The variance overflows where values lie further than 1.8e19 from their mean.
// Twin      kernels/twins/layer_norm.ts

const BLOCK = 32u;

struct Size {
  S: u32, // rows: tokens of all sequences
  H: u32, // hidden size
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

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
    for (; i < block_end; i++) { block += x[i]; }
    sum += block;
  }
  let mean = sum / f32(size.H);

  var squares = 0.0;
  for (var i = row; i < end;) {
    let block_end = min(i + BLOCK, end);
    var block = 0.0;
    for (; i < block_end; i++) {
      let difference = x[i] - mean;
      block += difference * difference;
    }
    squares += block;
  }
  let deviation = sqrt(squares / f32(size.H) + size.epsilon);

  for (var h = 0u; h < size.H; h++) {
    y[row + h] = gamma[h] * ((x[row + h] - mean) / deviation) + beta[h];
  }
}
