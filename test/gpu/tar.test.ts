import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readTar } from '../../src/gpu/tar.ts';

let folder: string;
let archive: Uint8Array;
const sizes = { empty: 0, one: 1, block: 512, more: 513, large: 100_000 };
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'layer8-tar-test-'));
  mkdirSync(join(folder, 'directory'));
  for (const [name, bytes] of Object.entries(sizes)) writeFileSync(join(folder, name), Buffer.alloc(bytes, name));
  // The system's own tar is the judge of the format.
  archive = execFileSync('tar', ['-cf', '-', '--format=ustar', '-C', folder, '.'], { maxBuffer: 1e7 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('every file comes out as it went in, at sizes around a block', () => {
  const files = readTar(archive);
  expect([...files.keys()].sort()).toEqual(Object.keys(sizes).sort());
  for (const [name, bytes] of Object.entries(sizes))
    expect(Buffer.from(files.get(name)!).equals(Buffer.alloc(bytes, name))).toBe(true);
});

test('a damaged header is an error', () => {
  const damaged = Uint8Array.from(archive);
  damaged[0] ^= 1;
  expect(() => readTar(damaged)).toThrow('tar header at byte 0 is damaged');
});

test('an archive that ends inside a file is an error', () => {
  const start = Buffer.from(archive).indexOf('./large');
  expect(() => readTar(archive.subarray(0, start + 50_000))).toThrow('tar archive ends inside ./large');
});
