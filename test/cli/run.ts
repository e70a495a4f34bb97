import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const root = join(import.meta.dirname, '..', '..');
/** test/build.ts compiled it. */
const command = join(root, 'dist', 'src', 'cli.js');

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** Written to standard input, which is closed after it. */
  input?: string | Uint8Array;
  env?: Record<string, string>;
  cwd?: string;
}

/** Starts the real command. */
export function start(
  args: readonly string[],
  { env = {}, cwd = root }: RunOptions = {},
): ChildProcessWithoutNullStreams {
  const { FORCE_COLOR: _, NO_COLOR: __, COLUMNS: ___, ...inherited } = process.env;
  return spawn(process.execPath, [command, ...args], {
    cwd,
    env: { ...inherited, ...env },
  });
}

/** Runs the real command to its end. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = start(args, options);
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  return outcomeOf(child);
}

export async function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}
