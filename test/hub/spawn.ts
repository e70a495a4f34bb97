import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Ran } from './run.ts';

const ENTRY = fileURLToPath(new URL('entry.ts', import.meta.url));

export interface Spawned {
  child: ChildProcess;
  /** Exit code −1 for a process that was killed. */
  ended: Promise<Ran>;
}

/** Starts `layer8 weights …` as a process. */
export function spawnWeights(args: string[], env: NodeJS.ProcessEnv, options: SpawnOptions = {}): Spawned {
  const child = spawn(process.execPath, ['--import', 'tsx', ENTRY, ...args], {
    env: { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => (stdout += chunk));
  child.stderr?.on('data', (chunk) => (stderr += chunk));
  const ended = once(child, 'close').then(([code]) => ({ code: (code as number | null) ?? -1, stdout, stderr }));
  return { child, ended };
}
