import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import { packagedWeights, pathFromHere, resolveModel } from '../../src/hub/resolve.ts';
import { modelFiles } from './model.ts';
import { temporaryFolder } from './run.ts';

const PINNED = '86b5e0934494bd15c9632b12f734a8a67f723594';
const OTHER = 'f'.repeat(40);

/** A snapshot as another tool may have left it: plain files, only what it needed. Returns its folder. */
function snapshot(home: string, repo: string, commit: string): string {
  const folder = join(home, 'hub', `models--${repo.replace('/', '--')}`, 'snapshots', commit);
  mkdirSync(folder, { recursive: true });
  const files = modelFiles(100);
  for (const name of ['config.json', 'vocab.txt', 'model.safetensors']) writeFileSync(join(folder, name), files[name]);
  return folder;
}

function setRef(home: string, repo: string, ref: string, commit: string): void {
  const folder = join(home, 'hub', `models--${repo.replace('/', '--')}`, 'refs');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, ref), commit);
}

async function failure(promise: Promise<unknown>): Promise<ModelError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ModelError);
  return error as ModelError;
}

test('a folder is taken as it is, even where a model of that name is in the cache', async () => {
  using home = temporaryFolder();
  const folder = join(home.path, 'my-model');
  mkdirSync(folder);
  expect(await resolveModel(folder, { env: { HF_HOME: home.path } })).toEqual({ folder, name: 'my-model' });
  expect(await resolveModel(`${folder}/`, { env: { HF_HOME: home.path } })).toEqual({
    folder: `${folder}/`,
    name: 'my-model',
  });
});

test('no name: the clone’s weights, else their original in the cache, else the command that gets it', async () => {
  using home = temporaryFolder();
  const env = { HF_HOME: home.path };
  for (const name of [undefined, 'bert-base-uncased']) {
    expect(await resolveModel(name, { env, packaged: '/clone/weights' })).toEqual({
      folder: '/clone/weights',
      name: 'bert-base-uncased',
    });
    const error = await failure(resolveModel(name, { env, packaged: null }));
    expect(error.exitCode).toBe(3);
    expect(error.hint).toContain('layer8 weights pull google-bert/bert-base-uncased');
  }
  const folder = snapshot(home.path, 'google-bert/bert-base-uncased', PINNED);
  for (const name of [undefined, 'bert-base-uncased', 'google-bert/bert-base-uncased']) {
    expect(await resolveModel(name, { env, packaged: null })).toEqual({
      folder,
      name: 'google-bert/bert-base-uncased',
    });
  }
});

test('a model of the hub: the pinned commit, what main was, the only one; several are not guessed between', async () => {
  using home = temporaryFolder();
  const env = { HF_HOME: home.path };
  const find = async (name: string) => (await resolveModel(name, { env })).folder;
  const one = snapshot(home.path, 'org/one', OTHER);
  expect(await find('org/one')).toBe(one);
  const second = snapshot(home.path, 'org/one', PINNED);
  expect((await failure(find('org/one'))).message).toContain(
    `several revisions of org/one are in the cache: ${PINNED}, ${OTHER}`,
  );
  expect(await find(`org/one@${PINNED}`)).toBe(second);
  setRef(home.path, 'org/one', 'main', PINNED);
  setRef(home.path, 'org/one', 'v1', OTHER);
  expect(await find('org/one')).toBe(second);
  expect(await find('org/one@v1')).toBe(one);
  const bert = snapshot(home.path, 'google-bert/bert-base-uncased', PINNED);
  snapshot(home.path, 'google-bert/bert-base-uncased', OTHER);
  setRef(home.path, 'google-bert/bert-base-uncased', 'main', OTHER);
  expect(await find('google-bert/bert-base-uncased')).toBe(bert);
});

test('shards: each one must be there', async () => {
  using home = temporaryFolder();
  const folder = snapshot(home.path, 'org/shards', OTHER);
  rmSync(join(folder, 'model.safetensors'));
  const env = { HF_HOME: home.path };
  expect((await failure(resolveModel('org/shards', { env }))).message).toContain('model.safetensors missing');
  writeFileSync(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors' } }),
  );
  writeFileSync(join(folder, 'model-1.safetensors'), 'x');
  const error = await failure(resolveModel('org/shards', { env }));
  expect(error.message).toContain('not complete in the cache: model-2.safetensors missing');
  expect(error.hint).toContain('layer8 weights pull org/shards');
  writeFileSync(join(folder, 'model-2.safetensors'), 'x');
  expect((await resolveModel('org/shards', { env })).folder).toBe(folder);
});

test('what is there under no name: a folder, a file, a model', async () => {
  using home = temporaryFolder();
  const env = { HF_HOME: home.path };
  const absent = await failure(resolveModel('org/absent@v2', { env }));
  expect(absent.message).toBe('no such folder, and no such model in the cache: org/absent@v2');
  expect(absent.hint).toContain('layer8 weights pull org/absent@v2');
  expect((await failure(resolveModel('./weights/none', { env }))).message).toBe('no such folder: ./weights/none');
  expect((await failure(resolveModel('', { env }))).message).toBe('no such folder: ');
  const file = join(home.path, 'model.safetensors');
  cpSync(new URL(import.meta.url), file);
  expect((await failure(resolveModel(file, { env }))).message).toContain('is a file');
});

test('the clone’s weights are found from the source', () => {
  expect(packagedWeights()).toMatch(/weights[\\/]bert-base-uncased$/);
});

test('results name a folder from the working directory where it lies below; a model is found wherever the process goes', () => {
  expect(pathFromHere(resolve('weights/bert-base-uncased'))).toBe(join('weights', 'bert-base-uncased'));
  for (const elsewhere of [resolve('..', 'other'), '../other', resolve('.')])
    expect(pathFromHere(elsewhere)).toBe(elsewhere);
  expect(isAbsolute(packagedWeights() as string)).toBe(true);
});
