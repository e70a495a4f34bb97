// rank_select: the two order statistics of a sequence's norms between which θ lies, by counting
//
// Maths     selected[q] = (s₍lo₎, s₍min(lo + 1, n − 1)₎), s₍r₎ the r-th smallest of the n ranked norms of sequence q, from 0
// Shapes    norms [S] (all ≥ 0), ranked [S] (1 = takes part), cuts [sequences] of (first row, length, lo, bits of g),
//           selected [sequences, 2]; both are −1 where nothing is ranked
// Dispatch  one invocation a token of a sequence; workgroups of 64 × 1, grid [⌈max(longest, 1) / 64⌉, sequences]
// Method    A norm's rank is the number of ranked norms below it; equal norms are ranked by row, so every rank is taken exactly
//           once and exactly one invocation writes each result. No sorting, no atomics. A float ≥ 0 sorts as its bits do, and
//           comparing bits is exact where a driver would flush denormals. θ for millions of norms: radix_histogram.
// Limits    lo ≤ n − 1. length² comparisons a sequence; sequences ≤ 65535.
// Twin      kernels/twins/rank_select.ts

struct Size {
  sequences: u32,
  longest: u32, // tokens of the longest sequence
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> norms: array<f32>;
@group(0) @binding(2) var<storage, read> ranked: array<u32>;
@group(0) @binding(3) var<storage, read> cuts: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> selected: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let sequence = id.y;
  if (sequence >= size.sequences) { return; }
  let start = cuts[sequence].x;
  let end = start + cuts[sequence].y;
  let lo = cuts[sequence].z;
  let mine = start + id.x;
  if (mine >= end && id.x > 0u) { return; }

  var bits = 0u;
  if (mine < end) { bits = bitcast<u32>(norms[mine]); }
  var rank = 0u;
  var count = 0u; // n
  for (var i = start; i < end; i++) {
    if (ranked[i] == 0u) { continue; }
    let other = bitcast<u32>(norms[i]);
    count++;
    if (other < bits || (other == bits && i < mine)) { rank++; }
  }

  if (count == 0u) {
    if (id.x == 0u) {
      selected[2u * sequence] = -1.0;
      selected[2u * sequence + 1u] = -1.0;
    }
    return;
  }
  if (ranked[mine] == 0u) { return; }
  if (rank == lo) { selected[2u * sequence] = norms[mine]; }
  if (rank == min(lo + 1u, count - 1u)) { selected[2u * sequence + 1u] = norms[mine]; }
}
