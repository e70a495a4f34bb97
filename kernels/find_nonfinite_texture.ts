// find_nonfinite_texture: the first NaN or infinity of a matrix that lies in a texture
//
// Maths     found = min(found, min {i : x[i] is NaN or infinite}), i counted row by row
// Shapes    x [N, K] a texture: four float32 a texel, or eight float16 or bfloat16 as words; found [1], preset to 0xffffffff by the host
// Dispatch  an invocation looks at every (64 · groups)-th texel; workgroups of 64, grid [groups], any number of groups
// Method    As find_nonfinite.wgsl: only the bits are looked at, for an exponent of all ones; the numbers of a texel together, and one
//           by one only where there is something to find.
// Limits    N · K below 2³² − 1 − 64 · groups; K a multiple of a texel's numbers
// Twin      kernels/twins/find_nonfinite.ts

import type { KernelSource } from '../src/gpu/kernel.ts';
import { PANEL_TEXELS, panelTexel } from '../src/gpu/panels.ts';
import type { ElementType } from '../src/gpu/tensor.ts';

/** The exponent's bits of each number of a word. */
const EXPONENT: Record<ElementType, string> = { f32: '0x7f800000u', f16: '0x7c00u', bf16: '0x7f80u', u32: '0u' };

/** @param panels whether the matrix lies in panels, see src/gpu/panels.ts */
export function findNonfiniteTexture(element: ElementType, panels = false): KernelSource {
  const halves = element !== 'f32';
  const { x, y } = panels
    ? panelTexel('(i % texels)', '(i / texels)', `((texels + ${PANEL_TEXELS - 1}u) / ${PANEL_TEXELS}u)`)
    : { x: 'i % texels', y: 'i / texels' };
  const texel = `textureLoad(x, vec2u(${x}, ${y}), 0)`;
  const code = `struct Size {
  N: u32, // rows
  K: u32, // columns
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var x: texture_2d<${halves ? 'u32' : 'f32'}>;
@group(0) @binding(2) var<storage, read_write> found: array<atomic<u32>>;

const EXPONENT = ${EXPONENT[element]};
const PER_TEXEL = ${halves ? 8 : 4}u;

// An exponent of all ones in the lower or only number of each word.
fn nonfinite(words: vec4u) -> vec4<bool> { return (words & vec4u(EXPONENT)) == vec4u(EXPONENT); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let texels = size.K / PER_TEXEL; // of a row
  for (var i = id.x; i < texels * size.N; i += 64u * groups.x) {
    let words = ${halves ? texel : `bitcast<vec4u>(${texel})`};
    ${halves ? 'let lower = nonfinite(words); let upper = nonfinite(words >> vec4u(16u));' : 'let found_here = nonfinite(words);'}
    if (${halves ? 'any(lower) || any(upper)' : 'any(found_here)'}) {
      for (var n = 0u; n < PER_TEXEL; n++) {
        if (${halves ? 'select(lower[n / 2u], upper[n / 2u], n % 2u == 1u)' : 'found_here[n]'}) {
          atomicMin(&found[0], i * PER_TEXEL + n);
          return;
        }
      }
    }
  }
}
`;
  return { name: `find_nonfinite_texture_${element}${panels ? '_panels' : ''}`, code };
}
