import { styleText } from 'node:util';
import type { TextStream } from './stream.ts';

/** How a table may look where it is going. */
export interface Look {
  /** Columns of a line. */
  width: number;
  colour: boolean;
}

/** A table that goes into a file or a pipe is as wide as a terminal of old. */
const DEFAULT_WIDTH = 80;
const LEAST_WIDTH = 20;

/**
 * The look of a stream. COLUMNS sets the width where the stream is no terminal. FORCE_COLOR and NO_COLOR decide about
 * colour before the stream does (https://no-color.org, https://force-color.org; the former wins, as in Node.js).
 */
export function lookOf(stream: Pick<TextStream, 'isTTY' | 'columns'>, env: NodeJS.ProcessEnv): Look {
  const fromEnvironment = Number.parseInt(env.COLUMNS ?? '', 10);
  const columns = stream.isTTY === true && stream.columns ? stream.columns : fromEnvironment;
  return { width: Math.max(LEAST_WIDTH, columns > 0 ? columns : DEFAULT_WIDTH), colour: wantsColour(stream, env) };
}

function wantsColour(stream: Pick<TextStream, 'isTTY'>, env: NodeJS.ProcessEnv): boolean {
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false';
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false;
  return stream.isTTY === true && env.TERM !== 'dumb';
}

export type Style = Parameters<typeof styleText>[0];

/** `text` in a style where the look has colour. */
export function paint(look: Look, style: Style, text: string): string {
  return look.colour && text !== '' ? styleText(style, text, { validateStream: false }) : text;
}
