// radix_pick: the digit in which a target's rank falls, after radix_histogram counted the digits
//
// Maths     d = the least digit with Σ_{e ≤ d} histogram[q, e] > rank; the target's bits gain d, its rank loses Σ_{e < d}
// Shapes    targets [2] of (bits known so far, rank among the norms that agree with them), histogram [2, 2048], 0 afterwards,
//           selected [2]: the norms that the targets' bits are, right after the third pass
// Dispatch  one invocation a target; one workgroup of 64, grid [1]
// Method    See radix_histogram. 2048 additions a pass need no parallel scan.
// Limits    The ranks lie below the number of ranked norms.
// Twin      kernels/twins/rank_select.ts

const BINS = 2048u;

struct Size {
  shift: u32, // the digit's lowest bit
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read_write> targets: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> histogram: array<u32>;
@group(0) @binding(3) var<storage, read_write> selected: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let q = id.x;
  if (q >= 2u) { return; }
  let rank = targets[q].y;

  var digit: u32; // some digit always is, for the rank lies below the number of norms
  var below: u32; // norms in lower digits
  var seen = 0u;
  var found = false;
  for (var bin = 0u; bin < BINS; bin++) {
    let here = histogram[q * BINS + bin];
    histogram[q * BINS + bin] = 0u;
    if (!found && seen + here > rank) {
      digit = bin;
      below = seen;
      found = true;
    }
    seen += here;
  }
  let bits = targets[q].x | (digit << size.shift);
  targets[q] = vec2u(bits, rank - below);
  selected[q] = bitcast<f32>(bits);
}
