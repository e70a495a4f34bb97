import { mkdirSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { Layer8Error } from '../../src/errors.ts';
import { path } from '../support.ts';

/** A part of layer8 that takes what others wrote. */
export interface Target<Input> {
  readonly name: string;
  /** Inputs of a full run, and of one for every change. */
  readonly runs: { readonly full: number; readonly short: number };
  /** What it is given: values that JSON can hold. Bytes are strings of their Latin-1 characters. */
  readonly inputs: fc.Arbitrary<Input>;
  /**
   * Takes an input. Returns where the result is right; throws the errors of layer8 where the input is refused, and any other
   * where the result is wrong.
   */
  take(input: Input): Promise<void> | void;
}

/** How an input ended. */
export type Ending = 'right' | 'refused';

/** No input of a fuzzer is as large as to need so much. */
const MOST_MS = 10_000;
const MOST_GROWTH_KB = 300_000;

/**
 * Takes one input.
 * @throws Error where layer8 failed by anything but an error of its own, gave a wrong result, or took far too much time or memory
 */
export async function check<Input>(target: Target<Input>, input: Input): Promise<Ending> {
  const started = performance.now();
  const memory = process.resourceUsage().maxRSS;
  let ending: Ending = 'right';
  try {
    await target.take(input);
  } catch (error) {
    if (!(error instanceof Layer8Error)) throw error;
    if (error.message === '' || error.message.includes('[object') || error.message.includes('undefined')) {
      throw new Error(`a message that says nothing: ${error.message}`, { cause: error });
    }
    ending = 'refused';
  }
  const ms = performance.now() - started;
  if (ms > MOST_MS) throw new Error(`it took ${Math.round(ms)} ms`);
  const growth = process.resourceUsage().maxRSS - memory;
  if (growth > MOST_GROWTH_KB) throw new Error(`it took ${growth} kB of memory`);
  return ending;
}

export interface Finding {
  /** The smallest input found that fails. */
  input: unknown;
  error: unknown;
  /** Where the input is kept: the tests of every change take it from there. */
  fixture: string;
}

export interface Campaign {
  taken: number;
  endings: Record<Ending, number>;
  finding?: Finding;
}

export interface Limits {
  seed: number;
  runs: number;
  milliseconds?: number;
  /** Called with the number of each input before it is taken. */
  onInput?: (taken: number) => void;
}

/** Takes inputs until one fails, or there have been enough. A seed gives the same ones. */
export async function fuzz<Input>(target: Target<Input>, limits: Limits): Promise<Campaign> {
  const endings: Record<Ending, number> = { right: 0, refused: 0 };
  let taken = 0;
  const property = fc.asyncProperty(target.inputs, async (input) => {
    limits.onInput?.(taken++);
    endings[await check(target, input)]++;
  });
  const details = await fc.check(property, {
    seed: limits.seed,
    numRuns: limits.runs,
    ...(limits.milliseconds !== undefined && { interruptAfterTimeLimit: limits.milliseconds }),
  });
  if (details.counterexample === null) return { taken, endings };
  const [input] = details.counterexample;
  return { taken, endings, finding: { input, error: details.errorInstance, fixture: keep(target, input) } };
}

export const FIXTURES = path('fixtures/fuzz');

function keep(target: { name: string }, input: unknown): string {
  const text = `${JSON.stringify(input, null, 2)}\n`;
  const name = `${target.name}-${createHash('sha256').update(text).digest('hex').slice(0, 12)}.json`;
  mkdirSync(FIXTURES, { recursive: true });
  writeFileSync(join(FIXTURES, name), text);
  return `test/fixtures/fuzz/${name}`;
}
