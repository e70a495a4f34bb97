import { expect, test } from 'vitest';
import { temporaryFolder, TEXT, tinyModel } from '../faults/support.ts';
import { expectOneCopy, killUnpacking, UNPACKING } from './kill.ts';
import { run } from './run.ts';

// fault 57
test('eight processes with an empty cache: all succeed, one copy', { timeout: 120_000 }, async () => {
  const model = tinyModel('F32');
  const cache = temporaryFolder();
  const runs = await Promise.all(
    Array.from({ length: 8 }, () => run([...UNPACKING, '--model', model, TEXT], { env: { XDG_CACHE_HOME: cache } })),
  );
  for (const one of runs) expect(one).toEqual({ ...runs[0], code: 0, stderr: '' });
  expect(JSON.parse(runs[0].stdout).ranked).toBe(6);
  expectOneCopy(cache);
});

// fault 56
test('kill −9 at three moments of the first unpacking of the software adapter', { timeout: 120_000 }, async () => {
  await killUnpacking(3);
});
