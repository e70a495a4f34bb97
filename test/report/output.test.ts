import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fileOutput, Gathered } from '../../src/report/output.ts';
import { BrokenPipe, send } from '../../src/report/stream.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layer8-output-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a file appears when it is committed, and not before', async () => {
  const path = join(folder, 'result.json');
  const output = await fileOutput(path);
  await output.write('日本 ');
  await output.write('fox');
  expect(readdirSync(folder)).not.toContain('result.json');
  await output.commit();
  await output.discard();
  expect(readdirSync(folder)).toEqual(['result.json']);
  expect(readFileSync(path, 'utf8')).toBe('日本 fox');
});

test('what is discarded leaves the file as it was', async () => {
  const path = join(folder, 'result.json');
  writeFileSync(path, 'before');
  const output = await fileOutput(path);
  await output.write('half');
  await output.discard();
  expect(readdirSync(folder)).toEqual(['result.json']);
  expect(readFileSync(path, 'utf8')).toBe('before');
});

test('a link is followed and the mode of a file is kept', async () => {
  const path = join(folder, 'real');
  writeFileSync(path, 'before');
  chmodSync(path, 0o600);
  symlinkSync('real', join(folder, 'link'));
  const output = await fileOutput(join(folder, 'link'));
  await output.write('after');
  await output.commit();
  expect(readFileSync(path, 'utf8')).toBe('after');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder).sort()).toEqual(['link', 'real']);
});

test.runIf(process.platform !== 'win32')('a pipe is written, not replaced by a file', async () => {
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const reader = execFileSync.bind(null, 'sh', ['-c', `cat "${path}" > "${path}.copy" &`], { stdio: 'ignore' });
  reader();
  const output = await fileOutput(path);
  await output.write('through');
  await output.commit();
  expect(statSync(path).isFIFO()).toBe(true);
  await expect.poll(() => readFileSync(`${path}.copy`, 'utf8')).toBe('through');
});

test('a folder, and a folder that is missing, are said so', async () => {
  await expect(fileOutput(folder)).rejects.toThrow(/cannot write .*: it is a folder/);
  await expect(fileOutput(join(folder, 'missing', 'f'))).rejects.toThrow(/no such file or directory/);
});

test('a slow reader holds the writer back', async () => {
  const slow = new PassThrough({ highWaterMark: 16 });
  let done = 0;
  const writing = (async () => {
    for (; done < 100; done++) await send(slow, 'x'.repeat(10));
  })();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(done).toBeLessThan(10);
  slow.resume();
  await writing;
  expect(done).toBe(100);
});

test('a reader that has gone is told apart from a full disk', async () => {
  const failing = (code: string, errno: number) => {
    const stream = new Writable({ write: (_, __, done) => done(Object.assign(new Error(code), { code, errno })) });
    stream.on('error', () => undefined);
    return stream;
  };
  await expect(send(failing('EPIPE', -32), 'x')).rejects.toBeInstanceOf(BrokenPipe);
  await expect(send(failing('ENOSPC', -28), 'x')).rejects.toThrow(
    'cannot write to standard output: no space left on device',
  );
});

test('small writes are gathered and none is lost', async () => {
  const writes: string[] = [];
  const gathered = new Gathered(async (text) => void writes.push(text));
  let expected = '';
  for (let i = 0; i < 5000; i++) {
    const text = `${i} ${'x'.repeat(i % 50)}\n`;
    expected += text;
    await gathered.add(text);
  }
  await gathered.flush();
  await gathered.flush();
  expect(writes.join('')).toBe(expected);
  expect(writes.length).toBeLessThan(10);
});
