import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { load } from '../../src/index.ts';
import type { Layer8, LoadOptions } from '../../src/index.ts';
import { ADAPTER } from '../support.ts';

/** A file that test/fixtures/analysis/record.py recorded. */
export async function recorded<T>(name: string): Promise<T> {
  return JSON.parse(await readFile(new URL(`../fixtures/analysis/${name}.json`, import.meta.url), 'utf8')) as T;
}

const opened: Layer8[] = [];
const folders: string[] = [];

afterAll(async () => {
  for (const layer8 of opened) await layer8[Symbol.asyncDispose]();
  for (const folder of folders) await rm(folder, { recursive: true });
});

/** A model on the adapter of the tests, disposed when the file's tests are done. */
export async function loadHere(options: LoadOptions): Promise<Layer8> {
  const layer8 = await load({ adapter: ADAPTER, ...options });
  opened.push(layer8);
  return layer8;
}

/** A folder that is removed when the file's tests are done. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'layer8-analysis-'));
  folders.push(folder);
  return folder;
}
