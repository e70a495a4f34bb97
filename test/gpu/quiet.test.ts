import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const CHILD = fileURLToPath(new URL('write-noise.ts', import.meta.url));
const SAID =
  'before\nafter, written by JavaScript\nafter, written to the descriptor\nafter, written by a child\ndescriptors left open: 0\n';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'layer8-quiet-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the child through a shell, which decides what its stderr is, and returns what stdout got. */
function shell(command: string): string {
  const child = `"${process.execPath}" --import tsx "${CHILD}"`;
  return spawnSync('sh', ['-c', command.replaceAll('CHILD', child)], {
    encoding: 'utf8',
    timeout: 30_000,
    cwd: join(CHILD, '../../..'),
  }).stdout;
}

describe.runIf(process.platform === 'linux')('noise of a driver', { timeout: 60_000 }, () => {
  test('does not reach a pipe, and the pipe goes on', () => {
    expect(shell('{ CHILD; echo end >&2; } 2>&1 | cat')).toBe(`${SAID}end\n`);
  });

  test('does not reach a file that is appended to', () => {
    const file = join(folder, 'appended');
    shell(`echo first >${file}; { CHILD; echo end >&2; } 2>>${file}`);
    expect(readFileSync(file, 'utf8')).toBe(`first\n${SAID}end\n`);
  });

  test('is left in a file whose offset is shared, so that nothing there is overwritten', () => {
    const file = join(folder, 'shared');
    shell(`{ echo first >&2; CHILD; echo end >&2; } 2>${file}`);
    expect(readFileSync(file, 'utf8').replaceAll('noise\n', '')).toBe(`first\n${SAID}end\n`);
  });

  test('is left in a socket, which cannot be opened anew', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', CHILD]); // Node's own "pipe" is a socket
    let stderr = '';
    child.stderr.on('data', (chunk) => (stderr += chunk));
    await new Promise((resolve) => child.on('close', resolve));
    expect(stderr.replaceAll('noise\n', '')).toBe(SAID);
  });
});
