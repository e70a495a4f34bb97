// radix_histogram: one pass of a selection among millions of norms: how often each value of the next digit occurs
//
// Maths     histogram[q, d] += |{i ranked : norms[i] agrees with target q above the digit, and its digit is d}|
//           the digit: `width` bits from bit `shift` up
// Shapes    norms [count] (all ≥ 0), ranked [count] (1 = takes part),
//           targets [2] of (bits known so far, rank among the norms that agree with them),
//           histogram [2, 2048], all 0 before the pass; radix_pick leaves it so
// Dispatch  an invocation looks at every (64 · groups)-th norm; workgroups of 64, grid [groups], any number of groups
// Method    Radix selection (Alabi et al. 2012, "Fast k-selection algorithms for graphics processing units"): a float ≥ 0 sorts as
//           its bits do, so three passes over digits of 11, 11 and 10 bits, highest first, each followed by radix_pick, find
//           s₍lo₎ and s₍lo+1₎ exactly. Norms lie close together and share their upper digits: an invocation adds a run of equal
//           digits at once, which spares the atomics.
// Limits    (shift, width) are (21, 11), (10, 11), (0, 10) in this order. count below 2³² − 64 · groups.
// Twin      kernels/twins/rank_select.ts

const BINS = 2048u;

struct Size {
  count: u32,
  shift: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> norms: array<f32>;
@group(0) @binding(2) var<storage, read> ranked: array<u32>;
@group(0) @binding(3) var<storage, read> targets: array<vec2u>;
@group(0) @binding(4) var<storage, read_write> histogram: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var target_index = 0u; target_index < 2u; target_index++) {
    let known = targets[target_index].x;
    var run_bin = 0u;
    var run = 0u;
    for (var i = id.x; i < size.count; i += 64u * groups.x) {
      let bits = bitcast<u32>(norms[i]);
      // In two steps: a shift by 32 would be one by 0.
      if (ranked[i] == 0u || ((bits ^ known) >> size.shift) >> size.width != 0u) { continue; }
      let bin = target_index * BINS + ((bits >> size.shift) & ((1u << size.width) - 1u));
      if (bin != run_bin) {
        if (run > 0u) { atomicAdd(&histogram[run_bin], run); }
        run_bin = bin;
        run = 0u;
      }
      run++;
    }
    if (run > 0u) { atomicAdd(&histogram[run_bin], run); }
  }
}
