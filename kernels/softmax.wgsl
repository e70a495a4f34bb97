// softmax: scores become weights that are positive and sum to 1, over the tokens of a row's own sequence
//
// Maths     probabilities[a, s, j] = exp(x_j − m) / Σ_i exp(x_i − m), x = scores[a, s], m = max x
// Shapes    scores [A, S, longest], rows [S] of (token id, token type, first row of its sequence, length of its sequence),
//           probabilities [A, S, longest]
// Dispatch  one invocation a row of a head; workgroups of 64 × 1, grid [⌈S / 64⌉, A]
// Method    The maximum is subtracted first, so that exp never overflows and the sum is at least 1. Only the row's own sequence is
//           read and written: entries past its end mean nothing. The sum is taken in blocks of 32. On some drivers exp(NaN) is
//           a number, so infinities and NaN among the scores are found by their bits: they make the whole row NaN.
// Limits    A ≤ 65535. A · S · longest below 2³².
// Twin      kernels/twins/softmax.ts

const BLOCK = 32u;

struct Size {
  S: u32, // rows: tokens of all sequences
  A: u32, // heads
  longest: u32, // tokens of the longest sequence
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> probabilities: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let s = id.x;
  let a = id.y;
  if (s >= size.S || a >= size.A) { return; }
  let row = (a * size.S + s) * size.longest;
  let end = row + rows[s].w;

  var largest = scores[row];
  var not_a_number = 0u;
  for (var i = row; i < end; i++) {
    largest = max(largest, scores[i]);
    if ((bitcast<u32>(scores[i]) & 0x7f800000u) == 0x7f800000u) { not_a_number = 0x7fc00000u; }
  }

  var sum = 0.0;
  for (var i = row; i < end;) {
    let block_end = min(i + BLOCK, end);
    var block = 0.0;
    for (; i < block_end; i++) {
      let e = exp(scores[i] - largest);
      probabilities[i] = e;
      block += e;
    }
    sum += block;
  }

  if (not_a_number != 0u) { sum = bitcast<f32>(not_a_number); }
  for (var i = row; i < end; i++) { probabilities[i] /= sum; }
}
