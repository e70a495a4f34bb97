// find_nonfinite: the first NaN or infinity of a tensor
//
// Maths     found = min(found, min {i : x[i] is NaN or infinite})
// Shapes    words: the `count` numbers of x as they are stored, ELEMENT says how; found [1], preset to 0xffffffff by the host
// Dispatch  an invocation looks at every (64 · groups)-th number; workgroups of 64, grid [groups], any number of groups
// Method    Only the bits are looked at: on some drivers x != x is false for a NaN. An exponent of all ones is NaN or infinity.
// Limits    count below 2³² − 1 − 64 · groups
// Twin      test/twins/find_nonfinite.ts

override ELEMENT: u32 = 0u; // how x is stored: 0 float32, 1 float16, 2 bfloat16; the latter two a word, the low half first

struct Size {
  count: u32,
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> found: array<atomic<u32>>;

fn is_nonfinite(i: u32) -> bool {
  if (ELEMENT == 0u) { return (words[i] & 0x7f800000u) == 0x7f800000u; }
  let half = words[i / 2u] >> (16u * (i % 2u));
  let exponent = select(0x7f80u, 0x7c00u, ELEMENT == 1u);
  return (half & exponent) == exponent;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < size.count; i += 64u * groups.x) {
    if (is_nonfinite(i)) {
      atomicMin(&found[0], i);
      return;
    }
  }
}
