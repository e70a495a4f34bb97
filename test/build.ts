import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './support.ts';

/** Before the tests: what they run as a command is what a user runs, compiled, and starts in a third of the time. */
export function setup(): void {
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.mjs')], { stdio: 'inherit' });
}
