// embeddings_texture: a token's vector, its place's and its type's, added, into a texture
//
// Maths     y[s, h] = word[id(s), h] + position[s − start(s), h] + token_type[type(s), h]
// Shapes    rows: array<vec4u> [S] = (token id, token type, first row of its sequence, length of its sequence); word [V, H] stored as
//           ELEMENT says; position [P, H], token_type [types, H]; y [S, H] a texture, four float32 a texel
// Dispatch  one invocation a texel; workgroups of 64 × 1, grid [⌈H / 256⌉, S]
// Method    A gather. Tables stay in buffers, which have any number of rows; a texture has not.
// Limits    H a multiple of 4; V · H below 2³²
// Twin      kernels/twins/embeddings.ts

override ELEMENT: u32 = 0u; // how word is stored: 0 float32, 1 float16, 2 bfloat16; the latter two a word, the low half first

struct Size {
  S: u32, // rows: tokens of all sequences
  H: u32, // components of a hidden state
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> rows: array<vec4u>;
@group(0) @binding(2) var<storage, read> word: array<vec2u>;
@group(0) @binding(3) var<storage, read> position: array<vec4f>;
@group(0) @binding(4) var<storage, read> token_type: array<vec4f>;
@group(0) @binding(5) var y: texture_storage_2d<rgba32float, write>;

// Four float16 widened exactly. Built from their bits: unpack2x16float may flush denormals, and float16 weights have many.
fn widen_half(bits: vec4u) -> vec4f {
  let magnitude = bits & vec4u(0x7fffu);
  let normal = bitcast<vec4f>((magnitude << vec4u(13u)) + vec4u(112u << 23u)); // the exponent's bias goes from 15 to 127
  let denormal = vec4f(magnitude) * 0x1p-24;
  let widened = select(normal, denormal, magnitude < vec4u(0x400u));
  let not_finite = vec4u(0x7f800000u) | (magnitude << vec4u(13u));
  let sign = (bits & vec4u(0x8000u)) << vec4u(16u);
  return bitcast<vec4f>(sign | select(bitcast<vec4u>(widened), not_finite, magnitude >= vec4u(0x7c00u)));
}

// Numbers 4q … 4q + 3 of word, counted through the whole table.
fn word_at(q: u32) -> vec4f {
  if (ELEMENT == 0u) { return bitcast<vec4f>(vec4u(word[2u * q], word[2u * q + 1u])); }
  let pairs = word[q];
  let halves = vec4u(pairs.x & 0xffffu, pairs.x >> 16u, pairs.y & 0xffffu, pairs.y >> 16u);
  if (ELEMENT == 1u) { return widen_half(halves); }
  return bitcast<vec4f>(halves << vec4u(16u));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let texel = id.x;
  let s = id.y;
  let texels = size.H / 4u;
  if (texel >= texels || s >= size.S) { return; }
  let token = rows[s];
  let sum = word_at(token.x * texels + texel) + position[(s - token.z) * texels + texel];
  textureStore(y, vec2u(texel, s), sum + token_type[token.y * texels + texel]);
}
