import { SHIFTS } from './measure.ts';
import type { Measured } from './measure.ts';
import type { Prepared } from './prepare.ts';
import type { AnalysisOptions, Bucket, SequenceResult, Shift, TokenResult, WordResult } from './result.ts';
import { isBorderline } from './select.ts';
import type { Summary } from './select.ts';

const BUCKETS: readonly (Bucket | null)[] = [null, 'LOW', 'HIGH'];

/** Puts what was measured beside the tokens it was measured on. */
export function assemble(input: Prepared, measured: Measured, options: AnalysisOptions): SequenceResult {
  const summary = measured.summary as Summary;
  const decisions = input.items.map((_, item) => {
    const value = measured.values[item] as number;
    return { value, bucket: BUCKETS[measured.buckets?.[item] ?? 0] ?? null, borderline: isBorderline(value, summary) };
  });
  const tokens = tokensOf(input, measured, options.layer);
  if (options.unit === 'token') {
    for (const [item, { bucket, borderline }] of decisions.entries()) {
      Object.assign(tokens[input.items[item]?.tokens[0] as number] as TokenResult, { bucket, borderline });
    }
  }
  const words = options.unit === 'word' ? decisions.map((decision, item) => wordOf(input, item, decision)) : undefined;
  return {
    id: input.id,
    text: input.text,
    ...(input.pair === undefined ? {} : { pair: input.pair }),
    threshold: decisions.length === 0 ? null : summary.threshold,
    order: { below: summary.below, cut: summary.cut },
    ranked: decisions.length,
    high: decisions.filter(({ bucket }) => bucket === 'HIGH').length,
    ...(input.windows ? { windows: input.windows.map(({ start, end }) => ({ start, end })) } : {}),
    tokens,
    ...(words ? { words } : {}),
  };
}

function tokensOf({ encoding, windowOf }: Prepared, { tas, flow, shift }: Measured, layer: number): TokenResult[] {
  const T = tas.length;
  return encoding.tokens.map((token, t) => ({
    token,
    id: encoding.ids[t] as number,
    segment: encoding.segments[t] as number,
    start: encoding.offsets[t]?.[0] ?? null,
    end: encoding.offsets[t]?.[1] ?? null,
    word: encoding.wordIds[t] ?? null,
    special: encoding.specials[t] as boolean,
    window: windowOf[t] as number,
    tas: tas[t] as number,
    bucket: null,
    borderline: false,
    ...(flow ? { flow: Float32Array.from({ length: layer + 1 }, (_, l) => flow[l * T + t] as number) } : {}),
    ...(shift ? { shift: shiftOf(shift.subarray(t * SHIFTS, (t + 1) * SHIFTS), layer) } : {}),
  }));
}

function shiftOf([displacement = 0, normChange = 0, rotation = 0, fromInput = 0]: Float32Array, layer: number): Shift {
  // Layer 0 has no layer before it.
  return layer === 0
    ? { displacement: null, normChange: null, rotation: null, fromInput }
    : { displacement, normChange, rotation, fromInput };
}

function wordOf(
  input: Prepared,
  item: number,
  { value, bucket, borderline }: { value: number; bucket: Bucket | null; borderline: boolean },
): WordResult {
  const tokens = [...(input.items[item]?.tokens ?? [])];
  const first = tokens[0] as number;
  const last = tokens.at(-1) as number;
  const { encoding } = input;
  const start = encoding.offsets[first]?.[0] ?? null;
  const end = encoding.offsets[last]?.[1] ?? null;
  const text = encoding.segments[first] === 1 ? (input.pair ?? '') : input.text;
  const special = start === null || end === null;
  return {
    word: encoding.wordIds[first] ?? null,
    text: special ? (encoding.tokens[first] as string) : text.slice(start, end),
    start,
    end,
    tokens,
    tas: value,
    bucket,
    borderline,
  };
}
