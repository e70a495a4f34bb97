import { analyzeStream } from './analysis/analyze.ts';
import type { Inputs, StreamOptions } from './analysis/analyze.ts';
import { completeOptions } from './analysis/options.ts';
import { checkSequence } from './analysis/prepare.ts';
import type { Input } from './analysis/prepare.ts';
import type { AdapterReport, AnalysisOptions, AnalysisResult, ModelReport, SequenceResult } from './analysis/result.ts';
import { pack } from './bert/batch.ts';
import type { TokenSequence } from './bert/batch.ts';
import { forward } from './bert/forward.ts';
import { BertModel } from './bert/model.ts';
import type { ModelOptions } from './bert/model.ts';
import { loadTokenizer } from './text/load.ts';
import type { Encoding, Tokenizer } from './text/tokenizer.ts';
import { pathFromHere, resolveModel } from './hub/resolve.ts';
import { VERSION } from './version.ts';

export type { Inputs, StreamOptions } from './analysis/analyze.ts';
export type { Input } from './analysis/prepare.ts';
export * from './analysis/result.ts';
export type { TokenSequence } from './bert/batch.ts';
export * from './errors.ts';
export type { Encoding } from './text/tokenizer.ts';
export { VERSION };

export interface LoadOptions extends ModelOptions {
  /** A model folder as Hugging Face lays it out, or the name of a model that was pulled; default BERT-base, uncased. */
  model?: string;
}

/**
 * Loads a model onto the best adapter there is, or the one named.
 *
 *     await using layer8 = await load();
 *     const { sequences } = await layer8.analyze('The quick brown fox jumps over the lazy dog.');
 *
 * @throws ModelError, NoGpuError, GpuError, UsageError
 */
export async function load(options: LoadOptions = {}): Promise<Layer8> {
  const { folder, name } = await resolveModel(options.model);
  // While the driver compiles and weights are read, this thread has time for the vocabulary.
  const opening = BertModel.open(folder, options);
  opening.catch(() => {});
  try {
    const tokenizer = await loadTokenizer(folder);
    return new Layer8(await opening, tokenizer, { folder, name });
  } catch (error) {
    await opening.then(
      (model) => model[Symbol.asyncDispose](),
      () => {},
    );
    throw error;
  }
}

/** A model on a GPU, and its tokenizer. Calls may overlap: they queue. Dispose it, and the process can end. */
export class Layer8 implements AsyncDisposable {
  readonly model: ModelReport;
  readonly #bert: BertModel;
  readonly #tokenizer: Tokenizer;

  /** Use `load`. */
  constructor(bert: BertModel, tokenizer: Tokenizer, { folder, name }: { folder: string; name: string }) {
    this.#bert = bert;
    this.#tokenizer = tokenizer;
    const { numHiddenLayers, hiddenSize } = bert.config;
    this.model = { name, path: pathFromHere(folder), dtype: bert.dtype, layers: numHiddenLayers, hidden: hiddenSize };
  }

  /** The adapter that runs the model, and the rung of the kernel ladder. */
  get adapter(): AdapterReport {
    const { name, vendor, architecture, backend, software } = this.#bert.gpu.description;
    return { name, vendor, architecture, backend, software, kernels: this.#bert.rung.name };
  }

  /**
   * TAS, θ and bucket of every token.
   *
   *     const result = await layer8.analyze(['One text.', { id: 'b', text: 'A question?', pair: 'Its answer.' }], { flow: true });
   *
   * @throws UsageError, InputError, ModelError, GpuError, NumericError
   */
  async analyze(
    inputs: string | Input | readonly (string | Input)[],
    options: Partial<AnalysisOptions> = {},
  ): Promise<AnalysisResult> {
    const list = (Array.isArray(inputs) ? inputs : [inputs]).map((input: string | Input) =>
      typeof input === 'string' ? { text: input } : input,
    );
    const complete = this.complete(options);
    const sequences: SequenceResult[] = [];
    for await (const sequence of analyzeStream(this.#bert, this.#tokenizer, list, complete)) sequences.push(sequence);
    return { layer8: VERSION, model: this.model, adapter: this.adapter, options: complete, sequences };
  }

  /**
   * The same for inputs of any number, one result at a time, in order.
   *
   *     for await (const sequence of layer8.analyzeStream(lines(), { layer: 2 })) console.log(sequence.threshold);
   *
   * @throws UsageError, InputError, ModelError, GpuError, NumericError, InterruptedError
   */
  analyzeStream(
    inputs: Inputs,
    { onProgress, saveHiddenStates, signal, ...options }: Partial<AnalysisOptions> & StreamOptions = {},
  ): AsyncGenerator<SequenceResult> {
    const stream: StreamOptions = {
      ...(onProgress && { onProgress }),
      ...(saveHiddenStates && { saveHiddenStates }),
      ...(signal && { signal }),
    };
    return analyzeStream(this.#bert, this.#tokenizer, inputs, this.complete(options), stream);
  }

  /**
   * The options as they will be used: defaults filled in, values checked.
   *
   *     const { quantile, interpolation } = layer8.complete({ layer: 4 });
   *
   * @throws UsageError that names the option and the values it takes; ModelError for a layer that the model does not have
   */
  complete(options: Partial<AnalysisOptions>): AnalysisOptions {
    return completeOptions(options, this.#bert.config, this.#bert.layers);
  }

  /**
   * The tokens of a text as the model gets them, specials included.
   *
   *     layer8.tokenize('naïve', 'a pair').tokens // ['[CLS]', 'naive', '[SEP]', 'a', 'pair', '[SEP]']
   */
  tokenize(text: string, pair?: string): Encoding {
    return this.#tokenizer.encode(text, pair === undefined ? {} : { pair });
  }

  /**
   * Hugging Face's `hidden_states[layer]` of one text: [T, H], row-major.
   *
   *     const { states, shape } = await layer8.hiddenStates('The quick brown fox.', { layer: 4 });
   *
   * @throws UsageError, InputError, ModelError, GpuError, NumericError
   */
  async hiddenStates(
    input: string | Input,
    { layer = this.#bert.layers }: { layer?: number } = {},
  ): Promise<{ states: Float32Array; shape: readonly [number, number]; tokens: string[] }> {
    const { text, pair } = typeof input === 'string' ? { text: input, pair: undefined } : input;
    let found: { states: Float32Array; shape: readonly [number, number] } | undefined;
    const saveHiddenStates = (
      _id: string,
      _layer: number,
      states: Float32Array,
      shape: readonly [number, number],
    ): void => {
      found = { states, shape };
    };
    const inputs = [typeof input === 'string' ? { text: input } : input];
    for await (const _ of this.analyzeStream(inputs, { layer, saveHiddenStates })) continue;
    return {
      ...(found as { states: Float32Array; shape: readonly [number, number] }),
      tokens: this.tokenize(text, pair).tokens,
    };
  }

  /**
   * TAS alone, of token ids that are already known: one submission for all sequences.
   *
   *     const [tas] = await layer8.tas([{ ids: [101, 7592, 102] }]);
   *
   * @throws UsageError, ModelError and InputError for ids and lengths that the model does not have, GpuError
   */
  async tas(sequences: readonly TokenSequence[], options: { layer?: number } = {}): Promise<Float32Array[]> {
    const { layer } = this.complete(options);
    for (const sequence of sequences) checkSequence(sequence, this.#bert.config);
    const batch = pack(sequences);
    const [bytes] = await this.#bert.run(({ record, weights }) => {
      const { recording, ops } = record();
      return recording.submit([ops.l2Norm(forward(ops, weights, batch, layer))]);
    });
    const norms = new Float32Array(bytes as ArrayBuffer);
    return batch.sequences.map(({ start, length }) => norms.slice(start, start + length));
  }

  /** Frees the GPU. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bert[Symbol.asyncDispose]();
  }
}
