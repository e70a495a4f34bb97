import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { modelFiles } from './model.ts';
import { leftovers, runWeights, temporaryFolder, testEnv, tree } from './run.ts';
import type { Intercept } from './server.ts';
import { COMMIT, REPO, sendFile, sha256, startHub } from './server.ts';

const WEIGHTS = 'model.safetensors';
const ROOT = 'hub/models--test-org--tiny-bert';
const POINTER = `${ROOT}/snapshots/${COMMIT}/${WEIGHTS}`;

/** Applies to requests for the weights at the content server, with the number of the request, from 1. */
function onWeights(answer: (count: number, ...args: Parameters<Intercept>) => boolean | Promise<boolean>): Intercept {
  let count = 0;
  return (request, ...rest) => (request.server === 'cdn' ? answer(++count, request, ...rest) : false);
}

/** Sends `upTo` bytes of the body that the request asks for and cuts the connection. */
function cutAt(upTo: number, content: Buffer, ranges: boolean): Intercept {
  return (request, response) => {
    const start = ranges ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': content.length - start,
      etag: '"cut"',
      ...(start > 0 && { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
    });
    response.write(content.subarray(start, start + upTo), () => response.destroy());
    if (upTo === 0) response.flushHeaders();
    return true;
  };
}

test(
  'cut at any bytes, with ranges and without: the same file, and nothing beside it',
  { timeout: 60_000 },
  async () => {
    const files = modelFiles(40_000);
    const content = files[WEIGHTS];
    const cuts = fc.array(fc.oneof(fc.nat(content.length - 1), fc.constantFrom(0, 1, content.length - 1)), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(cuts, fc.boolean(), async (positions, ranges) => {
        using home = temporaryFolder();
        await using hub = await startHub({
          files,
          ranges,
          intercept: onWeights(
            (count, ...args) => count <= positions.length && cutAt(positions[count - 1], content, ranges)(...args),
          ),
        });
        const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
        expect(ran.stderr).toBe('');
        expect(readFileSync(join(home.path, POINTER)).equals(content)).toBe(true);
        expect(leftovers(home.path)).toEqual([]);
      }),
      { numRuns: 25 },
    );
  },
);

// fault 52
test('after a cut: the rest by Range, with If-Range of the answer that was cut', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  await using hub = await startHub({
    files,
    intercept: onWeights((count, ...args) => count === 1 && cutAt(100_000, files[WEIGHTS], true)(...args)),
  });
  expect((await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint))).code).toBe(0);
  const [first, second] = hub.downloads(WEIGHTS);
  expect(first.headers.range).toBeUndefined();
  const from = Number(/^bytes=(\d+)-$/.exec(second.headers.range ?? '')?.[1]);
  expect(from).toBeGreaterThan(0);
  expect(from).toBeLessThanOrEqual(100_000);
  expect(second.headers['if-range']).toBe('"cut"');
});

test('a partial file of an earlier run is gone on with; one with wrong bytes costs a second download, no wrong file', async () => {
  const files = modelFiles();
  const content = files[WEIGHTS];
  for (const [partial, requests] of [
    [content.subarray(0, 200_000), 1],
    [Buffer.alloc(200_000, 1), 2],
    [Buffer.concat([content, Buffer.from('too long')]), 1],
    [content, 0],
    [Buffer.alloc(content.length, 1), 1],
  ] as const) {
    using home = temporaryFolder();
    await using hub = await startHub({ files });
    const path = join(home.path, ROOT, 'blobs', `${sha256(content)}.layer8.incomplete`);
    await mkdir(dirname(path), { recursive: true });
    writeFileSync(path, partial);
    expect((await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint))).code).toBe(0);
    expect(hub.downloads(WEIGHTS)).toHaveLength(requests);
    expect(readFileSync(join(home.path, POINTER)).equals(content)).toBe(true);
    expect(leftovers(home.path)).toEqual([]);
  }
});

// fault 53
test('wrong bytes of the right size: one more try, then an error and nothing kept', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  const wrong = Buffer.from(files[WEIGHTS]);
  wrong[123_456] ^= 1;
  await using hub = await startHub({
    files,
    intercept: onWeights((_, request, response) => {
      sendFile(request, response, wrong, '"wrong"', {});
      return true;
    }),
  });
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
  expect(ran.code).toBe(7);
  expect(ran.stderr).toContain(
    `has the wrong sha256: ${sha256(wrong)} instead of ${sha256(files[WEIGHTS])}; nothing was kept`,
  );
  expect(hub.downloads(WEIGHTS)).toHaveLength(2);
  expect(tree(home.path).filter((path) => path.includes(sha256(files[WEIGHTS])) || path.includes(WEIGHTS))).toEqual([]);
});

test('a small file with wrong bytes is refused by the id of its git blob', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  const wrong = Buffer.from(files['vocab.txt']);
  wrong[3] ^= 1;
  await using hub = await startHub({
    files,
    intercept: (request, response) => {
      if (!request.url.endsWith('/vocab.txt')) return false;
      sendFile(request, response, wrong, '"any"', {});
      return true;
    },
  });
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
  expect(ran.code).toBe(7);
  expect(ran.stderr).toContain('vocab.txt of test-org/tiny-bert has the wrong git-sha1');
});

// fault 53
test.each([
  ['shorter, as announced', -1000, true],
  ['longer, as announced', 1000, true],
  ['longer, without a length', 1000, false],
  ['shorter, without a length', -1000, false],
])('a file of another size (%s): an error and nothing kept', async (_, difference, announced) => {
  using home = temporaryFolder();
  const files = modelFiles();
  const right = files[WEIGHTS];
  const wrong = difference < 0 ? right.subarray(0, difference) : Buffer.concat([right, Buffer.alloc(difference)]);
  await using hub = await startHub({
    files,
    intercept: onWeights((_count, request, response) => {
      if (announced || request.headers.range !== undefined) sendFile(request, response, wrong, '"wrong"', {});
      else response.writeHead(200).end(wrong);
      return true;
    }),
  });
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
  expect(ran.code).toBe(7);
  expect(ran.stderr).toMatch(/has the wrong size: .* bytes instead of 300000; nothing was kept/);
  expect(tree(home.path).filter((path) => path.includes(sha256(right)))).toEqual([]);
});

test('a server that sends another part than the one asked for is not believed', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  const content = files[WEIGHTS];
  await using hub = await startHub({
    files,
    intercept: onWeights((count, request, response, self) => {
      if (count === 1) return cutAt(100_000, content, true)(request, response, self);
      if (request.headers.range === undefined) return false;
      response
        .writeHead(206, { 'content-range': `bytes 5-${content.length - 1}/${content.length}` })
        .end(content.subarray(5));
      return true;
    }),
  });
  expect((await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint))).code).toBe(0);
  expect(readFileSync(join(home.path, POINTER)).equals(content)).toBe(true);
});

// fault 51
test('a stall in the middle ends after HF_HUB_DOWNLOAD_TIMEOUT and is resumed', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  await using hub = await startHub({
    files,
    intercept: onWeights((count, _, response) => {
      if (count > 1) return false;
      response.writeHead(200, { 'content-length': files[WEIGHTS].length });
      response.write(files[WEIGHTS].subarray(0, 50_000));
      return true;
    }),
  });
  expect(
    (await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint, { HF_HUB_DOWNLOAD_TIMEOUT: '0.5' }))).code,
  ).toBe(0);
  expect(hub.downloads(WEIGHTS)[1].headers.range).toMatch(/^bytes=\d+-$/);
});

// fault 51
test('a server that never answers: an error that says so', async () => {
  using home = temporaryFolder();
  await using hub = await startHub({ files: modelFiles(), intercept: () => true });
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint, { HF_HUB_DOWNLOAD_TIMEOUT: '0.1' }));
  expect(ran.code).toBe(7);
  expect(ran.stderr).toContain('the download stalled: no byte from 127.0.0.1');
  expect(hub.requests).toHaveLength(6);
});

// fault 51
test('slow is not stalled', async () => {
  using home = temporaryFolder();
  await using hub = await startHub({ files: modelFiles(), paceMs: 150 });
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint, { HF_HUB_DOWNLOAD_TIMEOUT: '2' }));
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(hub.downloads(WEIGHTS)).toHaveLength(1);
});

// fault 55
test('more than the disk can hold is said before the download', async () => {
  using home = temporaryFolder();
  await using hub = await startHub({
    files: modelFiles(),
    intercept: ({ url }, response, self) => {
      if (!url.startsWith('/api/')) return false;
      const file = (rfilename: string) => ({ rfilename, size: 2 ** 52, lfs: { sha256: 'a'.repeat(64) } });
      response.end(JSON.stringify({ sha: self.commit, siblings: [file('config.json'), file(WEIGHTS)] }));
      return true;
    },
  });
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
  expect(ran.code).toBe(7);
  expect(ran.stderr).toMatch(/the disk is too full for the download: 4\.5 PB needed, .* free in /);
  expect(hub.downloads(WEIGHTS)).toEqual([]);
});
