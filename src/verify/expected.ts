import { quantileCut } from '../analysis/quantile.ts';

/** What TAS, θ and the buckets of a sequence should be, in float64, with default options. T tokens. */
export interface Expected {
  /** [T] */
  readonly tas: Float64Array;
  /** [T] [CLS] and [SEP]: not ranked. */
  readonly special: readonly boolean[];
  readonly threshold: number | null;
  /** [T] */
  readonly high: readonly boolean[];
  /** Error of PyTorch's own float32 run at layer 8, where it was recorded. */
  readonly pytorch: { readonly states: number; readonly tas: number } | undefined;
}

/** The entry of a case in expected.json, which records layer 8. */
interface Recorded {
  readonly tas: number[];
  readonly special: boolean[];
  readonly threshold: { readonly excluded: { readonly linear: number } | null };
  readonly high_excluded_linear: boolean[];
  readonly pytorch_float32_error: { readonly 'hidden_states.8 max abs': number; readonly 'tas max abs': number };
}

const RECORDED_LAYER = 8;

/** As it was recorded, else computed here from the reference's own states. */
export function expectedOf(ids: Int32Array, states: Float32Array, layer: number, recorded: unknown): Expected {
  if (layer === RECORDED_LAYER && isRecorded(recorded)) {
    const error = recorded.pytorch_float32_error;
    return {
      tas: Float64Array.from(recorded.tas),
      special: recorded.special,
      threshold: recorded.threshold.excluded?.linear ?? null,
      high: recorded.high_excluded_linear,
      pytorch: { states: error['hidden_states.8 max abs'], tas: error['tas max abs'] },
    };
  }
  const H = states.length / ids.length;
  const tas = Float64Array.from(ids, (_, t) =>
    Math.sqrt(states.subarray(t * H, (t + 1) * H).reduce((sum, x) => sum + x * x, 0)),
  );
  // [CLS] comes first, and [SEP] last and, in a pair, between its texts.
  const special = Array.from(ids, (id, t) => t === 0 || id === ids.at(-1));
  const ranked = tas.filter((_, t) => !special[t]).sort();
  if (ranked.length === 0) return { tas, special, threshold: null, high: special.map(() => false), pytorch: undefined };
  const { lo, g } = quantileCut('linear', ranked.length, 0.75);
  const a = ranked[lo] as number;
  const b = ranked[lo + 1] ?? a;
  const leastHigh = g === 0 ? a : b;
  return {
    tas,
    special,
    threshold: a + (b - a) * g,
    high: Array.from(tas, (s, t) => !special[t] && s >= leastHigh),
    pytorch: undefined,
  };
}

function isRecorded(value: unknown): value is Recorded {
  return typeof value === 'object' && value !== null && 'tas' in value && 'pytorch_float32_error' in value;
}
