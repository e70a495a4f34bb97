import type { Gpu } from '../gpu/device.ts';
import type { Recording } from '../gpu/recording.ts';
import type { ElementType, Storage, Tensor } from '../gpu/tensor.ts';
import type { BertConfig } from './config.ts';
import type { Operations } from './operations.ts';

/** Where a rung wants the weights. */
export interface Placement {
  /** Matrices of the encoder's layers. */
  readonly matrices: Storage;
  /** Biases and the vectors of LayerNorm. */
  readonly vectors: Storage;
  /** Query, key and value of a layer as one matrix [3H, H]: each is then a part of it, see Tensor.part. */
  readonly stackedQkv: boolean;
}

/** The operations on a GPU. */
export interface GpuOperations extends Operations<Tensor> {
  /** The same numbers in a storage buffer, row-major: what analysis kernels read, and what is read back. */
  asBuffer(x: Tensor): Tensor;
}

/** Ways to make a large matrix product of which the adapter decides which is fastest. All give the same bits. */
export interface Tuning {
  /** Rows of x in the product that is timed. */
  readonly rows: number;
  /** Names of the ways; the first is the default. */
  readonly ways: readonly string[];
  /** Goes on in this way. */
  choose(way: string): void;
}

/**
 * A rung of the ladder for a whole forward pass: which kernels run, and where they want their weights. All rungs implement the
 * same operations, so forward.ts does not know which one runs.
 */
export interface Rung {
  /** As `--kernels` and reports name it. */
  readonly name: string;
  readonly placement: Placement;
  /** What is to be found out on the adapter; undefined where there is nothing to choose. */
  readonly tuning?: Tuning | undefined;
  /** Operations that write into `recording`. */
  operations(recording: Recording): GpuOperations;
}

/** Makes a rung for a model on a device, or says why it cannot run there. */
export interface RungFactory {
  readonly name: string;
  /** undefined where the rung can run; else one clause: what it needs and what is missing. */
  unfit(gpu: Gpu, config: BertConfig, element: ElementType): string | undefined;
  create(gpu: Gpu, config: BertConfig): Promise<Rung>;
}
