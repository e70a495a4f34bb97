// attention_scores: how much a token looks at each token of its own sequence, before softmax
//
// Maths     scores[a, s, j] = Σ_d query[s, a·D + d] · key[first(s) + j, a·D + d] / √D, for j below the length of s's sequence
// Shapes    query [S, H], key [S, H], rows [S] of (token id, token type, first row of its sequence, length of its sequence),
//           scores [A, S, longest]
// Dispatch  one invocation a score; workgroups of 64 × 1 × 1, grid [⌈longest / 64⌉, S, A]
// Method    Vaswani et al. 2017, arXiv:1706.03762, §3.2.1. Sequences are packed without padding: nothing is masked, scores past
//           the end of a sequence are not written and mean nothing. The products are summed in blocks of 16.
// Limits    S ≤ 65535. A · S · longest below 2³².
// Twin      kernels/twins/attention_scores.ts

const BLOCK = 16u;

struct Size {
  S: u32, // rows: tokens of all sequences
  H: u32, // hidden size, A · D
  A: u32, // heads
  D: u32, // size of a head
  longest: u32, // tokens of the longest sequence
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let j = id.x;
  let s = id.y;
  let a = id.z;
  if (s >= size.S || a >= size.A) { return; }
  let first = rows[s].z;
  let length = rows[s].w;
  if (j >= length) { return; }

  let q = s * size.H + a * size.D;
  let k = (first + j) * size.H + a * size.D;
  var sum = 0.0;
  for (var d = 0u; d < size.D;) {
    let block_end = min(d + BLOCK, size.D);
    var block = 0.0;
    for (; d < block_end; d++) { block += query[q + d] * key[k + d]; }
    sum += block;
  }
  scores[(a * size.S + s) * size.longest + j] = sum / sqrt(f32(size.D));
}
