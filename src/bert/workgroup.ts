import { attentionInvocations, attentionStorage, attentionWorkgroup } from '../../kernels/attention_workgroup.ts';
import type { AttentionTile } from '../../kernels/attention_workgroup.ts';
import { l2NormWorkgroup } from '../../kernels/l2_norm_workgroup.ts';
import { layerNormWorkgroup } from '../../kernels/layer_norm_workgroup.ts';
import { linearInvocations, linearStorage, linearWorkgroup } from '../../kernels/linear_workgroup.ts';
import type { LinearTile } from '../../kernels/linear_workgroup.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Kernel, KernelSource } from '../gpu/kernel.ts';
import { loadKernelSource } from '../gpu/sources.ts';
import type { ElementType, Tensor } from '../gpu/tensor.ts';
import type { Activation, BertConfig } from './config.ts';
import { FusedOperations } from './fused.ts';
import type { Call, Columns, FusedKernels, LinearTiles } from './fused.ts';
import { ELEMENT_CODE, loadPlainSources } from './plain.ts';
import type { Rung, RungFactory, Tuning } from './rung.ts';
import { WrittenKernels } from './written.ts';

const NAME = 'workgroup';

/** Tiles of a matrix product, largest first. A larger one reads each number less often; a smaller one makes more workgroups. */
export const LINEAR_TILES: readonly [LinearTile, ...LinearTile[]] = [
  { rows: 64, columns: 64, rowsEach: 4 },
  { rows: 16, columns: 32, rowsEach: 2 },
];
const SMALLEST = LINEAR_TILES.at(-1) as LinearTile;

/** The largest, and others that a GPU may prefer in its place, by what tuning calls them: more numbers in registers and fewer invocations. */
export const LARGE_TILES: Readonly<Record<string, LinearTile>> = {
  '64 × 64, 4 rows each': LINEAR_TILES[0],
  '64 × 64, 8 rows each': { rows: 64, columns: 64, rowsEach: 8 },
  '128 × 64, 8 rows each': { rows: 128, columns: 64, rowsEach: 8 },
};

/**
 * Workgroups below which a larger tile is not worth it: GPUs have 8 to 132 compute units, WebGPU does not say how many, and one that
 * has no workgroup is idle. A guess until it is measured.
 */
const ENOUGH_WORKGROUPS = 64;

/** Tiles of attention, largest first; the first that fits the shared memory is taken. */
export const ATTENTION_TILES: readonly AttentionTile[] = [
  { queries: 16, keys: 32 },
  { queries: 16, keys: 16 },
  { queries: 8, keys: 16 },
];

/** The largest tile that still gives the whole GPU work. */
export function linearTile(S: number, N: number, tiles: readonly LinearTile[] = LINEAR_TILES): LinearTile {
  const workgroups = ({ rows, columns }: LinearTile): number => Math.ceil(S / rows) * Math.ceil(N / columns);
  return tiles.find((tile) => workgroups(tile) >= ENOUGH_WORKGROUPS) ?? SMALLEST;
}

/** The tile of attention for heads of this size where a workgroup has so many bytes of shared memory; undefined where none fits. */
export function attentionTile(headSize: number, bytes: number): AttentionTile | undefined {
  return ATTENTION_TILES.find((tile) => attentionStorage(tile, headSize) <= bytes);
}

/**
 * The rung for a real GPU: all tensors in storage buffers, tiles in shared memory, numbers in registers, query, key and value in one
 * product, attention in one dispatch. It runs on software adapters too, where shared memory and barriers are slow, to be verified.
 */
export const workgroupRung: RungFactory = {
  name: NAME,

  unfit({ device, description }: Gpu, { hiddenSize, intermediateSize, headSize }: BertConfig): string | undefined {
    for (const [what, size] of [
      ['hidden_size', hiddenSize],
      ['intermediate_size', intermediateSize],
      ['the size of a head', headSize],
    ] as const) {
      if (size % 4 !== 0) return `it needs ${what} to be a multiple of 4, and it is ${size}`;
    }
    const { maxComputeWorkgroupStorageSize: bytes, maxComputeInvocationsPerWorkgroup: invocations } = device.limits;
    const leastAttention = Math.min(...ATTENTION_TILES.map((tile) => attentionStorage(tile, headSize)));
    const needed = Math.max(leastAttention, ...LINEAR_TILES.map(linearStorage));
    if (bytes < needed) {
      return `it needs maxComputeWorkgroupStorageSize ${needed}, and ${description.name} offers ${bytes}`;
    }
    const most = Math.max(...LINEAR_TILES.map(linearInvocations), ...ATTENTION_TILES.map(attentionInvocations));
    if (invocations < most) {
      return `it needs maxComputeInvocationsPerWorkgroup ${most}, and ${description.name} offers ${invocations}`;
    }
    return undefined;
  },

  async create(gpu: Gpu, config: BertConfig): Promise<Rung> {
    const [plain, copyColumns] = await Promise.all([loadPlainSources(config), loadKernelSource('copy_columns')]);
    const kernels = new WorkgroupKernels(gpu, config, plain.embeddings, copyColumns);
    return {
      name: NAME,
      placement: { matrices: 'buffer', vectors: 'buffer', stackedQkv: true },
      tuning: tuningOf(kernels, gpu),
      operations: (recording) => new FusedOperations(gpu, recording, config, kernels, plain),
    };
  },
};

function tuningOf(kernels: WorkgroupKernels, { device: { limits } }: Gpu): Tuning {
  const fitting = Object.entries(LARGE_TILES).filter(
    ([, tile]) =>
      linearStorage(tile) <= limits.maxComputeWorkgroupStorageSize &&
      linearInvocations(tile) <= limits.maxComputeInvocationsPerWorkgroup,
  );
  return {
    rows: 1024,
    ways: fitting.map(([name]) => name),
    choose(way) {
      kernels.tiles = [LARGE_TILES[way] as LinearTile, SMALLEST];
    },
  };
}

/** The kernels of the rung on one device. */
class WorkgroupKernels implements FusedKernels {
  readonly storage = 'buffer';
  /** Tiles of a matrix product, largest first. */
  tiles: readonly LinearTile[] = LINEAR_TILES;
  readonly #gpu: Gpu;
  readonly #config: BertConfig;
  readonly #embeddings: KernelSource;
  readonly #copyColumns: KernelSource;
  readonly #attentionTile: AttentionTile;
  readonly #written: WrittenKernels;

  constructor(gpu: Gpu, config: BertConfig, embeddings: KernelSource, copyColumns: KernelSource) {
    this.#gpu = gpu;
    this.#config = config;
    this.#embeddings = embeddings;
    this.#copyColumns = copyColumns;
    this.#written = new WrittenKernels(gpu);
    const { maxComputeWorkgroupStorageSize } = gpu.device.limits;
    this.#attentionTile = attentionTile(config.headSize, maxComputeWorkgroupStorageSize) as AttentionTile;
  }

  get queryRows(): number {
    return this.#attentionTile.queries;
  }

  embeddings(word: ElementType): { kernel: Kernel; columns: number } {
    return { kernel: this.#gpu.kernel(this.#embeddings, { ELEMENT: ELEMENT_CODE[word] }), columns: 64 };
  }

  linear(S: number, W: Tensor, activation: Activation | 'none'): readonly LinearTiles[] {
    const tile = linearTile(S, W.rows, this.tiles);
    const options = { tile, element: W.element, activation };
    const kernel = this.#written.get(`linear ${JSON.stringify(options)}`, () => linearWorkgroup(options));
    return [{ kernel, rows: tile.rows, columns: tile.columns, count: Math.ceil(S / tile.rows) }];
  }

  attention(query: Columns, key: Columns, value: Columns): Call {
    const { headSize, hiddenSize: H } = this.#config;
    return {
      kernel: this.#written.get('attention', () => attentionWorkgroup(this.#attentionTile, headSize)),
      numbers: {
        query: query.first / 4,
        key: key.first / 4,
        value: value.first / 4,
        stride: query.of.columns / 4,
        H,
      },
    };
  }

  layerNorm(residual: boolean): Kernel {
    const { hiddenSize } = this.#config;
    return this.#written.get(`layer norm ${residual}`, () => layerNormWorkgroup(hiddenSize, residual));
  }

  l2Norm(): Kernel {
    return this.#written.get('norm', l2NormWorkgroup);
  }

  copyColumns({ of, first }: Columns): Call {
    return { kernel: this.#gpu.kernel(this.#copyColumns), numbers: { first, width: of.columns } };
  }
}
