import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { withLock } from '../../src/hub/lock.ts';
import { killPulls } from './kill.ts';
import { modelFiles } from './model.ts';
import { leftovers, runWeights, temporaryFolder, testEnv } from './run.ts';
import { REPO, startHub } from './server.ts';
import { spawnWeights } from './spawn.ts';

// fault 57
test('eight processes at once: one download, all succeed', { timeout: 90_000 }, async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  await using hub = await startHub({ files, paceMs: 50 });
  const env = testEnv(home.path, hub.endpoint);
  const runs = await Promise.all(Array.from({ length: 8 }, () => spawnWeights(['pull', REPO], env).ended));
  for (const run of runs) expect(run).toEqual({ code: 0, stdout: runs[0].stdout, stderr: '' });
  for (const name of ['config.json', 'model.safetensors']) expect(hub.downloads(name)).toHaveLength(1);
  expect(readFileSync(join(runs[0].stdout.trim(), 'model.safetensors')).equals(files['model.safetensors'])).toBe(true);
  expect(leftovers(home.path)).toEqual([]);
});

// fault 56
test('kill −9 at ten random moments: never a wrong file, and the next run goes on', { timeout: 120_000 }, async () => {
  expect(await killPulls(10)).toBeGreaterThan(0);
});

const sign = (pid: number, host: string) => JSON.stringify({ pid, host, id: 'test' });
/** Above the largest process id that Linux gives. */
const NO_PROCESS = 4_194_305;

test('the lock of a process that is gone is taken over at once', async () => {
  using home = temporaryFolder();
  const path = join(home.path, '.locks/model/layer8.lock');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, sign(NO_PROCESS, hostname()));
  const started = performance.now();
  expect(await withLock(path, {}, async () => readFileSync(path, 'utf8'))).toContain(`"pid":${process.pid}`);
  expect(performance.now() - started).toBeLessThan(1000);
  expect(leftovers(home.path)).toEqual([]);
});

test('the lock of another machine is respected while its heartbeat goes on, and taken over when it stops', async () => {
  using home = temporaryFolder();
  const path = join(home.path, 'layer8.lock');
  writeFileSync(path, sign(1, 'another-machine'));
  const beat = { on: true };
  const heart = (async () => {
    for (let seconds = 1; beat.on; seconds++) {
      utimesSync(path, seconds, seconds);
      await sleep(50);
    }
  })();
  let entered = false;
  let waited = 0;
  const work = withLock(path, { staleMs: 400, onWait: () => waited++ }, async () => {
    entered = true;
  });
  await sleep(900);
  expect(entered).toBe(false);
  expect(waited).toBe(1);
  beat.on = false;
  await heart;
  await work;
  expect(entered).toBe(true);
});

test('an unsigned lock, of a process killed before it wrote its name, goes stale', async () => {
  using home = temporaryFolder();
  const path = join(home.path, 'layer8.lock');
  writeFileSync(path, '');
  expect(await withLock(path, { staleMs: 200 }, async () => 'in')).toBe('in');
});

test('twenty in one process take turns, also when the first lock is a dead one', async () => {
  using home = temporaryFolder();
  const path = join(home.path, 'layer8.lock');
  writeFileSync(path, sign(NO_PROCESS, hostname()));
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 20 }, () =>
      withLock(path, {}, async () => {
        most = Math.max(most, ++inside);
        await sleep(5);
        inside--;
      }),
    ),
  );
  expect(most).toBe(1);
  expect(leftovers(home.path)).toEqual([]);
});

test('the lock is released when the work fails, and waiting for it can be interrupted', async () => {
  using home = temporaryFolder();
  const path = join(home.path, 'layer8.lock');
  await expect(withLock(path, {}, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(leftovers(home.path)).toEqual([]);
  writeFileSync(path, sign(1, 'another-machine'));
  const abort = new AbortController();
  const waiting = withLock(path, { signal: abort.signal }, async () => 'in');
  abort.abort();
  await expect(waiting).rejects.toThrow('interrupted');
});

test('a pull whose process died in the middle does not make the next one wait', async () => {
  using home = temporaryFolder();
  await using hub = await startHub({ files: modelFiles() });
  const path = join(home.path, 'hub/.locks/models--test-org--tiny-bert/layer8.lock');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, sign(NO_PROCESS, hostname()));
  expect((await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint))).code).toBe(0);
});
