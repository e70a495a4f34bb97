// find_nonfinite: the first NaN or infinity of a tensor
//
// Maths     found = min(found, min {i : x[i] is NaN or infinite})
// Shapes    words: the `count` numbers of x as they are stored, ELEMENT says how; found [1], preset to 0xffffffff by the host
// Dispatch  an invocation looks at every (64 · groups)-th run of four words; workgroups of 64, grid [groups], any number of groups
// Method    Only the bits are looked at: on some drivers x != x is false for a NaN. An exponent of all ones is NaN or infinity.
//           Four words are looked at together, and one by one only where there is something to find: weights are read once,
//           at the speed of memory.
// Limits    count below 2³² − 1 − 256 · groups
// Twin      kernels/twins/find_nonfinite.ts

override ELEMENT: u32 = 0u; // how x is stored: 0 float32, 1 float16, 2 bfloat16; the latter two a word, the low half first

struct Size {
  count: u32,
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> words: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> found: array<atomic<u32>>;

// The bits of the exponent, in both halves of a word where there are two numbers in it.
fn exponent_bits() -> u32 {
  if (ELEMENT == 0u) { return 0x7f800000u; }
  return select(0x7f807f80u, 0x7c007c00u, ELEMENT == 1u);
}

// Whether one of the numbers of four words is not finite. `high` and `low` are the exponents of the two halves of a word.
fn any_nonfinite(four: vec4u) -> bool {
  let high = vec4u(exponent_bits() & 0xffff0000u);
  if (any((four & high) == high)) { return true; }
  if (ELEMENT == 0u) { return false; }
  let low = vec4u(exponent_bits() & 0x0000ffffu);
  return any((four & low) == low);
}

fn is_nonfinite(i: u32) -> bool {
  if (ELEMENT == 0u) { return (words[i / 4u][i % 4u] & exponent_bits()) == exponent_bits(); }
  let half = words[i / 8u][(i / 2u) % 4u] >> (16u * (i % 2u));
  let exponent = exponent_bits() & 0xffffu;
  return (half & exponent) == exponent;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let numbers = select(8u, 4u, ELEMENT == 0u); // in four words
  let fours = (size.count + numbers - 1u) / numbers;
  for (var four = id.x; four < fours; four += 64u * groups.x) {
    if (!any_nonfinite(words[four])) { continue; }
    // What lies after the last number does not count.
    let end = min(size.count, (four + 1u) * numbers);
    for (var i = four * numbers; i < end; i++) {
      if (is_nonfinite(i)) {
        atomicMin(&found[0], i);
        return;
      }
    }
  }
}
