/** Nothing is timed before its result is right. */
import type { EngineProcess } from './process.ts';
import type { Variant } from './protocol.ts';
import type { EngineName } from './results.ts';
import type { Size } from './sizes.ts';

/** float32 in another order moves TAS by 2e-5; a wrong graph or kernel moves it by hundredths or more. */
export const TAS_TOLERANCE = 1e-3;

/** What an engine with nothing to choose is asked to run. */
export const DEFAULT_VARIANT: Variant = { batching: 'bucketed', flash: true };

/** An engine that was found right at a size. */
export interface Checked {
  variant: Variant;
  /** The variant in words, where it is not the only one or not the default. */
  note: string;
  /** TAS of its last run. */
  tas: number[][];
  /** Largest difference from layer8's TAS, or 0 where there was nothing to compare with. */
  difference: number;
}

interface Trial extends Checked {
  seconds: number;
}

/**
 * Runs an engine at a size, compares its TAS with `ours` and with the reference where there is one, and finds the variant
 * that is right and fastest.
 * @throws Error where no variant of it is right
 */
export async function checkEngine(engine: EngineProcess, size: Size, ours: number[][] | null): Promise<Checked> {
  const { sequences, reference } = size;
  const mixed = new Set(sequences.map((ids) => ids.length)).size > 1;
  const run = async (variant: Variant): Promise<Trial> => {
    const { tas, seconds } = await engine.ask({ cmd: 'run', sequences, seconds: 0, variant });
    const difference = ours ? largestDifference(tas!, ours) : 0;
    const worst = Math.max(difference, reference ? largestDifference(tas!, reference) : 0);
    if (!(worst <= TAS_TOLERANCE)) throw new WrongResult(`TAS differs by ${worst.toPrecision(2)} at ${size.name}`);
    return { variant, note: noteOf(variant, mixed), tas: tas!, difference, seconds: seconds! };
  };
  if (engine.name === 'layer8') return { ...(await run(DEFAULT_VARIANT)), note: '' };
  const best = await fastestAttention(engine.name as EngineName, run);
  if (!mixed) return best;
  // The time of the buckets may hold their compilation: they are repeated where that could hide that they are faster.
  const padded = await run({ ...best.variant, batching: 'padded' });
  return best.seconds <= padded.seconds || (await run(best.variant)).seconds <= padded.seconds ? best : padded;
}

/** With FlashAttention or without, which only its WebGPU provider has: what is right, and of two that are, the faster. */
async function fastestAttention(name: EngineName, run: (variant: Variant) => Promise<Trial>): Promise<Trial> {
  const right: Trial[] = [];
  const wrong: string[] = [];
  for (const flash of name === 'onnxruntime-webgpu' ? [true, false] : [true]) {
    try {
      right.push(await run({ ...DEFAULT_VARIANT, flash }));
    } catch (error) {
      if (!(error instanceof WrongResult)) throw error;
      wrong.push(`${flash ? 'with' : 'without'} FlashAttention: ${error.message}`);
    }
  }
  if (right.length === 0) throw new Error(`${name} computes wrongly: ${wrong.join('; ')}, more than ${TAS_TOLERANCE}`);
  if (right.length === 1) return right[0];
  // Again, now that everything is compiled.
  const [first, second] = [await run(right[0].variant), await run(right[1].variant)];
  return first.seconds <= second.seconds ? first : second;
}

class WrongResult extends Error {}

function noteOf({ batching, flash }: Variant, mixed: boolean): string {
  return [mixed ? batching : '', flash ? '' : 'without FlashAttention'].filter(Boolean).join(', ');
}

/** Of all tokens; NaN where a token has none or the numbers of tokens differ. */
export function largestDifference(actual: number[][], expected: number[][]): number {
  if (actual.length !== expected.length) return NaN;
  let worst = 0;
  for (const [i, sequence] of expected.entries()) {
    if (actual[i].length !== sequence.length) return NaN;
    for (const [token, value] of sequence.entries()) {
      const difference = Math.abs(value - actual[i][token]);
      if (Number.isNaN(difference)) return NaN;
      worst = Math.max(worst, difference);
    }
  }
  return worst;
}
