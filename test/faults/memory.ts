import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { run } from '../cli/run.ts';
import { temporaryFolder } from './support.ts';

/** Prints the most memory that the process has had, in kilobytes. */
const PRINT_MEMORY = `data:text/javascript,process.on('exit',()=>console.error(process.resourceUsage().maxRSS))`;

/**
 * The most memory in megabytes that a run over a file of so many takes. The file is JSON lines: one record a megabyte and, since
 * tokens take their time, lines of white space.
 */
export async function memoryFor(megabytes: number): Promise<number> {
  const path = join(temporaryFolder(), 'large.jsonl');
  const record = '{"text":"A fox."}\n';
  const block = Buffer.from((record + `${' '.repeat(1023)}\n`.repeat(1024)).slice(0, (1 << 20) - 1) + '\n');
  const file = openSync(path, 'w');
  for (let i = 0; i < megabytes; i++) writeSync(file, block);
  closeSync(file);
  const env = { NODE_OPTIONS: `--import=${PRINT_MEMORY}` };
  const { code, stdout, stderr } = await run(['tokenize', '--file', path, '--format', 'jsonl'], { env });
  expect(code).toBe(0);
  expect(stdout.trimEnd().split('\n')).toHaveLength(megabytes);
  return Number(stderr.trim()) / 1000;
}
