import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packagedWeights } from '../../src/hub/resolve.ts';
import { modelFiles } from './model.ts';
import { runWeights, temporaryFolder, testEnv, tree } from './run.ts';
import { COMMIT, REPO, gitSha1, sha256, startHub } from './server.ts';

const OFFLINE = 'http://127.0.0.1:9';

/** A cache with one pulled model in it. */
async function pulled(home: string, files = modelFiles()): Promise<NodeJS.ProcessEnv> {
  await using hub = await startHub({ files });
  const env = testEnv(home, hub.endpoint);
  expect((await runWeights(['pull', REPO], env)).code).toBe(0);
  return { ...env, HF_HUB_OFFLINE: '1' };
}

test('list: the clone’s weights and the cache, as a table and as JSON', async () => {
  using home = temporaryFolder();
  const env = await pulled(home.path);
  mkdirSync(join(home.path, 'hub/models--other--gpt/snapshots', COMMIT), { recursive: true });
  writeFileSync(join(home.path, 'hub/models--other--gpt/snapshots', COMMIT, 'config.json'), '{"model_type":"gpt2"}');
  const { code, stdout } = await runWeights(['list', '--format', 'json'], env);
  expect(code).toBe(0);
  const listed = JSON.parse(stdout) as { cache: string; models: { name: string; source: string }[] };
  const folder = join(home.path, 'hub/models--test-org--tiny-bert/snapshots', COMMIT);
  expect(listed.cache).toBe(join(home.path, 'hub'));
  const bytes =
    300_000 +
    ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'vocab.txt'].reduce(
      (sum, name) => sum + modelFiles()[name].length,
      0,
    );
  expect(listed.models.filter(({ source }) => source === 'cache')).toEqual([
    { name: REPO, revision: COMMIT, source: 'cache', bytes, complete: true, folder },
  ]);
  expect(listed.models.some(({ name, source }) => name === 'bert-base-uncased' && source === 'package')).toBe(
    packagedWeights() !== null,
  );
  rmSync(join(folder, 'model.safetensors'));
  const table = await runWeights(['list'], env);
  expect(table.stdout).toMatch(/^model +revision +size +folder\n/);
  expect(table.stdout).toMatch(new RegExp(`${REPO} +1234567890ab +\\d+ bytes, incomplete +${folder}\n`));
});

test('verify: every file of a pulled model, and one altered byte is found', async () => {
  using home = temporaryFolder();
  const files = modelFiles();
  const env = await pulled(home.path, files);
  const good = await runWeights(['verify', REPO], env);
  expect(good.code).toBe(0);
  expect(good.stdout).toBe(
    `${REPO}@${COMMIT}\n  config.json            43 bytes  ok\n  model.safetensors      300.0 kB  ok\n` +
      '  tokenizer.json         30 bytes  ok\n  tokenizer_config.json  22 bytes  ok\n  vocab.txt              12 bytes  ok\n',
  );
  const blobs = join(home.path, 'hub/models--test-org--tiny-bert/blobs');
  for (const [name, blob] of [
    ['model.safetensors', sha256(files['model.safetensors'])],
    ['vocab.txt', gitSha1(files['vocab.txt'])],
  ]) {
    const altered = Buffer.from(files[name]);
    altered[altered.length - 1] ^= 128;
    writeFileSync(join(blobs, blob), altered);
  }
  const bad = await runWeights(['verify', REPO, '--format', 'json'], env);
  expect(bad.code).toBe(1);
  const report = JSON.parse(bad.stdout) as { pass: boolean; models: { files: { file: string; status: string }[] }[] };
  expect(report.pass).toBe(false);
  expect(
    report.models[0].files.filter(({ status }) => status !== 'ok').map(({ file, status }) => `${file}: ${status}`),
  ).toEqual(['model.safetensors: wrong checksum', 'vocab.txt: wrong checksum']);
  const table = await runWeights(['verify', REPO], env);
  expect(table.stdout).toContain(`layer8 weights remove ${REPO} and pull it again`);
});

test('verify of a folder: its SHA256SUMS; missing and malformed are said', async () => {
  using home = temporaryFolder();
  const folder = join(home.path, 'model');
  mkdirSync(folder);
  writeFileSync(join(folder, 'a.txt'), 'hello\n');
  const env = testEnv(home.path, OFFLINE);
  const none = await runWeights(['verify', folder], env);
  expect(none).toMatchObject({ code: 3, stderr: expect.stringContaining('nothing is recorded') });
  const sum = sha256(Buffer.from('hello\n'));
  writeFileSync(join(folder, 'SHA256SUMS'), `${sum}  a.txt\n${sum} *b.txt\r\n`);
  const missing = await runWeights(['verify', folder], env);
  expect(missing.code).toBe(1);
  expect(missing.stdout).toMatch(/a\.txt +6 bytes +ok\n +b\.txt +missing\n/);
  for (const line of ['xyz  a.txt', `${sum}  ../a.txt`, `${sum}`]) {
    writeFileSync(join(folder, 'SHA256SUMS'), `${line}\n`);
    expect(await runWeights(['verify', folder], env)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('SHA256SUMS, line 1'),
    });
  }
  expect((await runWeights(['verify', join(home.path, 'none')], env)).code).toBe(3);
});

test('verify without a name looks at everything, and the pinned size of a known model', async () => {
  using home = temporaryFolder();
  const env = await pulled(home.path);
  const pinned = join(
    home.path,
    'hub/models--google-bert--bert-base-uncased/snapshots/86b5e0934494bd15c9632b12f734a8a67f723594',
  );
  cpSync(join(home.path, 'hub/models--test-org--tiny-bert/snapshots', COMMIT), pinned, {
    recursive: true,
    dereference: true,
  });
  const ran = await runWeights(['verify', '--format', 'json'], env);
  const { models } = JSON.parse(ran.stdout) as { models: { name: string; pass: boolean; files: unknown[] }[] };
  expect(ran.code).toBe(1);
  expect(models.find(({ name }) => name === REPO)?.pass).toBe(true);
  expect(models.find(({ name }) => name === 'google-bert/bert-base-uncased')?.files).toContainEqual({
    file: 'model.safetensors',
    bytes: 300_000,
    status: 'wrong size',
    expected: '440449768 bytes',
    found: '300000 bytes',
  });
});

test('path prints the snapshot, or says what to do', async () => {
  using home = temporaryFolder();
  const env = await pulled(home.path);
  const folder = join(home.path, 'hub/models--test-org--tiny-bert/snapshots', COMMIT);
  for (const name of [REPO, `${REPO}@main`, `${REPO}@${COMMIT}`]) {
    expect(await runWeights(['path', name], env)).toEqual({ code: 0, stdout: `${folder}\n`, stderr: '' });
  }
  const absent = await runWeights(['path', 'google-bert/bert-base-uncased'], env);
  expect(absent.code).toBe(3);
  expect(absent.stderr).toContain('layer8 weights pull google-bert/bert-base-uncased');
  rmSync(join(folder, 'config.json'));
  expect(await runWeights(['path', REPO], env)).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('config.json missing in'),
  });
});

test('remove deletes that model and nothing beside it', async () => {
  using home = temporaryFolder();
  const env = await pulled(home.path);
  const hub = join(home.path, 'hub');
  mkdirSync(join(hub, 'models--test-org--tiny-bert-2'));
  writeFileSync(join(hub, 'models--test-org--tiny-bert-2/file'), '');
  expect(await runWeights(['remove', REPO], env)).toEqual({
    code: 0,
    stdout: `Removed ${REPO}: 300.1 kB.\n`,
    stderr: '',
  });
  expect(tree(home.path)).toEqual(['hub/models--test-org--tiny-bert-2/file']);
  expect(await runWeights(['remove', REPO], env)).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('is not in the cache'),
  });
});

test('remove refuses what leads out of the cache', async () => {
  using home = temporaryFolder();
  const env = testEnv(home.path, OFFLINE);
  const outside = join(home.path, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'file'), 'kept');
  mkdirSync(join(home.path, 'hub'));
  symlinkSync(outside, join(home.path, 'hub/models--test-org--tiny-bert'));
  expect(await runWeights(['remove', REPO], env)).toMatchObject({
    code: 7,
    stderr: expect.stringContaining('refused to remove'),
  });
  for (const name of ['../outside', '/etc', '..', 'a/../../outside', '.', 'a\\b', 'a/b/c', 'a--b', '', 'x/', '-/x']) {
    expect((await runWeights(['remove', '--', name], env)).code).toBe(2);
  }
  expect((await runWeights(['remove', `${REPO}@main`], env)).stderr).toContain(`give ${REPO}, without @main`);
  expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('kept');
});

test.each([
  [[], 'layer8 weights takes one of list, pull, verify, path, remove'],
  [['push'], "takes one of list, pull, verify, path, remove, not 'push'"],
  [['pull'], 'pull needs the name of a model'],
  [['pull', 'a/b', 'c/d'], 'pull takes one name, not 2'],
  [['list', 'a/b'], 'list takes no name'],
  [['pull', '../x'], "'../x' is not the name of a model on the hub"],
  [['pull', 'a/b@../x'], 'is not the name of a model'],
  [['pull', 'a/b@'], 'is not the name of a model'],
  [['list', '--format', 'xml'], "--format takes table or json, not 'xml'"],
  [['pull', 'a/b', '--format', 'json'], '--format is an option of list and verify'],
  [['list', '--force'], "Unknown option '--force'"],
  [['list', '--format'], '--format'],
])('wrong usage %j: exit 2, naming what is taken', async (args, text) => {
  using home = temporaryFolder();
  const ran = await runWeights(args, testEnv(home.path, OFFLINE));
  expect(ran.code).toBe(2);
  expect(ran.stderr).toContain(text);
});

test.each([
  ['HF_ENDPOINT', 'ftp://x'],
  ['HF_ENDPOINT', 'https://user:word@x'],
  ['HF_ENDPOINT', 'x'],
  ['HF_HUB_DOWNLOAD_TIMEOUT', 'long'],
  ['LAYER8_RETRY_BASE_MS', '-1'],
])('%s=%s: exit 2, naming the variable', async (name, value) => {
  using home = temporaryFolder();
  const ran = await runWeights(['list'], testEnv(home.path, OFFLINE, { [name]: value }));
  expect(ran).toMatchObject({ code: 2, stderr: expect.stringContaining(name) });
  expect(ran.stderr).not.toContain('word');
});

test('--help names every action and variable', async () => {
  const ran = await runWeights(['--help'], {});
  expect(ran.code).toBe(0);
  for (const word of ['list', 'pull', 'verify', 'path', 'remove', 'HF_TOKEN', 'HF_HOME', '--format'])
    expect(ran.stdout).toContain(word);
});
