// linear_workgroup: a dense layer from tiles in shared memory, the textbook's matrix product for a GPU
//
// Maths     y[s, n] = f(Σ_k x[s, k] · W[n, k] + b[n]), f the identity or the model's activation
// Shapes    x [S, K], W [N, K] stored as `element` says (PyTorch's layout: a row of W makes one output), b [N], y [S, N]
// Dispatch  a workgroup computes a tile of `rows` rows × `columns` columns, an invocation `rowsEach` rows × 4 columns of it; grid
//           [row tiles, ⌈N / columns⌉], so that workgroups that run one after the other share their weights
// Method    Shared-memory and register blocking (Volkov & Demmel 2008; NVIDIA's CUTLASS has the same levels): 16 k of the tile's rows of
//           x and W go into shared memory, widened once, and each vec4 that an invocation reads there feeds 4 · rowsEach or 16 products.
//           The next 16 k are fetched into registers while these are multiplied. A row in shared memory takes five vec4 for its four: an
//           odd stride, so the eight invocations that a GPU serves at once read from all banks. An invocation's columns are
//           `columns` / 4 apart, so that neighbours write neighbours.
//           The products of 16 k are summed by themselves first, which keeps the rounding error of a long sum down (Higham 1993), and
//           every product is an explicit fma, so a compiler has nothing to contract in one tile and not in another. The order of a
//           sum depends on nothing but K: a row's result is the same in every tile, whatever is beside it.
//           A residual is not added here but in the LayerNorm after it, which reads what this kernel would have to read.
//           Speed on a real GPU is not measured yet.
// Limits    K a multiple of 4. S · K, N · K and S · N below 2³². Shared memory: 80 · (rows + columns) bytes.
// Twin      kernels/twins/linear.ts, then kernels/twins/gelu.ts and its like

import type { KernelSource } from '../src/gpu/kernel.ts';
import type { ElementType } from '../src/gpu/tensor.ts';
import { activationFunction } from './activation_vector.ts';
import type { VectorActivation } from './activation_vector.ts';
import { COMPONENTS, unrolled } from './subgroup.ts';

/** What a workgroup computes of y. `rows` · `columns` / (4 · `rowsEach`) invocations share it: 64 at least, as they load whole rows. */
export interface LinearTile {
  readonly rows: number;
  readonly columns: number;
  /** Rows of an invocation, which has four columns. */
  readonly rowsEach: number;
}

export interface LinearWorkgroup {
  readonly tile: LinearTile;
  /** How W is stored. */
  readonly element: ElementType;
  readonly activation: VectorActivation;
}

/** vec4 of k in a block. Results depend on it: it is the same for every tile. */
const QUADS = 4;
/** vec4 from a row of a tile to the next. */
const STRIDE = QUADS + 1;

/** Bytes of shared memory a tile takes. */
export function linearStorage({ rows, columns }: LinearTile): number {
  return (rows + columns) * STRIDE * 16;
}

/** Invocations of a workgroup. */
export function linearInvocations({ rows, columns, rowsEach }: LinearTile): number {
  return (rows * columns) / (4 * rowsEach);
}

export function linearWorkgroup({ tile, element, activation }: LinearWorkgroup): KernelSource {
  const { rows, columns, rowsEach } = tile;
  const name = `linear_workgroup_${rows}x${columns}x${rowsEach}_${element}${activation === 'none' ? '' : `_${activation}`}`;
  const across = columns / 4;
  const down = rows / rowsEach;
  const loaded = (across * down) / QUADS; // rows of a tile that the workgroup loads at once
  const xLoads = unrolled(rows / loaded, (i) => i);
  const wLoads = unrolled(columns / loaded, (i) => i);
  const own = unrolled(rowsEach, (m) => m);
  const lines = (count: readonly number[], line: (i: number) => string, indent: string): string =>
    count.map(line).join(`\n${indent}`);
  const fetchNext = (quad: string): string[] => [
    ...xLoads.map((i) => `next_x${i} = x_at(first_row + load_row + ${i * loaded}u, ${quad});`),
    ...wLoads.map((i) => `next_w${i} = w_at(first_column + load_row + ${i * loaded}u, ${quad});`),
  ];
  const code = `struct Size {
  S: u32, // rows: tokens of all sequences
  N: u32, // outputs of a row
  K: u32, // inputs of a row
  first_row: u32, // of the first workgroup
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> W: array<${element === 'f32' ? 'vec4f' : 'vec2u'}>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

var<workgroup> x_tile: array<vec4f, ${rows * STRIDE}>;
var<workgroup> w_tile: array<vec4f, ${columns * STRIDE}>;

// Rows past the last repeat it, and their results are not stored; past a row's end there are zeros, which add nothing.
fn x_at(row: u32, quad: u32) -> vec4f {
  if (4u * quad >= size.K) { return vec4f(); }
  return x[min(row, size.S - 1u) * (size.K / 4u) + quad];
}

fn w_at(row: u32, quad: u32) -> vec4f {
  if (4u * quad >= size.K) { return vec4f(); }
  let four = W[min(row, size.N - 1u) * (size.K / 4u) + quad];
  return ${widened(element)};
}
${activationFunction(activation)}
@compute @workgroup_size(${across}, ${down})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let first_row = size.first_row + group.x * ${rows}u;
  let first_column = group.y * ${columns}u;
  let load_row = lane / ${QUADS}u;
  let load_quad = lane % ${QUADS}u;
  ${lines(xLoads, (i) => `var next_x${i}: vec4f;`, '  ')}
  ${lines(wLoads, (i) => `var next_w${i}: vec4f;`, '  ')}
  ${fetchNext('load_quad').join('\n  ')}
  ${lines(own, (m) => `var sum${m} = vec4f();`, '  ')}
  for (var block = 0u; 4u * block < size.K; block += ${QUADS}u) {
    workgroupBarrier(); // nobody reads the block before this one any more
    ${lines(xLoads, (i) => `x_tile[(load_row + ${i * loaded}u) * ${STRIDE}u + load_quad] = next_x${i};`, '    ')}
    ${lines(wLoads, (i) => `w_tile[(load_row + ${i * loaded}u) * ${STRIDE}u + load_quad] = next_w${i};`, '    ')}
    workgroupBarrier();
    ${fetchNext(`block + ${QUADS}u + load_quad`).join('\n    ')}
    ${lines(own, (m) => `var part${m} = vec4f();`, '    ')}
    for (var q = 0u; q < ${QUADS}u; q++) {
      ${unrolled(4, (j) => `let column${j} = w_tile[(local.x + ${j * across}u) * ${STRIDE}u + q];`).join('\n      ')}
      ${COMPONENTS.map((k) => `let w_${k} = vec4f(${unrolled(4, (j) => `column${j}.${k}`).join(', ')});`).join('\n      ')}
      ${lines(own, (m) => `let row${m} = x_tile[(local.y + ${m * down}u) * ${STRIDE}u + q];`, '      ')}
      ${COMPONENTS.map((k) => own.map((m) => `part${m} = fma(vec4f(row${m}.${k}), w_${k}, part${m});`).join(' ')).join('\n      ')}
    }
    ${lines(own, (m) => `sum${m} += part${m};`, '    ')}
  }

  let columns = vec4u(first_column + local.x) + vec4u(${unrolled(4, (j) => `${j * across}u`).join(', ')});
  let inside = min(columns, vec4u(size.N - 1u));
  let bias = vec4f(${COMPONENTS.map((j) => `b[inside.${j}]`).join(', ')});
  ${lines(
    own,
    (m) => {
      const value = activation === 'none' ? `sum${m} + bias` : `${activation}(sum${m} + bias)`;
      return `store(first_row + local.y + ${m * down}u, columns, ${value});`;
    },
    '  ',
  )}
}

fn store(row: u32, columns: vec4u, values: vec4f) {
  if (row >= size.S) { return; }
  ${COMPONENTS.map((j) => `if (columns.${j} < size.N) { y[row * size.N + columns.${j}] = values.${j}; }`).join('\n  ')}
}
`;
  return { name, code };
}

/** Four weights as the file has them, widened exactly where the driver's conversion keeps denormals; see linear_tiled. */
function widened(element: ElementType): string {
  if (element === 'f32') return 'four';
  if (element === 'f16') return 'vec4f(unpack2x16float(four.x), unpack2x16float(four.y))';
  return 'bitcast<vec4f>(vec4u(four.x << 16u, four.x & 0xffff0000u, four.y << 16u, four.y & 0xffff0000u))';
}
