import type { ElementType } from '../src/gpu/tensor.ts';

// What the generators of the subgroup kernels share. They only unroll: the lane of a subgroupBroadcast must be a constant
// expression, which neither an override nor a loop variable is.

/**
 * How a driver wants the same kernel written.
 * - `vectors` (lavapipe): storage textures, whose fetch is a third of a sampled one's instructions there, and vec4 sums.
 * - `scalars` (SwiftShader): sampled textures, and a sum for each component, which its compiler keeps in fewer copies.
 */
export type Dialect = 'vectors' | 'scalars';

export const COMPONENTS = ['x', 'y', 'z', 'w'] as const;

/** `line(0)` … `line(count − 1)`. */
export function unrolled<T>(count: number, line: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => line(index));
}

/** The declaration of a texture that is read: float32 four a texel, or eight halves a texel as words. */
export function textureIn(binding: number, name: string, dialect: Dialect, element: ElementType = 'f32'): string {
  const words = element !== 'f32';
  const type =
    dialect === 'vectors'
      ? `texture_storage_2d<${words ? 'rgba32uint' : 'rgba32float'}, read>`
      : `texture_2d<${words ? 'u32' : 'f32'}>`;
  return `@group(0) @binding(${binding}) var ${name}: ${type};`;
}

/** The declaration of a texture of float32 that is written. */
export function textureOut(binding: number, name: string): string {
  return `@group(0) @binding(${binding}) var ${name}: texture_storage_2d<rgba32float, write>;`;
}

/** One texel: four numbers of float32, or eight halves. */
export function fetch(name: string, texel: string, row: string, dialect: Dialect): string {
  return `textureLoad(${name}, vec2u(${texel}, ${row})${dialect === 'vectors' ? '' : ', 0'})`;
}

/**
 * Sums of products that stay in registers: `rows` × `vectors` sums of four columns each, called s0_0 … , as the dialect keeps them.
 * The products of one block of k are summed before they meet the running sum: the rounding error of a plain chain of 3072
 * additions would be twice as large, and the order of the additions of one sum depends on nothing but k.
 */
export class Sums {
  readonly #name: string;
  readonly #rows: number;
  readonly #vectors: number;
  readonly #dialect: Dialect;

  constructor(name: string, rows: number, vectors: number, dialect: Dialect) {
    this.#name = name;
    this.#rows = rows;
    this.#vectors = vectors;
    this.#dialect = dialect;
  }

  /** All sums, declared as 0. */
  declare(): string {
    return unrolled(this.#rows, (m) =>
      unrolled(this.#vectors, (c) =>
        this.#parts(m, c)
          .map((part) => `var ${part} = ${this.#zero};`)
          .join(' '),
      ).join(' '),
    ).join('\n  ');
  }

  /** The four sums of row m, columns 4c … 4c + 3 as a vec4f. */
  value(m: number, c: number): string {
    const parts = this.#parts(m, c);
    return parts.length === 1 ? (parts[0] as string) : `vec4f(${parts.join(', ')})`;
  }

  /** Multiplies the sums of row m by a scalar. */
  scale(m: number, factor: string): string {
    return unrolled(this.#vectors, (c) =>
      this.#parts(m, c)
        .map((part) => `${part} *= ${factor};`)
        .join(' '),
    ).join(' ');
  }

  /** sum[m][c] += Σ_k x(m, k) · w(k, c) over one block of k: x a scalar (a broadcast), w the name of a vec4f. */
  addProducts(block: number, x: (m: number, k: number) => string, w: (k: number, c: number) => string): string {
    const scalars = (m: number): string => unrolled(block, (k) => `let x${m}_${k} = ${x(m, k)};`).join(' ');
    const sum = (m: number, c: number, part: string): string =>
      unrolled(block, (k) => `x${m}_${k} * ${w(k, c)}${part}`).join(' + ');
    const rows = unrolled(this.#rows, (m) => m);
    if (this.#dialect === 'vectors') {
      // Row by row: the row's scalars stay in registers while the weights pass by.
      return rows
        .map(
          (m) =>
            `    ${scalars(m)}\n    ${unrolled(this.#vectors, (c) => `${this.value(m, c)} += ${sum(m, c, '')};`).join(' ')}`,
        )
        .join('\n');
    }
    // Column by column: a column's weights stay in registers while the rows pass by.
    const columns = unrolled(this.#vectors, (c) =>
      COMPONENTS.map((component, q) =>
        rows.map((m) => `    ${this.#parts(m, c)[q]} += ${sum(m, c, `.${component}`)};`).join('\n'),
      ).join('\n'),
    );
    return `    ${rows.map(scalars).join('\n    ')}\n${columns.join('\n')}`;
  }

  get #zero(): string {
    return this.#dialect === 'vectors' ? 'vec4f()' : '0f';
  }

  #parts(m: number, c: number): string[] {
    const name = `${this.#name}${m}_${c}`;
    return this.#dialect === 'vectors' ? [name] : COMPONENTS.map((component) => `${name}${component}`);
  }
}
