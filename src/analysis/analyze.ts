import type { BertModel } from '../bert/model.ts';
import { InterruptedError, NumericError, OutOfMemoryError } from '../errors.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { decideTogether } from './corpus.ts';
import type { Collected } from './corpus.ts';
import type { Decided } from './items.ts';
import { SHIFTS, loadMeasureSources, measure } from './measure.ts';
import type { Measured, MeasureRequest } from './measure.ts';
import { partsOf, prepare } from './prepare.ts';
import type { Input, MeasuredInput, Prepared } from './prepare.ts';
import { assemble } from './assemble.ts';
import type { AnalysisOptions, SequenceResult } from './result.ts';

/** Rows of a batch: enough to keep an adapter busy, little enough for the first result to come soon. */
const BATCH_ROWS = 1024;
const BATCH_SEQUENCES = 64;

/** Inputs of a run: a list, a stream, or (for a θ of the corpus, which is known at the end) a function that starts the stream again. */
export type Inputs = Iterable<Input> | AsyncIterable<Input> | (() => AsyncIterable<Input>);

export interface StreamOptions {
  /** Called after every batch. */
  readonly onProgress?: (done: { sequences: number; tokens: number }) => void;
  /** Takes the hidden states of `layer` of every sequence, [T, H] row-major, in order. */
  readonly saveHiddenStates?: (
    id: string,
    layer: number,
    states: Float32Array,
    shape: readonly [number, number],
  ) => Promise<void> | void;
  readonly signal?: AbortSignal;
}

/**
 * Analyzes inputs as they come, in order: batches are filled by token count, and the next one is prepared while one runs. Memory
 * does not grow with the input, but for a θ of the corpus: that keeps some twenty bytes a token until the end, and what was asked for
 * besides TAS.
 * @throws InputError, ModelError, GpuError, NumericError, InterruptedError
 */
export async function* analyzeStream(
  model: BertModel,
  tokenizer: Tokenizer,
  inputs: Inputs,
  options: AnalysisOptions,
  stream: StreamOptions = {},
): AsyncGenerator<SequenceResult> {
  if (options.scope === 'corpus') yield* analyzeCorpus(model, tokenizer, inputs, options, stream);
  else
    for await (const [input, measured] of measureAll(model, tokenizer, inputs, options, true, stream))
      yield assemble(input, measured, options);
}

/** What is kept of each text until θ is known. */
type Kept = Collected & Pick<Measured, 'flow' | 'shift'>;

/** TAS of everything first, then one θ, then the results: the texts are read a second time rather than kept. */
async function* analyzeCorpus(
  model: BertModel,
  tokenizer: Tokenizer,
  inputs: Inputs,
  options: AnalysisOptions,
  stream: StreamOptions,
): AsyncGenerator<SequenceResult> {
  const again = await repeatable(inputs);
  const kept: Kept[] = [];
  for await (const [{ items }, { tas, flow, shift }] of measureAll(model, tokenizer, again, options, false, stream)) {
    kept.push({ tas, flow, shift, items });
  }
  const decided = await decideTogether(model, kept, options);
  let index = 0;
  for await (const input of prepareAll(model, tokenizer, again, options)) {
    const measured = { ...(kept[index] as Kept), ...(decided[index] as Decided), states: undefined };
    yield assemble(input, measured, options);
    index++;
  }
}

/** Inputs that can be read twice. A stream that cannot is kept in memory. */
async function repeatable(inputs: Inputs): Promise<Inputs> {
  if (typeof inputs === 'function' || Array.isArray(inputs)) return inputs;
  const kept: Input[] = [];
  for await (const input of inputs) kept.push(input);
  return kept;
}

async function* prepareAll(
  model: BertModel,
  tokenizer: Tokenizer,
  inputs: Inputs,
  options: AnalysisOptions,
): AsyncGenerator<Prepared> {
  let index = 0;
  for await (const input of typeof inputs === 'function' ? inputs() : inputs)
    yield prepare(tokenizer, input, index++, model.config, options);
}

/** Prepared inputs in batches. A text of several windows is one by itself. What came before an input that fails is a batch too. */
async function* batches(prepared: AsyncIterable<Prepared>): AsyncGenerator<Prepared[]> {
  let batch: Prepared[] = [];
  let rows = 0;
  try {
    for await (const input of prepared) {
      const full = rows + input.rows > BATCH_ROWS || batch.length === BATCH_SEQUENCES;
      if (batch.length > 0 && (full || isLong(input) || isLong(batch[0] as Prepared))) {
        yield batch;
        batch = [];
        rows = 0;
      }
      batch.push(input);
      rows += input.rows;
    }
  } catch (error) {
    if (batch.length > 0 && !(error instanceof InterruptedError)) yield batch;
    throw error;
  }
  if (batch.length > 0) yield batch;
}

/** The same values, each when the next one is there. What is held when the source fails comes before the failure. */
async function* oneBehind<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  let held: { value: T } | undefined;
  try {
    for await (const value of source) {
      const before = held;
      held = { value };
      if (before) yield before.value;
    }
  } catch (error) {
    if (held && !(error instanceof InterruptedError)) yield held.value;
    throw error;
  }
  if (held) yield held.value;
}

async function* measureAll(
  model: BertModel,
  tokenizer: Tokenizer,
  inputs: Inputs,
  options: AnalysisOptions,
  select: boolean,
  stream: StreamOptions,
): AsyncGenerator<[Prepared, Measured]> {
  const request: MeasureRequest = { options, select, states: stream.saveHiddenStates !== undefined };
  const start = async function* (): AsyncGenerator<{ batch: Prepared[]; results: Promise<Measured[]> }> {
    for await (const batch of batches(prepareAll(model, tokenizer, inputs, options))) {
      if (stream.signal?.aborted) throw new InterruptedError('interrupted');
      const results = measureBatch(model, batch, request);
      results.catch(() => {});
      yield { batch, results };
    }
  };
  let sequences = 0;
  let tokens = 0;
  // While a batch runs, the one before is handed out and the next one is tokenized.
  for await (const { batch, results } of oneBehind(start())) {
    const measured = await results;
    for (const [index, input] of batch.entries()) {
      const one = measured[index] as Measured;
      const shape = [input.tokens.length, model.config.hiddenSize] as const;
      await stream.saveHiddenStates?.(input.id, options.layer, one.states as Float32Array, shape);
      yield [input, one];
      sequences++;
      tokens += input.tokens.length;
    }
    stream.onProgress?.({ sequences, tokens });
  }
}

/** A text of several windows: a token's rows are not where its neighbours' are, so it is ranked apart from its measurement. */
function isLong({ windows }: Prepared): boolean {
  return windows.length > 1;
}

/** Runs a batch of texts that fit the model, or one that does not. */
async function measureBatch(
  model: BertModel,
  batch: readonly Prepared[],
  request: MeasureRequest,
): Promise<Measured[]> {
  const [first] = batch;
  const measured =
    first && isLong(first) ? [await measureLong(model, first, request)] : await submit(model, batch, request);
  for (const [index, one] of measured.entries()) await checkFinite(model, batch[index] as Prepared, one, request);
  return measured;
}

/** One submission or, where the GPU's memory does not suffice, each half by itself. */
async function submit(model: BertModel, batch: readonly MeasuredInput[], request: MeasureRequest): Promise<Measured[]> {
  try {
    const sources = await loadMeasureSources(request.options);
    return await model.run((session) => measure(session, sources, batch, request));
  } catch (error) {
    if (!(error instanceof OutOfMemoryError) || batch.length < 2) throw error;
    const half = batch.length >> 1;
    return [
      ...(await submit(model, batch.slice(0, half), request)),
      ...(await submit(model, batch.slice(half), request)),
    ];
  }
}

/** A text of several windows: some windows a submission, then one θ over all of its tokens. */
async function measureLong(model: BertModel, input: Prepared, request: MeasureRequest): Promise<Measured> {
  const T = input.tokens.length;
  const { options } = request;
  const tas = new Float32Array(T);
  const flow = options.flow ? new Float32Array((options.layer + 1) * T) : undefined;
  const shift = options.shift ? new Float32Array(SHIFTS * T) : undefined;
  const states = request.states ? new Float32Array(model.config.hiddenSize * T) : undefined;
  for (const { part, first } of partsOf(input, BATCH_ROWS)) {
    const [measured] = (await submit(model, [part], { ...request, select: false })) as [Measured];
    const tokens = part.rowOf.length;
    tas.set(measured.tas, first);
    for (let l = 0; measured.flow && l <= options.layer; l++)
      flow?.set(measured.flow.subarray(l * tokens, (l + 1) * tokens), l * T + first);
    shift?.set(measured.shift as Float32Array, first * SHIFTS);
    states?.set(measured.states as Float32Array, first * model.config.hiddenSize);
  }
  const decided = request.select ? (await decideTogether(model, [{ tas, items: input.items }], options))[0] : undefined;
  return { tas, flow, shift, states, values: tas, buckets: undefined, summary: undefined, ...decided };
}

/** @throws ModelError where it is the weights that are not finite; else NumericError with the first token that has no TAS, and the first layer at which it has none */
async function checkFinite(
  model: BertModel,
  input: Prepared,
  { tas }: Measured,
  request: MeasureRequest,
): Promise<void> {
  const token = tas.findIndex((value) => !Number.isFinite(value));
  if (token < 0) return;
  await model.checkWeights();
  const options = { ...request.options, flow: true, shift: false };
  const again = { options, select: false, states: false };
  const [{ flow = tas }] = (
    isLong(input) ? [await measureLong(model, input, again)] : await submit(model, [input], again)
  ) as [Measured];
  let layer = 0;
  while (layer < options.layer && Number.isFinite(flow[layer * tas.length + token])) layer++;
  throw new NumericError(
    `token ${token} (${JSON.stringify(input.tokens[token]?.token)}) of text ${JSON.stringify(input.id)} has a state that is not finite from layer ${layer} on: TAS ${tas[token]}`,
    {
      hint: 'The weights are damaged, or numbers overflow float32: `layer8 verify` tells whether this adapter computes rightly.',
    },
  );
}
