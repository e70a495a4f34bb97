import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../support.ts';

/** Runs the real command: compiled, or, of an altered copy, from the sources under `root`. */
export function run(
  args: readonly string[],
  root: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const command =
    root === ROOT ? [join(root, 'dist', 'src', 'cli.js')] : ['--import', 'tsx', join(root, 'src', 'cli.ts')];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...command, ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject).on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
