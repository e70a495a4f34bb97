// linear_subgroup: a dense layer from textures, its numbers handed from lane to lane
//
// Maths     y[s, n] = f(Σ_k x[s, k] · W[n, k] + b[n]), f the identity or the model's activation
// Shapes    x [S, K], W [N, K] (PyTorch's layout), b [N] and y [S, N], each a texture whose row is a row of it: four float32 a texel,
//           W eight float16 or bfloat16 a texel where the file has those
// Dispatch  a workgroup is one subgroup and computes `rows` rows × 4 · `vectors` · `lanes` columns; grid [row tiles, ⌈N / columns⌉], so that
//           workgroups that run one after the other share their weights
// Method    Register blocking (Volkov & Demmel 2008) with the subgroup in place of shared memory: a lane fetches a texel, four k, of one row
//           of x, and subgroupBroadcast hands each number to all lanes; a lane fetches the weights of its own columns. Drivers that
//           compute on a processor turn a load from a buffer, or from shared memory, into a branch a lane; a texture's fetch is a call,
//           and a broadcast from a constant lane one instruction. Which tile is fastest: README.md.
//           Rows past the last, and columns, repeat the last one and store it once more: a test that skipped them would cost more.
//           The order in which one output is summed depends on K only, so a row's result is the same whatever rows are beside it and
//           however high the tile is.
// Limits    K a multiple of 8, N of 4; workgroups of `lanes` invocations are one subgroup
// Twin      kernels/twins/linear.ts, then kernels/twins/gelu.ts and its like

import type { KernelSource } from '../src/gpu/kernel.ts';
import { PANEL_ROWS, PANEL_TEXELS } from '../src/gpu/panels.ts';
import type { ElementType } from '../src/gpu/tensor.ts';
import { activationFunction } from './activation_vector.ts';
import type { VectorActivation } from './activation_vector.ts';
import { COMPONENTS, Sums, fetch, textureIn, textureOut, unrolled } from './subgroup.ts';
import type { Dialect } from './subgroup.ts';

export interface LinearSubgroup {
  readonly dialect: Dialect;
  /** Lanes of a subgroup. */
  readonly lanes: number;
  /** Rows of a tile. */
  readonly rows: number;
  /** Columns of a lane, divided by four. */
  readonly vectors: number;
  /** Values of k an iteration: 8 for halves, 4 or 8 for float32. Results depend on it, so it must not depend on the batch. */
  readonly block: number;
  /** How W is stored. */
  readonly element: ElementType;
  /** Whether W lies in panels, see src/gpu/panels.ts, or a row of it in a row of the texture. */
  readonly panels: boolean;
  readonly activation: VectorActivation;
}

/** Columns that a workgroup computes. */
export function columnsOf({ lanes, vectors }: LinearSubgroup): number {
  return 4 * vectors * lanes;
}

export function linearSubgroup(options: LinearSubgroup): KernelSource {
  const { dialect, lanes, rows, vectors, block, element, panels, activation } = options;
  const name = `linear_subgroup_${rows}x${columnsOf(options)}_${element}${panels ? '_panels' : ''}${activation === 'none' ? '' : `_${activation}`}`;
  const sums = new Sums('s', rows, vectors, dialect);
  const perTexel = element === 'f32' ? 4 : 8;
  const laneRows = unrolled(Math.ceil(rows / lanes), (g) => g); // rows of x that a lane fetches
  const columns = unrolled(4 * vectors, (j) => j);

  // The weights of k, columns 4c … 4c + 3 of the lane.
  const weight = (k: number, j: number): string => {
    const texel = `w${j}_${Math.floor(k / perTexel)}`;
    if (element === 'f32') return `${texel}.${COMPONENTS[k % 4]}`;
    return `${texel}${COMPONENTS[(k % 8) >> 1]}.${COMPONENTS[k & 1]}`;
  };
  const fetchWeights = columns.flatMap((j) =>
    unrolled(block / perTexel, (q) => {
      const texel = `w${j}_${q}`;
      const at = panels
        ? [`across${q} + slot${j}`, `panel${j} + down${q}`]
        : [`k / ${perTexel}u + ${q}u`, `column${j}`];
      const load = `let ${texel} = ${fetch('W', at[0] as string, at[1] as string, dialect)};`;
      return element === 'f32'
        ? load
        : `${load} ${COMPONENTS.map((pair) => `let ${texel}${pair} = widen(${texel}.${pair});`).join(' ')}`;
    }),
  );
  // In panels: where the texel of k lies in that of its column, and where its column begins.
  const steps = unrolled(block / perTexel, (q) => {
    const step = `(k / ${perTexel}u + ${q}u)`;
    return `let across${q} = ${step} % ${PANEL_TEXELS}u * ${PANEL_ROWS}u; let down${q} = ${step} / ${PANEL_TEXELS}u;`;
  });
  const places = columns.map(
    (j) => `let slot${j} = column${j} % ${PANEL_ROWS}u; let panel${j} = column${j} / ${PANEL_ROWS}u * high;`,
  );
  const gather = unrolled(block, (k) =>
    unrolled(vectors, (c) => `let w_${k}_${c} = vec4f(${unrolled(4, (i) => weight(k, 4 * c + i)).join(', ')});`).join(
      ' ',
    ),
  );
  const fetchInputs = laneRows.map((g) =>
    unrolled(block / 4, (q) => `let x_${g}_${q} = ${fetch('x', `k / 4u + ${q}u`, `row${g}`, dialect)};`).join(' '),
  );
  const input = (m: number, k: number): string =>
    `subgroupBroadcast(x_${Math.floor(m / lanes)}_${k >> 2}.${COMPONENTS[k & 3]}, ${m % lanes}u)`;
  const store = unrolled(vectors, (c) =>
    [
      `  let bias${c} = ${fetch('b', `texel${c}`, '0u', dialect)};`,
      ...unrolled(rows, (m) => {
        const value = `${sums.value(m, c)} + bias${c}`;
        const result = activation === 'none' ? value : `${activation}(${value})`;
        return `  textureStore(y, vec2u(texel${c}, min(first + ${m}u, last)), ${result});`;
      }),
    ].join('\n'),
  );
  const code = `enable subgroups;

struct Size {
  S: u32, // rows: tokens of all sequences
  N: u32, // outputs of a row
  K: u32, // inputs of a row
  first_row: u32, // of the first workgroup
}

@group(0) @binding(0) var<uniform> size: Size;
${textureIn(1, 'x', dialect)}
${textureIn(2, 'W', dialect, element)}
${textureIn(3, 'b', dialect)}
${textureOut(4, 'y')}
${element === 'f32' ? '' : widening(element)}${activationFunction(activation)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = size.first_row + group.x * ${rows}u;
  let last = size.S - 1u;
  let K = size.K; // read once, not in every turn of the loop
  ${laneRows.map((g) => `let row${g} = min(first + ${g * lanes}u + lane, last);`).join(' ')}
  ${unrolled(vectors, (c) => `let texel${c} = min(group.y * ${vectors * lanes}u + ${c * lanes}u + lane, size.N / 4u - 1u);`).join(' ')}
  ${columns.map((j) => `let column${j} = 4u * texel${j >> 2} + ${j & 3}u;`).join(' ')}
${
  panels
    ? `  let high = (K / ${perTexel}u + ${PANEL_TEXELS - 1}u) / ${PANEL_TEXELS}u; // rows of the texture that a panel takes
  ${places.join(' ')}
`
    : ''
}  ${sums.declare()}
  for (var k = 0u; k < K; k += ${block}u) {
    ${fetchInputs.join(' ')}
${
  panels
    ? `    ${steps.join(' ')}
`
    : ''
}    ${fetchWeights.join('\n    ')}
    ${gather.join('\n    ')}
${sums.addProducts(block, input, (k, c) => `w_${k}_${c}`)}
  }
${store.join('\n')}
}
`;
  return { name, code };
}

/** Two numbers of a word, widened exactly. */
function widening(element: ElementType): string {
  if (element === 'bf16')
    return 'fn widen(word: u32) -> vec2f { return bitcast<vec2f>(vec2u(word << 16u, word & 0xffff0000u)); }\n';
  return `// The processor's own instruction, which keeps denormals; see the test.
fn widen(word: u32) -> vec2f { return unpack2x16float(word); }
`;
}
