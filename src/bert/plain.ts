import type { Kernel } from '../gpu/kernel.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Recording } from '../gpu/recording.ts';
import { loadKernelSource } from '../gpu/sources.ts';
import type { KernelSource } from '../gpu/kernel.ts';
import type { ElementType, Tensor } from '../gpu/tensor.ts';
import type { Batch } from './batch.ts';
import type { BertConfig } from './config.ts';
import type { BertWeights, Dense, LayerNorm } from './operations.ts';
import type { GpuOperations } from './rung.ts';

/** The `ELEMENT` constant of kernels that read weights as they lie in the file. */
export const ELEMENT_CODE: Record<ElementType, number> = { f32: 0, f16: 1, bf16: 2, u32: 0 };

const LANES = 64; // invocations of a workgroup of every plain kernel: @workgroup_size(64)
const groups = (extent: number): number => Math.ceil(extent / LANES);

/** The texts of the kernels that one forward pass on the plain rung is made of. */
export interface PlainSources {
  readonly embeddings: KernelSource;
  readonly layerNorm: KernelSource;
  readonly linear: KernelSource;
  readonly linearTiled: KernelSource;
  readonly attentionScores: KernelSource;
  readonly softmax: KernelSource;
  readonly attentionContext: KernelSource;
  readonly activation: KernelSource;
  readonly add: KernelSource;
  readonly l2Norm: KernelSource;
}

/** Reads the kernels from kernels/, the activation by the model's `hidden_act`. */
export async function loadPlainSources(config: BertConfig): Promise<PlainSources> {
  const names = {
    embeddings: 'embeddings',
    layerNorm: 'layer_norm',
    linear: 'linear',
    linearTiled: 'linear_tiled',
    attentionScores: 'attention_scores',
    softmax: 'softmax',
    attentionContext: 'attention_context',
    activation: config.hiddenAct,
    add: 'add',
    l2Norm: 'l2_norm',
  };
  const entries = Object.entries(names).map(async ([key, name]) => [key, await loadKernelSource(name)] as const);
  return Object.fromEntries(await Promise.all(entries)) as unknown as PlainSources;
}

/**
 * One kernel a line of forward.ts, all tensors in storage buffers. `tiled` takes the matrix product that computes 4 × 4 outputs
 * an invocation where the shapes allow it.
 */
export class PlainOperations implements GpuOperations {
  readonly #gpu: Gpu;
  readonly #recording: Recording;
  readonly #config: BertConfig;
  readonly #sources: PlainSources;
  readonly #tiled: boolean;
  #rows: { batch: Batch; tensor: Tensor } | undefined;

  constructor(gpu: Gpu, recording: Recording, config: BertConfig, sources: PlainSources, tiled: boolean) {
    this.#gpu = gpu;
    this.#recording = recording;
    this.#config = config;
    this.#sources = sources;
    this.#tiled = tiled;
  }

  embeddings(batch: Batch, { word, position, tokenType }: BertWeights<Tensor>['embeddings']): Tensor {
    const { hiddenSize: H } = this.#config;
    const y = this.#recording.tensor('embeddings', [batch.rows, H]);
    const kernel = this.#kernel(this.#sources.embeddings, { ELEMENT: ELEMENT_CODE[word.element] });
    const operands = { rows: this.#table(batch), word, position, token_type: tokenType, y };
    this.#recording.dispatch(kernel, operands, { S: batch.rows, H }, [groups(H), batch.rows]);
    return y;
  }

  linear(x: Tensor, { weight: W, bias: b }: Dense<Tensor>): Tensor {
    const [N = 0, K = 0] = W.shape;
    const S = x.rows;
    const y = this.#recording.tensor(W.label, [S, N]);
    const ELEMENT = ELEMENT_CODE[W.element];
    if (this.#tiled && K % 4 === 0) {
      const kernel = this.#kernel(this.#sources.linearTiled, { ELEMENT });
      this.#recording.dispatch(kernel, { x, W, b, y }, { S, N, K }, [Math.ceil(N / 32), Math.ceil(S / 32)]);
    } else {
      const kernel = this.#kernel(this.#sources.linear, { ELEMENT });
      this.#recording.dispatch(kernel, { x, W, b, y }, { S, N, K }, [groups(N), S]);
    }
    return y;
  }

  attentionScores(query: Tensor, key: Tensor, batch: Batch): Tensor {
    const { hiddenSize: H, numAttentionHeads: A, headSize: D } = this.#config;
    const { rows: S, longest } = batch;
    const scores = this.#recording.tensor('scores', [A, S, longest]);
    const kernel = this.#kernel(this.#sources.attentionScores);
    this.#recording.dispatch(kernel, { query, key, rows: this.#table(batch), scores }, { S, H, A, D, longest }, [
      groups(longest),
      S,
      A,
    ]);
    return scores;
  }

  softmax(scores: Tensor, batch: Batch): Tensor {
    const A = this.#config.numAttentionHeads;
    const { rows: S, longest } = batch;
    const probabilities = this.#recording.tensor('probabilities', [A, S, longest]);
    const kernel = this.#kernel(this.#sources.softmax);
    this.#recording.dispatch(kernel, { scores, rows: this.#table(batch), probabilities }, { S, A, longest }, [
      groups(S),
      A,
    ]);
    return probabilities;
  }

  attentionContext(probabilities: Tensor, value: Tensor, batch: Batch): Tensor {
    const { hiddenSize: H, numAttentionHeads: A, headSize: D } = this.#config;
    const { rows: S, longest } = batch;
    const context = this.#recording.tensor('context', [S, H]);
    const kernel = this.#kernel(this.#sources.attentionContext);
    this.#recording.dispatch(
      kernel,
      { probabilities, value, rows: this.#table(batch), context },
      { S, H, A, D, longest },
      [groups(H), S],
    );
    return context;
  }

  activation(x: Tensor): Tensor {
    const S = x.rows;
    const N = x.columns;
    const y = this.#recording.tensor('activation', [S, N]);
    this.#recording.dispatch(this.#kernel(this.#sources.activation), { x, y }, { S, N }, [groups(N), S]);
    return y;
  }

  add(a: Tensor, b: Tensor): Tensor {
    const S = a.rows;
    const N = a.columns;
    const y = this.#recording.tensor('sum', [S, N]);
    this.#recording.dispatch(this.#kernel(this.#sources.add), { a, b, y }, { S, N }, [groups(N), S]);
    return y;
  }

  layerNorm(x: Tensor, { weight: gamma, bias: beta }: LayerNorm<Tensor>): Tensor {
    const S = x.rows;
    const H = x.columns;
    const y = this.#recording.tensor('LayerNorm', [S, H]);
    const numbers = { S, H, epsilon: this.#config.layerNormEps };
    this.#recording.dispatch(this.#kernel(this.#sources.layerNorm), { x, gamma, beta, y }, numbers, [groups(S)]);
    return y;
  }

  l2Norm(x: Tensor): Tensor {
    const S = x.rows;
    const y = this.#recording.tensor('norm', [S]);
    this.#recording.dispatch(this.#kernel(this.#sources.l2Norm), { x, y }, { S, H: x.columns }, [groups(S)]);
    return y;
  }

  asBuffer(x: Tensor): Tensor {
    return x;
  }

  #kernel(source: KernelSource, constants?: Record<string, number>): Kernel {
    return this.#gpu.kernel(source, constants);
  }

  /** The batch's table on the GPU, uploaded once a recording. */
  #table(batch: Batch): Tensor {
    if (this.#rows?.batch !== batch) {
      this.#rows = { batch, tensor: this.#recording.upload('rows', [batch.rows, 4], batch.table) };
    }
    return this.#rows.tensor;
  }
}
