import { chmodSync, existsSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { linkBlob, modelFolder, writeRef } from '../../src/hub/cache.ts';
import { digestOfEtag, formatBytes, hashFile } from '../../src/hub/disk.ts';
import { modelFiles } from './model.ts';
import { runWeights, temporaryFolder, testEnv, tree } from './run.ts';
import { COMMIT, REPO, gitSha1, sha256, startHub } from './server.ts';
import { spawnWeights } from './spawn.ts';

/** The user `nobody`, whom permissions hold back even where the tests run as root. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

// fault 55
test.runIf(existsSync('/dev/full'))('the disk runs full in the middle: an error that says so', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  await using hub = await startHub({ files });
  // Whatever is written to the partial file meets a real ENOSPC.
  const partial = join(
    home.path,
    'hub/models--test-org--tiny-bert/blobs',
    `${sha256(files['model.safetensors'])}.layer8.incomplete`,
  );
  mkdirSync(dirname(partial), { recursive: true });
  symlinkSync('/dev/full', partial);
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
  expect(ran.code).toBe(7);
  expect(ran.stderr).toContain('the disk is full\nFree some space and run the command again');
  expect(tree(home.path).filter((path) => path.endsWith('model.safetensors'))).toEqual([]);
});

// fault 55
test(
  'a cache that cannot be written: permission denied, and where it may go instead',
  { timeout: 30_000 },
  async () => {
    using home = temporaryFolder();
    await using hub = await startHub({ files: modelFiles() });
    chmodSync(home.path, 0o555);
    const ran = await spawnWeights(
      ['pull', REPO],
      testEnv(home.path, hub.endpoint),
      isRoot ? { uid: NOBODY, gid: NOBODY } : {},
    ).ended;
    chmodSync(home.path, 0o755);
    expect(ran.code).toBe(7);
    expect(ran.stderr).toContain('permission denied\nSet HF_HOME to a folder that can be written.');
    expect(hub.requests).toEqual([]);
  },
);

// fault 55
test.runIf(process.platform === 'linux').each(['/proc', '/sys'])(
  'a cache on a file system that takes no files: %s',
  async (root) => {
    await using hub = await startHub({ files: modelFiles() });
    const ran = await runWeights(['pull', REPO], testEnv(`${root}/layer8`, hub.endpoint));
    expect(ran.code).toBe(7);
    expect(ran.stderr).toContain(`cannot create the folder ${root}/layer8: `);
  },
);

test('HF_HOME is a file, or a file is in the way of a folder', async () => {
  using home = temporaryFolder();
  await using hub = await startHub({ files: modelFiles() });
  const file = join(home.path, 'file');
  writeFileSync(file, '');
  const ran = await runWeights(['pull', REPO], testEnv(file, hub.endpoint));
  expect(ran).toMatchObject({ code: 7, stderr: expect.stringContaining('a part of the path is a file, not a folder') });
  const blobs = join(home.path, 'hub/models--test-org--tiny-bert/blobs');
  mkdirSync(dirname(blobs), { recursive: true });
  writeFileSync(blobs, '');
  const second = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
  expect(second).toMatchObject({
    code: 7,
    stderr: expect.stringMatching(/a file is in the way|a part of the path is a file/),
  });
});

test('something that is no lock lies where the lock belongs', { timeout: 20_000 }, async () => {
  using home = temporaryFolder();
  await using hub = await startHub({ files: modelFiles() });
  mkdirSync(join(home.path, 'hub/.locks/models--test-org--tiny-bert/layer8.lock'), { recursive: true });
  const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
  expect(ran).toMatchObject({ code: 7, stderr: expect.stringContaining('a file is in the way that cannot be read') });
});

test('where links cannot be made, the blob itself moves into the snapshot', async () => {
  using home = temporaryFolder();
  const [blob, pointer] = [join(home.path, 'blobs/abc'), join(home.path, 'snapshots/rev/file')];
  await mkdir(dirname(blob));
  writeFileSync(blob, 'content');
  const noLinks = () => Promise.reject(Object.assign(new Error('not permitted'), { code: 'EPERM' }));
  expect(await linkBlob(blob, pointer, noLinks)).toBe('moved');
  expect(readFileSync(pointer, 'utf8')).toBe('content');
  expect(tree(home.path)).toEqual(['snapshots/rev/file']);
});

test('a link that leads elsewhere is replaced, one that is right is left', async () => {
  using home = temporaryFolder();
  const [blob, pointer] = [join(home.path, 'blobs/abc'), join(home.path, 'snapshots/rev/file')];
  mkdirSync(dirname(pointer), { recursive: true });
  symlinkSync('../../blobs/old', pointer);
  expect(await linkBlob(blob, pointer)).toBe('linked');
  expect(readlinkSync(pointer)).toBe('../../blobs/abc');
  const never = () => Promise.reject(new Error('called'));
  expect(await linkBlob(blob, pointer, never)).toBe('linked');
});

test('a snapshot of plain files, as on Windows: found, verified by SHA256SUMS, not downloaded again', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  await using hub = await startHub({ files });
  const env = testEnv(home.path, hub.endpoint);
  const snapshot = join(home.path, 'hub/models--test-org--tiny-bert/snapshots', COMMIT);
  mkdirSync(snapshot, { recursive: true });
  for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'vocab.txt', 'model.safetensors']) {
    writeFileSync(join(snapshot, name), files[name]);
  }
  expect((await runWeights(['pull', REPO], env)).code).toBe(0);
  expect(hub.requests).toHaveLength(1);
  expect((await runWeights(['verify', REPO], env)).stderr).toContain('nothing is recorded');
  writeFileSync(join(snapshot, 'SHA256SUMS'), `${sha256(files['model.safetensors'])}  model.safetensors\n`);
  expect((await runWeights(['verify', REPO], env)).code).toBe(0);
  writeFileSync(join(snapshot, 'model.safetensors'), 'damaged');
  expect((await runWeights(['verify', REPO], env)).code).toBe(1);
  expect((await runWeights(['pull', REPO], env)).code).toBe(0);
  expect((await runWeights(['verify', REPO], env)).code).toBe(0);
});

test('refs of branches with a slash, written in one step', async () => {
  using home = temporaryFolder();
  const folder = modelFolder(home.path, REPO);
  mkdirSync(dirname(folder.lock), { recursive: true });
  await writeRef(folder, 'refs/pr/1', COMMIT);
  expect(tree(home.path)).toEqual(['models--test-org--tiny-bert/refs/refs/pr/1']);
});

test('digests, as git and sha256sum give them', async () => {
  using home = temporaryFolder();
  const path = join(home.path, 'hello');
  writeFileSync(path, 'hello\n');
  expect(await hashFile(path, 6, 'git-sha1')).toBe('ce013625030ba8dba906f756967f9e9ca394464a');
  expect(await hashFile(path, 6, 'sha256')).toBe('5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03');
  expect(gitSha1(Buffer.from('hello\n'))).toBe('ce013625030ba8dba906f756967f9e9ca394464a');
  expect(digestOfEtag('A'.repeat(64))).toBeNull();
  expect(digestOfEtag('../../../x')).toBeNull();
  await expect(hashFile(join(home.path, 'none'), 1, 'sha256')).rejects.toThrow('no such file or folder');
});

test('bytes as a person reads them', () => {
  expect([0, 999, 1000, 440_449_768, 999_999, 1.5e12].map(formatBytes)).toEqual([
    '0 bytes',
    '999 bytes',
    '1.0 kB',
    '440.4 MB',
    '1.0 MB',
    '1.5 TB',
  ]);
});
