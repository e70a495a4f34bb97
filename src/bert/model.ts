import { openCheckpoint } from '../checkpoint/checkpoint.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { WeightDtype } from '../checkpoint/dtypes.ts';
import type { ModelFolder } from '../checkpoint/source.ts';
import {
  CompileError,
  DeviceLostError,
  GpuError,
  ModelError,
  NoGpuError,
  NumericError,
  OutOfMemoryError,
  UsageError,
} from '../errors.ts';
import { Gpu } from '../gpu/device.ts';
import type { GpuOptions } from '../gpu/device.ts';
import { Recording } from '../gpu/recording.ts';
import type { ElementType, Tensor } from '../gpu/tensor.ts';
import { pack } from './batch.ts';
import type { BertConfig } from './config.ts';
import { readConfig } from './config.ts';
import { checkWeightsFinite } from './finite.ts';
import { forward } from './forward.ts';
import type { BertWeights } from './operations.ts';
import { outlineWeights } from './outline.ts';
import type { GpuOperations, Rung, RungFactory } from './rung.ts';
import { candidates } from './rungs.ts';
import { checkArithmetic } from './trust.ts';
import { tune } from './tuning.ts';
import { elementOf, loadWeights, weightDtype } from './weights.ts';

export interface ModelOptions extends GpuOptions {
  /** Rung of the kernel ladder: `auto`, `plain`, or another by name. */
  kernels?: string;
  /** Hold the adapter's arithmetic against float64 where it has not passed before. Default on. */
  selfCheck?: boolean;
  /** Encoder layers to load; default 8. Later ones are neither opened nor read. */
  layers?: number;
}

/** The model on one device: what a piece of work records with. It does not outlive the call it is given to. */
export interface Session {
  readonly gpu: Gpu;
  readonly rung: Rung;
  /** The rung that runs, and the slower ones to fall back to. */
  readonly rungs: readonly RungFactory[];
  weights: BertWeights<Tensor>;
  /** A new recording and the operations that write into it. */
  record(): { recording: Recording; ops: GpuOperations };
}

/** BERT's encoder on a GPU. Calls queue; a device that is lost is replaced once, and the work that was under way is done again. */
export class BertModel implements AsyncDisposable {
  readonly config: BertConfig;
  readonly dtype: WeightDtype;
  readonly layers: number;
  readonly #folder: string | ModelFolder;
  readonly #options: ModelOptions;
  #session: Session;
  #queue: Promise<unknown> = Promise.resolve();
  #disposed = false;

  private constructor(
    folder: string | ModelFolder,
    config: BertConfig,
    dtype: WeightDtype,
    layers: number,
    options: ModelOptions,
    session: Session,
  ) {
    this.#folder = folder;
    this.config = config;
    this.dtype = dtype;
    this.layers = layers;
    this.#options = options;
    this.#session = session;
  }

  /**
   * Opens a model folder as Hugging Face lays it out and brings its first layers onto the GPU.
   * @throws ModelError, NoGpuError, GpuError, UsageError
   */
  static async open(folder: string | ModelFolder, options: ModelOptions = {}): Promise<BertModel> {
    const config = await readConfig(folder);
    const layers = options.layers ?? 8;
    checkLayer(layers, config);
    await using checkpoint = await openCheckpoint(folder);
    const dtype = await weightDtype(checkpoint, config);
    const open = (): Promise<Session> => openSession(checkpoint, config, layers, options);
    const session = await open().catch(async (error: unknown) => {
      if (!(error instanceof DeviceLostError)) throw error;
      warnOfLoss(error, options);
      return open().catch(refuseSecondLoss);
    });
    return new BertModel(folder, config, dtype, layers, options, session);
  }

  get gpu(): Gpu {
    return this.#session.gpu;
  }

  get rung(): Rung {
    return this.#session.rung;
  }

  /**
   * Runs `work` when all earlier work is done. Where the device is lost, a new one is opened, the weights go up again, and `work`
   * is called once more: it must depend on its inputs only. So it is, on the next rung, where a kernel does not compile.
   * @throws GpuError where the second device is lost as well; whatever `work` throws
   */
  async run<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const turn = this.#queue.then(() => this.#attempt(work));
    this.#queue = turn.catch(() => {});
    return turn;
  }

  async #attempt<T>(work: (session: Session) => Promise<T>): Promise<T> {
    if (this.#disposed) throw new UsageError('the model was disposed: load it again');
    try {
      return await work(this.#session);
    } catch (error) {
      if (this.#disposed) throw error;
      if (error instanceof CompileError) return this.#descend(work, error);
      if (!(error instanceof DeviceLostError)) throw error;
      warnOfLoss(error, this.#options);
      return await this.#reopen(this.#session.rungs)
        .then(() => work(this.#session))
        .catch(refuseSecondLoss);
    }
  }

  /** Goes on with the next rung: batches need kernels that the warm-up did not. */
  async #descend<T>(work: (session: Session) => Promise<T>, error: CompileError): Promise<T> {
    const [, ...slower] = this.#session.rungs;
    if (slower[0] === undefined) throw error;
    warnOfRung(error, slower[0], this.#options);
    await this.#reopen(slower);
    return this.#attempt(work);
  }

  async #reopen(rungs: readonly RungFactory[]): Promise<void> {
    await this.#session.gpu[Symbol.asyncDispose]();
    await using checkpoint = await openCheckpoint(this.#folder);
    this.#session = await openSession(checkpoint, this.config, this.layers, this.#options, rungs);
    // Disposed meanwhile: nobody else would dispose this one.
    if (this.#disposed) await this.#session.gpu[Symbol.asyncDispose]();
  }

  /**
   * Looks for NaN and infinity in the weights: what a TAS that is not finite may come from.
   * @throws ModelError naming the tensor
   */
  async checkWeights(): Promise<void> {
    await this.run(({ gpu, weights }) => checkWeightsFinite(gpu, weights));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#session.gpu[Symbol.asyncDispose]();
    await this.#queue;
  }
}

/** @throws UsageError where that is no layer, ModelError where the model has none such */
export function checkLayer(layer: number, config: BertConfig): void {
  const { name, numHiddenLayers: L } = config;
  if (!Number.isInteger(layer) || layer < 0) throw new UsageError(`layer ${layer}: a whole number from 0`);
  if (layer > L) {
    throw new ModelError(`layer ${layer}: the model ${name} has ${L} encoder layers`, {
      hint: `A layer is 0, the embeddings, to ${L}: --layer ${L} is the last.`,
    });
  }
}

function warnOfLoss(error: DeviceLostError, { warn }: ModelOptions): void {
  warn?.(`${error.message}; starting again on a new device`);
}

function warnOfRung(error: CompileError | NumericError, next: RungFactory, { warn }: ModelOptions): void {
  warn?.(`${error.message}; using the ${next.name} kernels`);
}

/** Fails where the second device is lost as well; any other failure stays what it is. */
function refuseSecondLoss(cause: unknown): never {
  if (!(cause instanceof DeviceLostError)) throw cause;
  throw new GpuError(`the GPU was lost twice: ${cause.message}`, {
    hint: 'Try another adapter with --adapter (`layer8 doctor` lists them).',
    cause,
  });
}

async function openSession(
  checkpoint: Checkpoint,
  config: BertConfig,
  layers: number,
  options: ModelOptions,
  from?: readonly RungFactory[],
): Promise<Session> {
  const gpu = await Gpu.open(options);
  try {
    const dtype = await weightDtype(checkpoint, config);
    const element = elementOf(dtype);
    // Kernels that are named run as they are by default: whoever names them compares or reads.
    const tuned = (options.kernels ?? 'auto') === 'auto';
    const rungs = from ?? candidates(options.kernels ?? 'auto', gpu, config, element);
    for (const [index, factory] of rungs.entries()) {
      const session = sessionOn(gpu, await factory.create(gpu, config), rungs.slice(index));
      try {
        startCompiling(session, config, element);
        if (options.selfCheck !== false) await checkArithmetic(gpu, factory, config, dtype);
        await bringUp(session, checkpoint, config, layers);
        if (tuned) await tune(gpu, session.rung, config, session.weights);
        return session;
      } catch (error) {
        const next = rungs[index + 1];
        const otherMayDo = error instanceof CompileError || error instanceof NumericError;
        if (!otherMayDo || next === undefined) throw error;
        warnOfRung(error, next, options);
        gpu.pool.destroy();
      }
    }
    throw new GpuError(`no kernels of the ladder can run on ${gpu.description.name}`);
  } catch (error) {
    await gpu[Symbol.asyncDispose]();
    if (!(error instanceof OutOfMemoryError)) throw error;
    throw new NoGpuError(`the model does not fit: ${error.message}`, {
      hint: 'Halt at an earlier layer with --layer, or choose another adapter with --adapter.',
      cause: error,
    });
  }
}

function sessionOn(gpu: Gpu, rung: Rung, rungs: readonly RungFactory[]): Session {
  return {
    gpu,
    rung,
    rungs,
    weights: { embeddings: undefined as never, layers: [] },
    record() {
      const recording = new Recording(gpu);
      return { recording, ops: rung.operations(recording) };
    },
  };
}

/** One token through one layer, written down. */
function writeDown(session: Session, weights: BertWeights<Tensor>): Recording {
  const { recording, ops } = session.record();
  ops.l2Norm(forward(ops, weights, pack([{ ids: [0] }]), 1));
  return recording;
}

/** Kernels start to compile before anything is read: a forward pass is written down with weights that are outlines. */
function startCompiling(session: Session, config: BertConfig, element: ElementType): void {
  writeDown(session, outlineWeights(config, element, session.rung.placement));
}

/**
 * Brings the weights up. A driver compiles a pipeline to its end only when it first runs, whatever was asked of it before, so a
 * forward pass of one token runs as soon as the weights of one layer are there, beside the reading of the others.
 */
async function bringUp(session: Session, checkpoint: Checkpoint, config: BertConfig, layers: number): Promise<void> {
  const { gpu, rung } = session;
  let warm: Promise<unknown> = Promise.resolve();
  session.weights = await loadWeights(gpu, checkpoint, config, layers, rung.placement, (first) => {
    warm = writeDown(session, first).submit([]);
    warm.catch(() => {});
  });
  await warm;
  // With GELU a number that is not finite, anywhere in a layer's matrices, makes every TAS so, and whoever measures looks for the
  // reason then. ReLU can hide −∞, so it is looked for here.
  if (config.hiddenAct === 'relu') await checkWeightsFinite(gpu, session.weights);
}
