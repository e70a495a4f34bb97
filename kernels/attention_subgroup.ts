// attention_subgroup: scores, softmax and context of eight rows and one head in one dispatch, without a matrix of scores
//
// Maths     context[s, h] = Σ_j p_j · value[j, h] over the rows j of the sequence of s, p = softmax_j(query[s]·key[j] / √D), head by head
// Shapes    query, key, value: textures of S rows in which head a starts at texel size.query + a · D / 4, and so on: they may be one
//           texture; context [S, A · D] a texture; tiles: array<vec4u>, (first row, rows, start, length) of each tile of query rows,
//           start and length those of its sequence
// Dispatch  a workgroup is one subgroup and takes one tile and one head; grid [tiles, A]
// Method    The online softmax of Milakov & Gimelshein 2018 (arXiv:1805.02867) as in FlashAttention (Dao et al. 2022): keys go by in
//           blocks of 4 · lanes, a lane holding the scores of four; when the maximum of a row rises, its sums shrink by exp(old − new).
//           Weights stay in registers and reach all lanes by subgroupBroadcast. Rows are clamped into the sequence, so nothing outside
//           it is read: a key past its end weighs 0, a query row past it is its last row once more. What a row sees depends on its
//           own sequence only. On some drivers comparisons and exp lose NaN, so scores are looked at bit by bit, and one that is not
//           finite makes the sum of its row, and so its row, NaN.
// Limits    D a multiple of 4; workgroups of `lanes` invocations are one subgroup
// Twin      kernels/twins/attention_scores.ts, kernels/twins/softmax.ts, kernels/twins/attention_context.ts, one after the other

import type { KernelSource } from '../src/gpu/kernel.ts';
import { COMPONENTS, Sums, fetch, textureIn, textureOut, unrolled } from './subgroup.ts';
import type { Dialect } from './subgroup.ts';

/** Query rows of a tile. SwiftShader compiles eight rows four times as long as four, and a sentence is short. */
export const TILE_ROWS: Record<Dialect, number> = { vectors: 8, scalars: 4 };

export interface AttentionSubgroup {
  readonly dialect: Dialect;
  /** Lanes of a subgroup. */
  readonly lanes: number;
  /** D, the size of a head. */
  readonly headSize: number;
}

export function attentionSubgroup({ dialect, lanes, headSize }: AttentionSubgroup): KernelSource {
  const texels = headSize / 4; // of one head in one row
  const step = texels % 2 === 0 ? 2 : 1; // texels an iteration of the scores: what a loop carries is copied every time, so few long ones
  const held = Math.ceil(texels / lanes); // texels of a head's context that a lane computes
  const tileRows = TILE_ROWS[dialect];
  const scores = new Sums('s', tileRows, 1, dialect);
  const context = new Sums('o', tileRows, held, dialect);
  const rows = unrolled(tileRows, (m) => m);
  const laneRows = unrolled(Math.ceil(tileRows / lanes), (g) => g);
  const broadcast = (name: string, k: number, lane: number): string =>
    `subgroupBroadcast(${name}.${COMPONENTS[k]}, ${lane}u)`;

  const fetchQueries = unrolled(step, (t) =>
    laneRows
      .map((g) => `let q_${g}_${t} = ${fetch('query', `query_head + d + ${t}u`, `query_row${g}`, dialect)};`)
      .join(' '),
  );
  const fetchKeys = unrolled(step, (t) =>
    [
      ...unrolled(4, (i) => `let k_${i}_${t} = ${fetch('key', `key_head + d + ${t}u`, `key_row${i}`, dialect)};`),
      ...COMPONENTS.map(
        (part, k) => `let k${4 * t + k} = vec4f(${unrolled(4, (i) => `k_${i}_${t}.${part}`).join(', ')});`,
      ),
    ].join(' '),
  );
  const scoreProducts = scores.addProducts(
    4 * step,
    (m, k) => broadcast(`q_${Math.floor(m / lanes)}_${k >> 2}`, k & 3, m % lanes),
    (k) => `k${k}`,
  );
  const softmax = rows.map(
    (m) => `    let z${m} = select(vec4f(LOWEST), ${scores.value(m, 0)} * ${1 / Math.sqrt(headSize)}, valid);
    let highest${m} = max(max${m}, subgroupMax(max(max(z${m}.x, z${m}.y), max(z${m}.z, z${m}.w))));
    let shrink${m} = exp(max${m} - highest${m});
    max${m} = highest${m};
    let p${m} = select(vec4f(), exp(z${m} - highest${m}), valid);
    sum${m} = sum${m} * shrink${m} + (p${m}.x + p${m}.y + p${m}.z + p${m}.w) + poison(z${m});
    ${context.scale(m, `shrink${m}`)}`,
  );
  // Unrolled over the lanes that hold the weights: each hands out those of its four keys.
  const addValues = unrolled(lanes, (lane) => {
    const values = unrolled(4, (i) =>
      unrolled(held, (c) => `let v_${i}_${c} = ${fetch('value', `value_head + texel${c}`, `row${i}`, dialect)};`).join(
        ' ',
      ),
    );
    return `    {
    ${unrolled(4, (i) => `let row${i} = min(start + j + ${4 * lane + i}u, last);`).join(' ')}
    ${values.join('\n    ')}
${context.addProducts(
  4,
  (m, k) => broadcast(`p${m}`, k, lane),
  (k, c) => `v_${k}_${c}`,
)}
    }`;
  });
  const code = `enable subgroups;

struct Size {
  query: u32, // first texel of head 0 in each texture
  key: u32,
  value: u32,
}

const LOWEST = -3e38f;
const EXPONENT = 0x7f800000u;

@group(0) @binding(0) var<uniform> size: Size;
${textureIn(1, 'query', dialect)}
${textureIn(2, 'key', dialect)}
${textureIn(3, 'value', dialect)}
@group(0) @binding(4) var<storage, read> tiles: array<vec4u>;
${textureOut(5, 'context')}

// NaN where one of four scores is infinite or NaN, else 0.
fn poison(scores: vec4f) -> f32 {
  return bitcast<f32>(select(0u, 0x7fc00000u, any((bitcast<vec4u>(scores) & vec4u(EXPONENT)) == vec4u(EXPONENT))));
}

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = tiles[group.x];
  let first = tile.x; let start = tile.z; let length = tile.w;
  let last = start + length - 1u;
  let head = group.y * ${texels}u;
  let query_head = size.query + head; let key_head = size.key + head; let value_head = size.value + head;
  ${laneRows.map((g) => `let query_row${g} = min(first + ${g * lanes}u + lane, last);`).join(' ')}
  ${unrolled(held, (c) => `let texel${c} = ${(c + 1) * lanes > texels ? `min(${c * lanes}u + lane, ${texels - 1}u)` : `${c * lanes}u + lane`};`).join(' ')}
  ${rows.map((m) => `var max${m} = LOWEST; var sum${m} = 0f;`).join(' ')}
  ${context.declare()}
  for (var j = 0u; j < length; j += ${4 * lanes}u) {
    let own = j + 4u * lane;
    let valid = vec4u(own, own + 1u, own + 2u, own + 3u) < vec4u(length);
    ${unrolled(4, (i) => `let key_row${i} = min(start + own + ${i}u, last);`).join(' ')}
    ${scores.declare()}
    for (var d = 0u; d < ${texels}u; d += ${step}u) {
    ${fetchQueries.join('\n    ')}
    ${fetchKeys.join('\n    ')}
${scoreProducts}
    }
${softmax.join('\n')}
${addValues.join('\n')}
  }
${rows
  .map((m) => {
    const row = `min(first + ${m}u, last)`;
    const stores = unrolled(
      held,
      (c) => `textureStore(context, vec2u(head + texel${c}, ${row}), ${context.value(m, c)} * inverse${m});`,
    );
    return `  let inverse${m} = 1f / subgroupAdd(sum${m}); ${stores.join(' ')}`;
  })
  .join('\n')}
}
`;
  return { name: `attention_subgroup_${headSize}`, code };
}
