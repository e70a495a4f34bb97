// linear_tiled: a dense layer, 4 × 4 outputs an invocation: every number it loads is used four times
//
// Maths     y[s, n] = Σ_k x[s, k] · W[n, k] + b[n]
// Shapes    x [S, K], W [N, K] stored as ELEMENT says (PyTorch's layout: a row of W makes one output), b [N], y [S, N]
// Dispatch  one invocation 4 rows × 4 outputs; workgroups of 8 × 8, 32 rows × 32 outputs, grid [⌈N / 32⌉, ⌈S / 32⌉]
// Method    Register blocking (Volkov & Demmel 2008): four vec4 of x against the 4 × 4 matrix of four vec4 of W. Products are
//           summed in blocks of 32, and then the blocks, as in linear. No shared memory and no barrier, which cost more than they
//           bring where the "GPU" is a processor. Rows and outputs past the end repeat the last one and are not stored. An
//           output's sum has the same order whatever S is. float16 is widened by unpack2x16float, at half the cost of linear's
//           integers; it is exact where the driver keeps denormals, which a test holds for every finite float16.
// Limits    K a multiple of 4. S · K, N · K and S · N below 2³².
// Twin      kernels/twins/linear.ts

override ELEMENT: u32 = 0u; // how W is stored: 0 float32, 1 float16, 2 bfloat16; the latter two a word, the low half first

const BLOCK = 32u;

struct Size {
  S: u32, // rows: tokens of all sequences
  N: u32, // outputs of a row
  K: u32, // inputs of a row
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> W: array<vec2u>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// Weights 4q … 4q + 3, counted through the whole matrix.
fn weights_at(q: u32) -> vec4f {
  if (ELEMENT == 0u) { return bitcast<vec4f>(vec4u(W[2u * q], W[2u * q + 1u])); }
  let pairs = W[q];
  if (ELEMENT == 1u) { return vec4f(unpack2x16float(pairs.x), unpack2x16float(pairs.y)); }
  return bitcast<vec4f>(vec4u(pairs.x << 16u, pairs.x & 0xffff0000u, pairs.y << 16u, pairs.y & 0xffff0000u));
}

fn store(s: u32, n: u32, sum: vec4f) {
  if (s >= size.S) { return; }
  for (var j = 0u; j < 4u && n + j < size.N; j++) { y[s * size.N + n + j] = sum[j] + b[n + j]; }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = 4u * id.x;
  let s = 4u * id.y;
  if (n >= size.N || s >= size.S) { return; }

  let quads = size.K / 4u; // vec4 in a row
  let row = min(vec4u(s) + vec4u(0u, 1u, 2u, 3u), vec4u(size.S - 1u)) * quads;
  let output = min(vec4u(n) + vec4u(0u, 1u, 2u, 3u), vec4u(size.N - 1u)) * quads;

  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var q = 0u; q < quads;) {
    let block_end = min(q + BLOCK / 4u, quads);
    var block0 = vec4f();
    var block1 = vec4f();
    var block2 = vec4f();
    var block3 = vec4f();
    for (; q < block_end; q++) {
      let w = mat4x4f(weights_at(output.x + q), weights_at(output.y + q), weights_at(output.z + q), weights_at(output.w + q));
      block0 += x[row.x + q] * w;
      block1 += x[row.y + q] * w;
      block2 += x[row.z + q] * w;
      block3 += x[row.w + q] * w;
    }
    sum0 += block0;
    sum1 += block1;
    sum2 += block2;
    sum3 += block3;
  }
  store(s, n, sum0);
  store(s + 1u, n, sum1);
  store(s + 2u, n, sum2);
  store(s + 3u, n, sum3);
}
