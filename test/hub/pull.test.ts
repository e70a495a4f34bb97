import { mkdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { modelFiles, shardedFiles } from './model.ts';
import { leftovers, runWeights, temporaryFolder, testEnv, tree } from './run.ts';
import { COMMIT, REPO, gitSha1, sha256, startHub } from './server.ts';

const NEEDED = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json', 'vocab.txt'];
const ROOT = 'hub/models--test-org--tiny-bert';

test('pull brings the needed files, and no other, into Hugging Face’s layout', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  await using hub = await startHub({ files });
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
  const snapshot = join(home.path, ROOT, 'snapshots', COMMIT);
  expect(ran).toEqual({ code: 0, stdout: `${snapshot}\n`, stderr: '' });
  const blobs = NEEDED.map((name) => (name.endsWith('.safetensors') ? sha256(files[name]) : gitSha1(files[name])));
  expect(tree(home.path)).toEqual(
    [
      ...blobs.map((blob) => `${ROOT}/blobs/${blob}`),
      `${ROOT}/refs/main`,
      ...NEEDED.map((name) => `${ROOT}/snapshots/${COMMIT}/${name}`),
    ].sort(),
  );
  for (const name of NEEDED) {
    expect(readFileSync(join(snapshot, name)).equals(files[name])).toBe(true);
    expect(readlinkSync(join(snapshot, name))).toMatch(/^\.\.\/\.\.\/blobs\//);
  }
  expect(readFileSync(join(home.path, ROOT, 'refs/main'), 'utf8')).toBe(COMMIT);
});

test('a second pull downloads nothing; of a commit it does not even ask', async () => {
  using home = temporaryFolder();
  await using hub = await startHub({ files: modelFiles() });
  const env = testEnv(home.path, hub.endpoint);
  await runWeights(['pull', REPO], env);
  hub.requests.length = 0;
  expect((await runWeights(['pull', REPO], env)).code).toBe(0);
  expect(hub.requests.map(({ url }) => url)).toEqual([`/api/models/${REPO}/revision/main?blobs=true`]);
  hub.requests.length = 0;
  expect((await runWeights(['pull', `${REPO}@${COMMIT}`], env)).code).toBe(0);
  expect(hub.requests).toEqual([]);
});

test('a file that is missing or too short is fetched again, alone', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  await using hub = await startHub({ files });
  const env = testEnv(home.path, hub.endpoint);
  await runWeights(['pull', REPO], env);
  const blobs = join(home.path, ROOT, 'blobs');
  rmSync(join(blobs, gitSha1(files['vocab.txt'])));
  writeFileSync(join(blobs, sha256(files['model.safetensors'])), 'short');
  hub.requests.length = 0;
  expect((await runWeights(['pull', REPO], env)).code).toBe(0);
  expect(hub.requests.map(({ server, url }) => `${server} ${url.split('/').pop()}`)).toEqual([
    'hub main?blobs=true',
    'hub vocab.txt',
    'hub model.safetensors',
    'cdn model.safetensors?signature=secret',
  ]);
  expect(
    readFileSync(join(home.path, ROOT, 'snapshots', COMMIT, 'model.safetensors')).equals(files['model.safetensors']),
  ).toBe(true);
});

test('sharded weights: the index, then each shard it names', async () => {
  using home = temporaryFolder();
  const files = shardedFiles(3);
  await using hub = await startHub({ files: { ...files, 'model-unused.safetensors': Buffer.alloc(10) } });
  const env = testEnv(home.path, hub.endpoint);
  const ran = await runWeights(['pull', REPO], env);
  expect(ran.code).toBe(0);
  const snapshot = ran.stdout.trim();
  for (const name of Object.keys(files).filter((file) => file.startsWith('model'))) {
    expect(readFileSync(join(snapshot, name)).equals(files[name])).toBe(true);
  }
  expect(tree(snapshot)).not.toContain('model-unused.safetensors');
  expect((await runWeights(['verify', REPO], env)).code).toBe(0);
});

test('a mirror without digests in its listing: those of the headers', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  await using hub = await startHub({ files, blobs: false });
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
  expect(ran.code).toBe(0);
  expect(readlinkSync(join(ran.stdout.trim(), 'model.safetensors'))).toContain(sha256(files['model.safetensors']));
  expect(readlinkSync(join(ran.stdout.trim(), 'vocab.txt'))).toContain(gitSha1(files['vocab.txt']));
  const heads = hub.requests.filter(({ method }) => method === 'HEAD');
  expect(heads.every(({ server }) => server === 'hub')).toBe(true);
});

test('without any digest nothing is downloaded', async () => {
  using home = temporaryFolder();
  await using hub = await startHub({
    files: modelFiles(),
    blobs: false,
    intercept: ({ method }, response) => {
      if (method === 'HEAD') response.writeHead(200, { 'content-length': '10' }).end();
      return method === 'HEAD';
    },
  });
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
  expect(ran.code).toBe(7);
  expect(ran.stderr).toContain('gives no size and checksum for config.json');
  expect(tree(home.path)).toEqual([]);
});

test('a model without safetensors: says what it has instead', async () => {
  using home = temporaryFolder();
  const { 'model.safetensors': _, ...files } = modelFiles();
  await using hub = await startHub({ files });
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
  expect(ran.code).toBe(3);
  expect(ran.stderr).toContain('has no model.safetensors (it has pytorch_model.bin)');
  expect(hub.downloads('config.json')).toEqual([]);
});

test('the pinned model: another size or digest is refused before a byte of it is downloaded', async () => {
  using home = temporaryFolder();
  const commit = '86b5e0934494bd15c9632b12f734a8a67f723594';
  await using hub = await startHub({ files: modelFiles(), repo: 'google-bert/bert-base-uncased', commit });
  for (const name of ['google-bert/bert-base-uncased', 'bert-base-uncased', `google-bert/bert-base-uncased@main`]) {
    const ran = await runWeights(['pull', name], testEnv(home.path, hub.endpoint));
    expect(ran.code).toBe(7);
    expect(ran.stderr).toContain(
      '440449768 bytes, sha256 68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3',
    );
  }
  expect(hub.requests[0].url).toBe(`/api/models/google-bert/bert-base-uncased/revision/${commit}?blobs=true`);
  expect(hub.downloads('model.safetensors')).toEqual([]);
});

// fault 58
test('HF_HUB_OFFLINE: never a request, and what is complete is found', async () => {
  using home = temporaryFolder();
  await using hub = await startHub({ files: modelFiles() });
  const env = testEnv(home.path, hub.endpoint);
  const offline = { ...env, HF_HUB_OFFLINE: '1' };
  const before = await runWeights(['pull', REPO], offline);
  expect(before.code).toBe(7);
  expect(before.stderr).toContain('HF_HUB_OFFLINE is set');
  expect(hub.requests).toEqual([]);
  expect(tree(home.path)).toEqual([]);
  await runWeights(['pull', REPO], env);
  hub.requests.length = 0;
  expect((await runWeights(['pull', REPO], offline)).code).toBe(0);
  expect((await runWeights(['verify', REPO], offline)).code).toBe(0);
  expect(hub.requests).toEqual([]);
});

test('HF_HUB_CACHE and XDG_CACHE_HOME say where the cache is', async () => {
  using home = temporaryFolder();
  await using hub = await startHub({ files: modelFiles() });
  const { HF_HOME: _, ...env } = testEnv('', hub.endpoint);
  expect((await runWeights(['pull', REPO], { ...env, HF_HUB_CACHE: join(home.path, 'a') })).code).toBe(0);
  expect((await runWeights(['pull', REPO], { ...env, XDG_CACHE_HOME: join(home.path, 'b') })).code).toBe(0);
  expect((await runWeights(['pull', REPO], { ...env, HOME: join(home.path, 'c') })).code).toBe(0);
  expect((await runWeights(['pull', REPO], { ...env, HOME: join(home.path, 'd'), HF_HOME: '~/hf' })).code).toBe(0);
  for (const folder of ['a', 'b/huggingface/hub', 'c/.cache/huggingface/hub', 'd/hf/hub']) {
    expect(statSync(join(home.path, folder, 'models--test-org--tiny-bert/refs/main')).size).toBe(40);
  }
});

test('the signal interrupts a download: exit 130, the partial file is gone on with', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  await using hub = await startHub({ files, paceMs: 20 });
  const env = testEnv(home.path, hub.endpoint);
  const abort = new AbortController();
  const partial = join(home.path, ROOT, 'blobs', `${sha256(files['model.safetensors'])}.layer8.incomplete`);
  const watch = setInterval(() => {
    if ((statSync(partial, { throwIfNoEntry: false })?.size ?? 0) > 0) abort.abort();
  }, 5);
  const ran = await runWeights(['pull', REPO], env, abort.signal);
  clearInterval(watch);
  expect(ran.code).toBe(130);
  expect(leftovers(home.path)).toHaveLength(1);
  expect((await runWeights(['pull', REPO], env)).code).toBe(0);
  expect(hub.downloads('model.safetensors').pop()?.headers.range).toMatch(/^bytes=\d+-$/);
  expect(leftovers(home.path)).toEqual([]);
});

test('a blob of the right size at its place is linked, not downloaded', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  await using hub = await startHub({ files });
  mkdirSync(join(home.path, ROOT, 'blobs'), { recursive: true });
  writeFileSync(join(home.path, ROOT, 'blobs', sha256(files['model.safetensors'])), files['model.safetensors']);
  expect((await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint))).code).toBe(0);
  expect(hub.downloads('model.safetensors')).toEqual([]);
});
