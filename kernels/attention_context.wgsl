// attention_context: the values of a token's own sequence, averaged with the weights of softmax; the heads lie side by side
//
// Maths     context[s, a·D + d] = Σ_j probabilities[a, s, j] · value[first(s) + j, a·D + d], j below the length of s's sequence
// Shapes    probabilities [A, S, longest], value [S, H],
//           rows [S] of (token id, token type, first row of its sequence, length of its sequence), context [S, H]
// Dispatch  one invocation an element; workgroups of 64 × 1, grid [⌈H / 64⌉, S]
// Method    Vaswani et al. 2017, arXiv:1706.03762, §3.2. The products are summed in blocks of 16, and then the blocks.
// Limits    S ≤ 65535. A · S · longest below 2³².
// Twin      kernels/twins/attention_context.ts

const BLOCK = 16u;

struct Size {
  S: u32, // rows: tokens of all sequences
  H: u32, // hidden size, A · D
  A: u32, // heads
  D: u32, // size of a head
  longest: u32, // tokens of the longest sequence
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> probabilities: array<f32>;
@group(0) @binding(2) var<storage, read> value: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> context: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let h = id.x;
  let s = id.y;
  if (h >= size.H || s >= size.S) { return; }
  let a = h / size.D;
  let first = rows[s].z;
  let length = rows[s].w;

  let p = (a * size.S + s) * size.longest;
  var sum = 0.0;
  for (var j = 0u; j < length;) {
    let block_end = min(j + BLOCK, length);
    var block = 0.0;
    for (; j < block_end; j++) { block += probabilities[p + j] * value[(first + j) * size.H + h]; }
    sum += block;
  }
  context[s * size.H + h] = sum;
}
