import { expect, test } from 'vitest';
import { run } from '../cli/run.ts';
import { modelFiles } from '../hub/model.ts';
import { leftovers, temporaryFolder, testEnv, tree } from '../hub/run.ts';
import { REPO, startHub } from '../hub/server.ts';
import { expectFailure } from './support.ts';

// A hub that misbehaves, met by the real command. test/hub has every way in which it may.

// faults 50, 53, 58
test('a pull that fails is one line and exit 7, and leaves nothing', { timeout: 60_000 }, async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  const altered = Buffer.from(files['model.safetensors']);
  altered[0] ^= 1;
  await using hub = await startHub({
    files,
    intercept: ({ server }, response) => {
      if (server === 'cdn') response.writeHead(200, { 'content-length': altered.length }).end(altered);
      return server === 'cdn';
    },
  });
  const pull = (name: string, more: Record<string, string> = {}) =>
    run(['weights', 'pull', name], { env: { ...testEnv(home.path, hub.endpoint, more) } as Record<string, string> });

  expectFailure(
    await pull(REPO, { HF_HUB_OFFLINE: '1' }),
    7,
    /HF_HUB_OFFLINE is set, and test-org\/tiny-bert@main is not/,
  );
  expect(hub.requests).toEqual([]);
  expectFailure(await pull('test-org/other'), 7, /test-org\/other/);
  expectFailure(await pull(REPO), 7, /model\.safetensors of test-org\/tiny-bert has the wrong sha256/);
  expect(leftovers(home.path)).toEqual([]);
  expect(tree(home.path).filter((path) => path.endsWith('.safetensors'))).toEqual([]);
});

// fault 49
test('no network: one line, exit 7', async () => {
  using home = temporaryFolder();
  const hub = await startHub({ files: {} });
  await hub[Symbol.asyncDispose]();
  const env = { ...testEnv(home.path, hub.endpoint) } as Record<string, string>;
  expectFailure(await run(['weights', 'pull', REPO], { env }), 7, /127\.0\.0\.1:\d+.*connection refused/);
  expect(tree(home.path)).toEqual([]);
});
