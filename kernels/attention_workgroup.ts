// attention_workgroup: scores, softmax and context of a tile of rows and one head in one dispatch, from tiles in shared memory
//
// Maths     context[s, h] = Σ_j p_j · value[j, h] over the rows j of the sequence of s, p = softmax_j(query[s]·key[j] / √D), head by head
// Shapes    query, key, value: buffers of S rows, `stride` vec4 apart, in which head a starts at vec4 size.query + a · D / 4, and so on:
//           they may be one buffer; context [S, A · D]; tiles: array<vec4u>, (first row, rows, start, length) of each tile of
//           query rows, start and length those of its sequence
// Dispatch  a workgroup takes one tile and one head; grid [tiles, A]. It is `keys` / 4 × 8 invocations: one holds the scores of `queries` / 8
//           rows with four keys, then as many rows × every (keys / 4)-th vec4 of the context
// Method    FlashAttention (Dao et al. 2022, arXiv:2205.14135; Dao 2023, arXiv:2307.08691): the keys of a sequence go by in blocks through
//           shared memory, and after the scores the block's values through the same place; weights meet them from there. When the
//           maximum of a row rises, its sums shrink by exp(old − new) (Milakov & Gimelshein 2018, arXiv:1805.02867). A matrix of
//           scores never exists. Each invocation sums the weights of its own keys, and the row's sum is taken once, at the end.
//           Rows are clamped into the sequence, so nothing outside it is read: a key past its end weighs 0, a query row past the
//           tile's end is computed and not stored. What a row sees depends on its own sequence only. Strides in shared memory are
//           odd, against bank conflicts. On some drivers comparisons and exp lose NaN, so scores are looked at bit by bit, and one that
//           is not finite makes its row NaN.
//           Speed on a real GPU is not measured yet; Dao 2023 puts the method's gain over optimized kernels with scores in memory at 2 to 4 times.
// Limits    D a multiple of 4; shared memory as `attentionStorage` says
// Twin      kernels/twins/attention_scores.ts, kernels/twins/softmax.ts, kernels/twins/attention_context.ts, one after the other

import type { KernelSource } from '../src/gpu/kernel.ts';
import { COMPONENTS, unrolled } from './subgroup.ts';

export interface AttentionTile {
  /** Query rows of a workgroup, a multiple of 8. */
  readonly queries: number;
  /** Keys of a block, a multiple of 4. Results depend on it, so it must not depend on the batch. */
  readonly keys: number;
}

const DOWN = 8;
const odd = (vectors: number): number => vectors | 1;

/** Bytes of shared memory that a tile takes for heads of size `headSize`. */
export function attentionStorage({ queries, keys }: AttentionTile, headSize: number): number {
  const rows = (queries + keys) * odd(headSize / 4);
  const weights = queries * odd(keys / 4);
  return (rows + weights) * 16 + queries * (keys / 4) * 4;
}

/** Invocations of a workgroup. */
export function attentionInvocations({ keys }: AttentionTile): number {
  return (keys / 4) * DOWN;
}

export function attentionWorkgroup(tile: AttentionTile, headSize: number): KernelSource {
  const { queries, keys } = tile;
  const across = keys / 4;
  const invocations = attentionInvocations(tile);
  const vectors = headSize / 4; // vec4 of one head in one row
  const stride = odd(vectors);
  const weightStride = odd(across);
  const rows = unrolled(queries / DOWN, (m) => m);
  const held = unrolled(Math.ceil(vectors / across), (c) => c); // vec4 of a context row that an invocation computes
  const each = (line: (m: number) => string, indent = '    '): string => rows.map(line).join(`\n${indent}`);
  const every = (line: (m: number, c: number) => string): string[] => rows.flatMap((m) => held.map((c) => line(m, c)));
  const row = (m: number): string => `(local.y + ${m * DOWN}u)`;
  const key = (i: number, from: string): string => `(${from} + ${i * across}u)`;
  // All invocations copy `count` rows of one head into shared memory.
  const load = (to: string, count: number, from: string, at: string, first: string): string =>
    `for (var i = lane; i < ${count * vectors}u; i += ${invocations}u) {
      let r = i / ${vectors}u;
      let v = i % ${vectors}u;
      ${to}[r * ${stride}u + v] = ${from}[(start + min(${first} + r, length - 1u)) * size.stride + ${at} + v];
    }`;
  const code = `struct Size {
  query: u32, // first vec4 of head 0 in a row
  key: u32,
  value: u32,
  stride: u32, // vec4 from a row of query, key or value to the next
  H: u32, // components of a context row
}

const LOWEST = -3e38f;
const EXPONENT = 0x7f800000u;

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read> tiles: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> context: array<vec4f>;

var<workgroup> query_tile: array<vec4f, ${queries * stride}>;
var<workgroup> block: array<vec4f, ${keys * stride}>; // keys, then values
var<workgroup> weights: array<vec4f, ${queries * weightStride}>; // of keys n, n + ${across}, … side by side
var<workgroup> partial: array<f32, ${queries * across}>; // what each invocation knows of a row

@compute @workgroup_size(${across}, ${DOWN})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = tiles[group.x];
  let first = tile.x; let count = tile.y; let start = tile.z; let length = tile.w;
  let head = group.y * ${vectors}u;
  {
    ${load('query_tile', queries, 'query', 'size.query + head', '(first - start)')}
  }
  ${held.map((c) => `let column${c} = min(local.x + ${c * across}u, ${vectors - 1}u);`).join('\n  ')}
  ${each((m) => `var highest${m} = LOWEST; var sum${m} = 0f; var not_finite${m} = 0u;`, '  ')}
  ${every((m, c) => `var context${m}_${c} = vec4f();`).join('\n  ')}

  for (var j = 0u; j < length; j += ${keys}u) {
    workgroupBarrier(); // nobody reads the values before these keys any more
    ${load('block', keys, 'key', 'size.key + head', 'j')}
    workgroupBarrier();

    ${each((m) => `var score${m} = vec4f();`)}
    for (var d = 0u; d < ${vectors}u; d++) {
      ${unrolled(4, (i) => `let key${i} = block[${key(i, 'local.x')} * ${stride}u + d];`).join('\n      ')}
      ${COMPONENTS.map((k) => `let k_${k} = vec4f(${unrolled(4, (i) => `key${i}.${k}`).join(', ')});`).join('\n      ')}
      ${each((m) => `let query${m} = query_tile[${row(m)} * ${stride}u + d];`, '      ')}
      ${COMPONENTS.map((k) => rows.map((m) => `score${m} = fma(vec4f(query${m}.${k}), k_${k}, score${m});`).join(' ')).join('\n      ')}
    }
    let valid = vec4u(j + local.x) + vec4u(${unrolled(4, (i) => `${i * across}u`).join(', ')}) < vec4u(length);
    ${each((m) => `score${m} = select(vec4f(LOWEST), score${m} * ${1 / Math.sqrt(headSize)}, valid);`)}
    ${each((m) => `not_finite${m} |= bits(score${m});`)}
    ${each((m) => `partial[${row(m)} * ${across}u + local.x] = max(max(score${m}.x, score${m}.y), max(score${m}.z, score${m}.w));`)}
    workgroupBarrier(); // the keys are done with, and every part of a row's maximum is there

    ${load('block', keys, 'value', 'size.value + head', 'j')}
    ${each((m) => `let before${m} = highest${m};`)}
    for (var n = 0u; n < ${across}u; n++) {
      ${each((m) => `highest${m} = max(highest${m}, partial[${row(m)} * ${across}u + n]);`, '      ')}
    }
    ${each(
      (m) => `let shrink${m} = exp(before${m} - highest${m});
    let weight${m} = select(vec4f(), exp(score${m} - highest${m}), valid);
    sum${m} = fma(sum${m}, shrink${m}, weight${m}.x + weight${m}.y + weight${m}.z + weight${m}.w);
    weights[${row(m)} * ${weightStride}u + local.x] = weight${m};`,
    )}
    workgroupBarrier();

    ${every((m, c) => `var part${m}_${c} = vec4f();`).join('\n    ')}
    for (var n = 0u; n < ${across}u; n++) {
      ${each((m) => `let p${m} = weights[${row(m)} * ${weightStride}u + n];`, '      ')}
      ${COMPONENTS.flatMap((component, i) =>
        held.map(
          (c) =>
            `{ let v = block[${key(i, 'n')} * ${stride}u + column${c}]; ${rows.map((m) => `part${m}_${c} = fma(vec4f(p${m}.${component}), v, part${m}_${c});`).join(' ')} }`,
        ),
      ).join('\n      ')}
    }
    ${every((m, c) => `context${m}_${c} = fma(context${m}_${c}, vec4f(shrink${m}), part${m}_${c});`).join('\n    ')}
  }

  ${each((m) => `partial[${row(m)} * ${across}u + local.x] = select(sum${m}, bitcast<f32>(not_finite${m}), not_finite${m} != 0u);`, '  ')}
  workgroupBarrier();
  ${each((m) => `var total${m} = 0f;`, '  ')}
  for (var n = 0u; n < ${across}u; n++) {
    ${each((m) => `total${m} += partial[${row(m)} * ${across}u + n];`)}
  }
  ${every(
    (m, c) =>
      `if (${row(m)} < count && local.x + ${c * across}u < ${vectors}u) { context[(first + ${row(m)}) * (size.H / 4u) + head + column${c}] = context${m}_${c} / total${m}; }`,
  ).join('\n  ')}
}

// The bits of a NaN where one of four numbers is infinite or NaN, else 0.
fn bits(v: vec4f) -> u32 {
  return select(0u, 0x7fc00000u, any((bitcast<vec4u>(v) & vec4u(EXPONENT)) == vec4u(EXPONENT)));
}
`;
  return { name: `attention_workgroup_${queries}x${keys}_${headSize}`, code };
}
