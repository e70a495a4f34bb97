// word_reduce: one norm a word, from the norms of its pieces
//
// Maths     y[w] = max, mean or first of norms[r … r + n − 1], (r, n) = pieces[w]
// Shapes    norms [S] (all ≥ 0), pieces [words] of (first row, number of pieces ≥ 1), y [words]
// Dispatch  one invocation a word; workgroups of 64, grid [⌈words / 64⌉]
// Method    The maximum is taken of the bits, which sort as floats ≥ 0 do and let a NaN win: max(NaN, 1) is 1 on some drivers.
// Limits    none
// Twin      kernels/twins/word_reduce.ts

struct Size {
  words: u32,
  how: u32, // 0 max, 1 mean, 2 first
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> norms: array<f32>;
@group(0) @binding(2) var<storage, read> pieces: array<vec2u>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let w = id.x;
  if (w >= size.words) { return; }
  let start = pieces[w].x;
  let count = pieces[w].y;

  var largest = 0u;
  var sum = 0.0;
  for (var i = start; i < start + count; i++) {
    largest = max(largest, bitcast<u32>(norms[i]));
    sum += norms[i];
  }
  if (size.how == 0u) { y[w] = bitcast<f32>(largest); }
  if (size.how == 1u) { y[w] = sum / f32(count); }
  if (size.how == 2u) { y[w] = norms[start]; }
}
