import { pack } from '../bert/batch.ts';
import { forward } from '../bert/forward.ts';
import type { Session } from '../bert/model.ts';
import type { Stage } from '../bert/operations.ts';
import type { Gpu } from '../gpu/device.ts';
import type { KernelSource } from '../gpu/kernel.ts';
import type { Recording } from '../gpu/recording.ts';
import { loadKernelSource } from '../gpu/sources.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { loadItemSources, recordItems } from './items.ts';
import type { Decided, ItemSources } from './items.ts';
import type { MeasuredInput } from './prepare.ts';
import type { AnalysisOptions } from './result.ts';

/** Numbers of a shift: displacement, change of norm, rotation, distance from the embedding output. */
export const SHIFTS = 4;

/** What one submission tells about one input. T tokens, specials included. */
export interface Measured extends Decided {
  /** [T] */
  readonly tas: Float32Array;
  /** [layer + 1, T] */
  readonly flow: Float32Array | undefined;
  /** [T, 4] */
  readonly shift: Float32Array | undefined;
  /** [T, H] */
  readonly states: Float32Array | undefined;
}

export interface MeasureSources extends ItemSources {
  /** Only where shifts are asked for. */
  readonly shift: KernelSource | undefined;
}

export async function loadMeasureSources(options: AnalysisOptions): Promise<MeasureSources> {
  const shift = options.shift ? loadKernelSource('shift') : undefined;
  return { ...(await loadItemSources(options)), shift: await shift };
}

/** What to bring back besides TAS. */
export interface MeasureRequest {
  readonly options: AnalysisOptions;
  /** Find θ of each sequence in the same submission. */
  readonly select: boolean;
  /** Bring the hidden states of `layer` back. */
  readonly states: boolean;
}

/**
 * Runs a batch of inputs: one submission, one readback. What comes back is TAS (4 bytes a row), the buckets (4 more) and a summary
 * a sequence; the flow, shifts and states only where they are asked for.
 */
export async function measure(
  session: Session,
  sources: MeasureSources,
  inputs: readonly MeasuredInput[],
  request: MeasureRequest,
): Promise<Measured[]> {
  const { options } = request;
  const { recording, ops } = session.record();
  const batch = pack(inputs.flatMap(({ sequences }) => sequences));

  const states: Tensor[] = [];
  const keepStates: Stage<Tensor> = (name, tensor) => {
    const layer = /^hidden_states\.(\d+)$/.exec(name)?.[1];
    if (layer !== undefined) states[Number(layer)] = tensor;
    return tensor;
  };
  const hidden = forward(ops, session.weights, batch, options.layer, keepStates);
  const norms = ops.l2Norm(hidden);
  const flow = options.flow ? states.slice(0, -1).map((state) => ops.l2Norm(state)) : [];

  const reads: Tensor[] = [norms];
  const read = (tensor: Tensor): (() => ArrayBuffer) => {
    const index = reads.push(tensor) - 1;
    return () => results[index] as ArrayBuffer;
  };
  const items = recordItems(session, sources, recording, norms, inputs, options, {
    select: request.select,
    together: false,
  });
  const readItems = items.reads.map(read);
  const readFlow = flow.map(read);
  const readShift =
    sources.shift &&
    read(
      recordShift(session.gpu, sources.shift, recording, {
        current: ops.asBuffer(hidden),
        // At layer 0 there is no layer before, and it is compared with itself.
        previous: ops.asBuffer(states[Math.max(0, options.layer - 1)] as Tensor),
        first: ops.asBuffer(states[0] as Tensor),
      }),
    );
  const readStates = request.states ? read(ops.asBuffer(hidden)) : undefined;

  const results = await recording.submit(reads);

  const tas = new Float32Array(results[0] as ArrayBuffer);
  const flowRows = [...readFlow.map((layer) => new Float32Array(layer())), tas];
  const decided = items.decode(
    tas,
    readItems.map((bytes) => bytes()),
  );
  const shifts = readShift && new Float32Array(readShift());
  const hiddenRows = readStates && new Float32Array(readStates());
  return inputs.map((input, index) => {
    const firstRow = items.firstRows[index] as number;
    const rows = Uint32Array.from(input.rowOf, (row) => firstRow + row);
    const gather = (from: Float32Array, width = 1): Float32Array => gatherRows(from, rows, width);
    return {
      tas: gather(tas),
      ...(decided[index] as Decided),
      flow: options.flow ? concatenate(flowRows.map((layer) => gather(layer))) : undefined,
      shift: shifts && gather(shifts, SHIFTS),
      states: hiddenRows && gather(hiddenRows, hidden.columns),
    };
  });
}

/** [S, 4] from the states of three layers, [S, H] each. */
function recordShift(
  gpu: Gpu,
  source: KernelSource,
  recording: Recording,
  states: { readonly current: Tensor; readonly previous: Tensor; readonly first: Tensor },
): Tensor {
  const { rows: S, columns: H } = states.current;
  const shifts = recording.tensor('shifts', [S, SHIFTS]);
  recording.dispatch(gpu.kernel(source), { ...states, shifts }, { S, H }, [Math.ceil(S / 64)]);
  return shifts;
}

function gatherRows(from: Float32Array, rows: Uint32Array, width: number): Float32Array {
  const gathered = new Float32Array(rows.length * width);
  for (const [index, row] of rows.entries()) gathered.set(from.subarray(row * width, (row + 1) * width), index * width);
  return gathered;
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
