// bucket: every token's side of the cut
//
// Maths     buckets[t] = 0 where t is not ranked, 2 (HIGH) where s_t ≥ the least HIGH norm of its sequence, else 1 (LOW)
// Shapes    norms [S] (all ≥ 0), ranked [S] (1 = takes part), cuts [sequences] of (first row, length, lo, bits of g),
//           summary [sequences, 8] as threshold writes it, buckets [S]
// Dispatch  one invocation a token of a sequence; workgroups of 64 × 1, grid [⌈longest / 64⌉, sequences]
// Method    threshold found the least HIGH norm with the boundary in mind, so ≥ is right for both boundaries. Compared as bits.
// Limits    sequences ≤ 65535. Rows of no sequence are left as they are.
// Twin      kernels/twins/bucket.ts

struct Size {
  sequences: u32,
  longest: u32, // tokens of the longest sequence
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> norms: array<f32>;
@group(0) @binding(2) var<storage, read> ranked: array<u32>;
@group(0) @binding(3) var<storage, read> cuts: array<vec4u>;
@group(0) @binding(4) var<storage, read> summary: array<f32>;
@group(0) @binding(5) var<storage, read_write> buckets: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let sequence = id.y;
  if (sequence >= size.sequences || id.x >= cuts[sequence].y) { return; }
  let t = cuts[sequence].x + id.x;
  if (ranked[t] == 0u) {
    buckets[t] = 0u;
    return;
  }
  // Without a HIGH token the cut is −1, whose bits no norm reaches.
  let cut = bitcast<u32>(summary[8u * sequence + 4u]);
  buckets[t] = select(1u, 2u, bitcast<u32>(norms[t]) >= cut);
}
