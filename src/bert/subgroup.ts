import { TILE_ROWS, attentionSubgroup } from '../../kernels/attention_subgroup.ts';
import { layerNormTexture } from '../../kernels/layer_norm_texture.ts';
import { columnsOf, linearSubgroup } from '../../kernels/linear_subgroup.ts';
import type { LinearSubgroup } from '../../kernels/linear_subgroup.ts';
import type { Dialect } from '../../kernels/subgroup.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Kernel, KernelSource } from '../gpu/kernel.ts';
import { loadKernelSource } from '../gpu/sources.ts';
import type { ElementType, Tensor } from '../gpu/tensor.ts';
import type { Activation, BertConfig } from './config.ts';
import { FusedOperations } from './fused.ts';
import type { Call, Columns, FusedKernels, LinearTiles } from './fused.ts';
import { ELEMENT_CODE, loadPlainSources } from './plain.ts';
import type { PlainSources } from './plain.ts';
import type { Rung, RungFactory, Tuning } from './rung.ts';
import { tilesFor } from './tiles.ts';
import { WrittenKernels } from './written.ts';

const NAME = 'subgroup';

/**
 * The rung for adapters that compute on a processor: every tensor in a texture, numbers handed from lane to lane by subgroup
 * broadcasts, query, key and value in one product, attention in one dispatch. kernels/README.md says what each choice brings.
 */
export const subgroupRung: RungFactory = {
  name: NAME,

  unfit(gpu: Gpu, config: BertConfig, element: ElementType): string | undefined {
    const lanes = gpu.subgroupSize;
    if (lanes !== 4 && lanes !== 8) {
      return `it needs subgroups of always 4 or always 8 lanes, as software adapters have them, and ${gpu.description.name} has ${lanes === 0 ? 'none of one size' : `${lanes}`}`;
    }
    const { hiddenSize, intermediateSize, headSize } = config;
    const texel = element === 'f32' ? 4 : 8;
    for (const [what, size, multiple] of [
      ['hidden_size', hiddenSize, 8],
      ['intermediate_size', intermediateSize, 8],
      ['the size of a head', headSize, 4],
    ] as const) {
      if (size % multiple !== 0) return `it needs ${what} to be a multiple of ${multiple}, and it is ${size}`;
    }
    const { maxTextureDimension2D } = gpu.device.limits;
    const largest = Math.max(3 * hiddenSize, intermediateSize);
    if (largest > maxTextureDimension2D || largest / texel > maxTextureDimension2D) {
      return `it needs maxTextureDimension2D ${largest}, and ${gpu.description.name} offers ${maxTextureDimension2D}`;
    }
    return undefined;
  },

  create: (gpu: Gpu, config: BertConfig): Promise<Rung> =>
    createSubgroup(gpu, config, gpu.description.kind === 'swiftshader' ? 'scalars' : 'vectors'),
};

/** The rung in the dialect of a driver; the other's runs as well, only slower. */
export async function createSubgroup(gpu: Gpu, config: BertConfig, dialect: Dialect): Promise<Rung> {
  const names = ['embeddings_texture', 'l2_norm_texture', 'texture_to_buffer'];
  const [plain, embeddings, l2Norm, textureToBuffer] = await Promise.all([
    loadPlainSources(config),
    ...names.map(loadKernelSource),
  ]);
  const sources = { plain, embeddings, l2Norm, textureToBuffer } as Sources;
  const kernels = new SubgroupKernels(gpu, config, dialect, sources);
  return {
    name: NAME,
    placement: {
      // SwiftShader spends more on unpacking a half than on its product, but its sampler widens one at little cost.
      matrices: dialect === 'scalars' ? 'sampled' : 'panels',
      vectors: 'texture',
      stackedQkv: true,
    },
    tuning: dialect === 'vectors' ? tuningOf(kernels) : undefined,
    operations: (recording) => new FusedOperations(gpu, recording, config, kernels, plain),
  };
}

function tuningOf(kernels: SubgroupKernels): Tuning {
  return {
    rows: 256,
    ways: ['16 rows', '32 rows'],
    choose(way) {
      kernels.tiles = way === '32 rows' ? [TALL, ...TILES.vectors] : TILES.vectors;
    },
  };
}

interface Sources {
  readonly plain: PlainSources;
  readonly embeddings: KernelSource;
  readonly l2Norm: KernelSource;
  readonly textureToBuffer: KernelSource;
}

type Tile = Pick<LinearSubgroup, 'rows' | 'vectors'>;

/**
 * Tiles of a matrix product, tallest first, as they were measured. Where rows abound a tall tile fetches and widens each weight for
 * more of them; the few rows of a sentence are computed by the tile with the fewest to spare. A row's result does not depend on it.
 */
const TILES: Record<Dialect, readonly Tile[]> = {
  vectors: [
    { rows: 16, vectors: 2 },
    { rows: 12, vectors: 2 },
  ],
  scalars: [
    { rows: 16, vectors: 1 },
    { rows: 12, vectors: 1 },
  ],
};

/** Faster than 16 rows where rows abound, on some processors. */
const TALL: Tile = { rows: 32, vectors: 1 };

/** The kernels of the rung on one device. */
export class SubgroupKernels implements FusedKernels {
  readonly storage = 'texture';
  readonly queryRows: number;
  /** Tiles of a matrix product, tallest first. */
  tiles: readonly Tile[];
  readonly #gpu: Gpu;
  readonly #config: BertConfig;
  readonly #dialect: Dialect;
  readonly #sources: Sources;
  readonly #written: WrittenKernels;

  constructor(gpu: Gpu, config: BertConfig, dialect: Dialect, sources: Sources) {
    this.#gpu = gpu;
    this.#config = config;
    this.#dialect = dialect;
    this.queryRows = TILE_ROWS[dialect];
    this.tiles = TILES[dialect];
    this.#sources = sources;
    this.#written = new WrittenKernels(gpu);
  }

  embeddings(word: ElementType): { kernel: Kernel; columns: number } {
    return { kernel: this.#gpu.kernel(this.#sources.embeddings, { ELEMENT: ELEMENT_CODE[word] }), columns: 256 };
  }

  linear(S: number, W: Tensor, activation: Activation | 'none'): readonly LinearTiles[] {
    const element = W.storage === 'sampled' ? 'f32' : W.element;
    const block = this.#dialect === 'vectors' ? 8 : 4;
    const { tiles } = this;
    const covering = tilesFor(
      S,
      tiles.map(({ rows }) => rows),
    );
    return covering.map(([rows, count]) => {
      const tile = tiles.find((each) => each.rows === rows) as Tile;
      const options = { ...this.#common, ...tile, block, element, panels: W.storage === 'panels', activation };
      const kernel = this.#written.get(`linear ${rows} ${element} ${W.storage} ${activation}`, () =>
        linearSubgroup(options),
      );
      return { kernel, rows, columns: columnsOf(options), count };
    });
  }

  attention(query: Columns, key: Columns, value: Columns): Call {
    const { headSize } = this.#config;
    const kernel = this.#written.get('attention', () => attentionSubgroup({ ...this.#common, headSize }));
    return { kernel, numbers: { query: query.first / 4, key: key.first / 4, value: value.first / 4 } };
  }

  layerNorm(residual: boolean): Kernel {
    const { hiddenSize } = this.#config;
    return this.#written.get(`layer norm ${residual}`, () =>
      layerNormTexture({ ...this.#common, hiddenSize, residual }),
    );
  }

  l2Norm(): Kernel {
    return this.#gpu.kernel(this.#sources.l2Norm, { LANES: this.#gpu.subgroupSize });
  }

  copyColumns({ first }: Columns): Call {
    return { kernel: this.#gpu.kernel(this.#sources.textureToBuffer), numbers: { first } };
  }

  get #common(): { dialect: Dialect; lanes: number } {
    return { dialect: this.#dialect, lanes: this.#gpu.subgroupSize };
  }
}
