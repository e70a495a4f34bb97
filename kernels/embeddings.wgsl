// embeddings: a token's first state, the sum of what its id, its position and its token type look up
//
// Maths     y[s] = word[id(s)] + position[s − first(s)] + token_type[type(s)]
// Shapes    rows [S] of (token id, token type, first row of its sequence, length of its sequence)
//           word [V, H] stored as ELEMENT says, position [P, H], token_type [types, H], y [S, H]
// Dispatch  one invocation an element; workgroups of 64 × 1, grid [⌈H / 64⌉, S]
// Method    Devlin et al. 2018, arXiv:1810.04805. Sequences are packed end to end, so the position counts from the first row of
//           the token's own sequence.
// Limits    S ≤ 65535. Ids, positions and types must lie inside their tables: the host checks them.
// Twin      kernels/twins/embeddings.ts

override ELEMENT: u32 = 0u; // how `word` is stored: 0 float32, 1 float16, 2 bfloat16; the latter two a word, the low half first

struct Size {
  S: u32, // rows: tokens of all sequences
  H: u32, // hidden size
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> rows: array<vec4u>;
@group(0) @binding(2) var<storage, read> word: array<u32>;
@group(0) @binding(3) var<storage, read> position: array<f32>;
@group(0) @binding(4) var<storage, read> token_type: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

// A float16 widened exactly. Built from its bits: unpack2x16float may flush denormals, and float16 weights have many.
fn widen_half(bits: u32) -> f32 {
  let magnitude = bits & 0x7fffu;
  let normal = bitcast<f32>((magnitude << 13u) + (112u << 23u)); // the exponent's bias goes from 15 to 127
  let denormal = f32(magnitude) * 0x1p-24;
  let widened = select(normal, denormal, magnitude < 0x400u);
  let not_finite = 0x7f800000u | (magnitude << 13u);
  return bitcast<f32>(((bits & 0x8000u) << 16u) | select(bitcast<u32>(widened), not_finite, magnitude >= 0x7c00u));
}

fn word_at(i: u32) -> f32 {
  if (ELEMENT == 0u) { return bitcast<f32>(word[i]); }
  let half = (word[i / 2u] >> (16u * (i % 2u))) & 0xffffu;
  if (ELEMENT == 1u) { return widen_half(half); }
  return bitcast<f32>(half << 16u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let h = id.x;
  let s = id.y;
  if (h >= size.H || s >= size.S) { return; }
  let token = rows[s].x;
  let kind = rows[s].y;
  let place = s - rows[s].z;
  y[s * size.H + h] = word_at(token * size.H + h) + token_type[kind * size.H + h] + position[place * size.H + h];
}
