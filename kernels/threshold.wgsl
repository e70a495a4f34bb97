// threshold: θ of a sequence from its two order statistics, and the ranked norms on the two sides of the cut
//
// Maths     θ = a where g = 0, else clamp(a + (b − a) · g, a, b), (a, b) = selected
//           inclusive: HIGH is s ≥ (a where g = 0 or a = b, else b); exclusive: HIGH is s > a
// Shapes    norms [S] (all ≥ 0), ranked [S] (1 = takes part), cuts [sequences] of (first row, length, lo, bits of g),
//           selected [sequences, 2], summary [sequences, 8] of
//           (θ, a, b, below = the greatest LOW, cut = the least HIGH, ranked tokens, HIGH tokens, 0); what is not there is −1
// Dispatch  one invocation a sequence; workgroups of 64, grid [⌈sequences / 64⌉]
// Method    HIGH is decided by the order statistics, never by the rounded θ: rounding could put the order statistic itself on the
//           wrong side. a + (b − a) · g and not a · (1 − g) + b · g, which is not a where a = b. Norms are compared as bits.
// Limits    Counts are exact up to 2²⁴ tokens a sequence.
// Twin      kernels/twins/threshold.ts

struct Size {
  sequences: u32,
  exclusive: u32, // 0: HIGH is s ≥ θ; 1: HIGH is s > θ
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> norms: array<f32>;
@group(0) @binding(2) var<storage, read> ranked: array<u32>;
@group(0) @binding(3) var<storage, read> cuts: array<vec4u>;
@group(0) @binding(4) var<storage, read> selected: array<f32>;
@group(0) @binding(5) var<storage, read_write> summary: array<f32>;

const NONE = 0xbf800000u; // the bits of −1

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let sequence = id.x;
  if (sequence >= size.sequences) { return; }
  let start = cuts[sequence].x;
  let end = start + cuts[sequence].y;
  let g = bitcast<f32>(cuts[sequence].w);
  let a = selected[2u * sequence];
  let b = selected[2u * sequence + 1u];

  let on_a = g == 0.0 || bitcast<u32>(a) == bitcast<u32>(b);
  let theta = select(clamp(a + (b - a) * g, a, b), a, on_a);
  // The least bits that are HIGH. The bits after a float's are the next greater float's.
  var least_high = bitcast<u32>(select(b, a, on_a));
  if (size.exclusive == 1u) { least_high = bitcast<u32>(a) + 1u; }

  var below = 0u;
  var cut = 0xffffffffu;
  var count = 0u;
  var high = 0u;
  for (var i = start; i < end; i++) {
    if (ranked[i] == 0u) { continue; }
    count++;
    let bits = bitcast<u32>(norms[i]);
    if (bits >= least_high) {
      high++;
      cut = min(cut, bits);
    } else {
      below = max(below, bits);
    }
  }

  let out = 8u * sequence;
  summary[out] = select(-1.0, theta, count > 0u);
  summary[out + 1u] = select(-1.0, a, count > 0u);
  summary[out + 2u] = select(-1.0, b, count > 0u);
  summary[out + 3u] = bitcast<f32>(select(NONE, below, count > high));
  summary[out + 4u] = bitcast<f32>(select(NONE, cut, high > 0u));
  summary[out + 5u] = f32(count);
  summary[out + 6u] = f32(high);
  summary[out + 7u] = 0.0;
}
