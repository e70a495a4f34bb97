import { SHIFTS } from './measure.ts';
import type { Measured } from './measure.ts';
import type { SequenceToken } from '../text/sequence.ts';
import type { Prepared } from './prepare.ts';
import type { AnalysisOptions, Bucket, SequenceResult, Shift, TokenResult, WordResult } from './result.ts';
import { isBorderline } from './select.ts';
import type { Summary } from './select.ts';

const BUCKETS: readonly (Bucket | null)[] = [null, 'LOW', 'HIGH'];

interface Decision {
  readonly value: number;
  readonly bucket: Bucket | null;
  readonly borderline: boolean;
}

/** Puts what was measured beside the tokens it was measured on. */
export function assemble(input: Prepared, measured: Measured, options: AnalysisOptions): SequenceResult {
  const summary = measured.summary as Summary;
  const decisions = Array.from(measured.values, (value, item): Decision => {
    const bucket = BUCKETS[measured.buckets?.[item] ?? 0] ?? null;
    return { value, bucket, borderline: isBorderline(value, summary, options.threshold !== null) };
  });
  const tokens = tokensOf(input, measured, options.layer);
  if (options.unit === 'token') {
    for (const [item, { bucket, borderline }] of decisions.entries()) {
      Object.assign(tokens[input.items.first[item] as number] as TokenResult, { bucket, borderline });
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
    ...(input.windows.length > 1 ? { windows: input.windows.map(({ start, end }) => ({ start, end })) } : {}),
    tokens,
    ...(words ? { words } : {}),
  };
}

function tokensOf({ tokens }: Prepared, { tas, flow, shift }: Measured, layer: number): TokenResult[] {
  const T = tas.length;
  return tokens.map((token, t) => ({
    ...token,
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

function wordOf(input: Prepared, item: number, { value, bucket, borderline }: Decision): WordResult {
  const firstToken = input.items.first[item] as number;
  const tokens = Array.from({ length: input.items.count[item] as number }, (_, piece) => firstToken + piece);
  const first = input.tokens[firstToken] as SequenceToken;
  const { start, word, segment } = first;
  const end = input.tokens[tokens.at(-1) as number]?.end ?? null;
  const text = segment === 1 ? (input.pair ?? '') : input.text;
  const surface = start === null || end === null ? first.token : text.slice(start, end);
  return { word, text: surface, start, end, tokens, tas: value, bucket, borderline };
}
