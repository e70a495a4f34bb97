import { mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { outcomeOf, run, start } from './run.ts';

let folder: string;
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'layer8-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const TOKENIZE = ['tokenize', '--quiet'];

test('texts become ids, offsets and words', async () => {
  const { code, stdout, stderr } = await run([...TOKENIZE, '--format', 'json', 'The naïve 🦊', 'fox']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { model, sequences } = JSON.parse(stdout);
  expect(model.name).toBe('bert-base-uncased');
  expect(sequences.map(({ id }: { id: string }) => id)).toEqual(['0', '1']);
  const source: string = sequences[0].text;
  expect(
    sequences[0].tokens.map((token: { token: string; id: number; start: number; end: number }) => [
      token.token,
      token.id,
      token.start === null ? null : source.slice(token.start, token.end),
    ]),
  ).toEqual([
    ['[CLS]', 101, null],
    ['the', 1996, 'The'],
    ['naive', 15743, 'naïve'],
    ['[UNK]', 100, '🦊'],
    ['[SEP]', 102, null],
  ]);
});

test('a file of JSON lines, with pairs; results in a file, alone there', async () => {
  const input = file('in.jsonl', '{"id":"q","text":"Who?","pair":"The fox."}\n{"id":"z","text":""}\n');
  const output = join(folder, 'out', 'tokens.csv');
  mkdirSync(join(folder, 'out'));
  const outcome = await run([...TOKENIZE, '--file', input, '--format', 'csv', '--output', output]);
  expect(outcome).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(readdirSync(join(folder, 'out'))).toEqual(['tokens.csv']);
  const rows = readFileSync(output, 'utf8').split('\r\n');
  expect(rows[1]).toBe('q,0,[CLS],101,0,,,,true,0');
  expect(rows).toContain('q,5,fox,4419,1,4,7,1,false,0');
  expect(rows).toContain('z,1,[SEP],102,0,,,,true,0');
});

test('standard input is split into sentences, or lines, or read as JSON lines', async () => {
  const texts = async (input: string, ...args: string[]) => {
    const { stdout, stderr } = await run([...TOKENIZE, '--file', '-', '--format', 'jsonl', ...args], { input });
    expect(stderr).toBe('');
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).text);
  };
  const [sentences, lines, records, empty] = await Promise.all([
    texts('\ufeffOne fox. Two dogs!\n\nThree.'),
    texts('{One fox. Two dogs!\r\n\nThree.', '--split', 'line'),
    texts('{"text":"One fox. Two dogs!"}\n'),
    texts(' \n\t\n'),
  ]);
  expect(sentences).toEqual(['One fox.', 'Two dogs!', 'Three.']);
  expect(lines).toEqual(['{One fox. Two dogs!', 'Three.']);
  expect(records).toEqual(['One fox. Two dogs!']);
  expect(empty).toEqual(['']);
});

// fault 29
test('a fault in the middle of a file: what came before is on standard output, and no output file appears', async () => {
  const input = file('broken.jsonl', '{"text":"first"}\n{"text":\n');
  const output = join(folder, 'never.json');
  const [shown, written] = await Promise.all([
    run([...TOKENIZE, '--file', input, '--format', 'jsonl']),
    run([...TOKENIZE, '--file', input, '--format', 'json', '--output', output]),
  ]);
  expect(shown.code).toBe(4);
  expect(
    shown.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).text),
  ).toEqual(['first']);
  expect(shown.stderr).toMatch(/^layer8: .*broken\.jsonl, line 2: not JSON: [^\n]*\n$/);
  expect(written.code).toBe(4);
  expect(readdirSync(folder).filter((name) => name.includes('never'))).toEqual([]);
});

// faults 21, 22
test('files that cannot be read', async () => {
  const latin1 = file('latin1.txt', Buffer.from('caf\u00e9', 'latin1'));
  const [missing, directory, encoding] = await Promise.all([
    run([...TOKENIZE, '--file', join(folder, 'missing.txt')]),
    run([...TOKENIZE, '--file', folder]),
    run([...TOKENIZE, '--file', latin1]),
  ]);
  expect([missing.code, directory.code, encoding.code]).toEqual([4, 4, 4]);
  expect(missing.stderr).toMatch(/cannot read .*missing\.txt: no such file or directory\.\n$/);
  expect(directory.stderr).toMatch(/it is a folder/);
  expect(encoding.stderr).toMatch(/latin1\.txt is not UTF-8: byte 3 begins no character/);
});

// fault 24
test('a text over the limit: windows, an error, or whole', async () => {
  const long = 'fox '.repeat(700);
  const [windows, error, whole] = await Promise.all([
    run([...TOKENIZE, '--format', 'json', long]),
    run([...TOKENIZE, '--long', 'error', long]),
    run([...TOKENIZE, '--long', 'whole', '--format', 'json', long]),
  ]);
  expect(JSON.parse(windows.stdout).sequences[0].windows).toHaveLength(2);
  expect(JSON.parse(windows.stdout).sequences[0].tokens).toHaveLength(702);
  expect(error.code).toBe(4);
  expect(error.stderr).toMatch(/702 tokens where the model takes 512/);
  expect(JSON.parse(whole.stdout).sequences[0].windows).toBeUndefined();
});

// fault 31
test('a reader that has seen enough ends the command quietly', async () => {
  const child = start([...TOKENIZE, '--file', '-', '--split', 'line', '--format', 'jsonl']);
  child.stdin.on('error', () => undefined);
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const errors = text(child.stderr);
  child.stdin.write('a fox\n'.repeat(1000));
  child.stdout.once('data', () => {
    child.stdout.destroy();
    child.stdin.write('a fox\n'.repeat(100_000));
  });
  expect({ code: await ended, stderr: await errors }).toEqual({ code: 0, stderr: '' });
});

// fault 48
test('Ctrl-C ends a command that waits for its input, with 130 and without a trace', async () => {
  const output = join(folder, 'interrupted.json');
  const child = start([...TOKENIZE, '--file', '-', '--output', output]);
  const outcome = outcomeOf(child);
  child.stdin.write('A fox. Two');
  await expect
    .poll(() => readdirSync(folder).some((name) => name.includes('interrupted')), { timeout: 20_000 })
    .toBe(true);
  child.kill('SIGINT');
  expect(await outcome).toEqual({ code: 130, stdout: '', stderr: 'layer8: interrupted.\n' });
  expect(readdirSync(folder).filter((name) => name.includes('interrupted'))).toEqual([]);
});

test.runIf(process.platform === 'linux')('a full disk behind standard output is an error', () => {
  const full = openSync('/dev/full', 'w');
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      '--import',
      import.meta.resolve('tsx'),
      join(import.meta.dirname, '..', '..', 'src', 'cli.ts'),
      ...TOKENIZE,
      'fox',
    ],
    { stdio: ['ignore', full, 'pipe'], encoding: 'utf8' },
  );
  expect({ status, stderr }).toEqual({
    status: 7,
    stderr: 'layer8: cannot write to standard output: no space left on device.\n',
  });
});
