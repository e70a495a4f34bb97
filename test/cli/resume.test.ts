import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { killPlain, killResumed, Workplace } from './kill.ts';
import { outcomeOf, run, start } from './run.ts';

let place: Workplace;
beforeAll(async () => {
  place = await Workplace.create(60);
});
afterAll(() => place[Symbol.asyncDispose]());

test('Ctrl-C keeps what is done; other options or texts are refused; its own go on', { timeout: 120_000 }, async () => {
  const long = join(place.folder, 'long.jsonl');
  const input = readFileSync(place.input, 'utf8');
  writeFileSync(long, Array.from({ length: 200 }, (_, i) => input.replaceAll('record', `r${i}`)).join(''));
  const child = start(place.argumentsFor(long, '--resume'));
  const outcome = outcomeOf(child);
  await place.written(/^out\.jsonl\.partial$/, 1000);
  child.kill('SIGINT');
  expect(await outcome).toEqual({ code: 130, stdout: '', stderr: 'layer8: interrupted.\n' });
  expect(readdirSync(place.results).sort()).toEqual(['out.jsonl.partial', 'out.jsonl.partial.json']);
  const partial = `${place.output}.partial`;
  expect(readFileSync(partial, 'utf8')).toMatch(/^\{"id":"r0 0",/);

  const options = await run(place.argumentsFor(long, '--resume', '--quantile', '0.5'));
  expect(options).toMatchObject({ code: 2, stdout: '' });
  expect(options.stderr).toMatch(
    /^layer8: --resume: .*out\.jsonl\.partial was begun with options\.quantile 0\.75, and this run has 0\.5\. Run it as/,
  );
  const texts = await run(place.arguments('--resume'));
  expect(texts).toMatchObject({ code: 4, stdout: '' });
  expect(texts.stderr).toMatch(/line 1, was written for another input: the text "record 0" is not that of its line\./);

  writeFileSync(partial, place.expected.subarray(0, place.expected.length / 2));
  const going = await run(place.arguments('--resume').filter((arg) => arg !== '--quiet'));
  expect(going).toMatchObject({ code: 0, stdout: '' });
  expect(going.stderr).toMatch(/^layer8: going on after \d+ sequences\n$/);
  expect(readdirSync(place.results)).toEqual(['out.jsonl']);
  expect(readFileSync(place.output).equals(place.expected)).toBe(true);
});

test.each([
  [['--output', 'f.csv', '--format', 'csv', '--resume', 'a'], /--resume is for --format jsonl --output F/],
  [['--format', 'jsonl', '--output', 'f', '--scope', 'corpus', '--resume', 'a'], /--resume and --scope corpus exclude/],
])('refused: %j', async (args, message) => {
  const { code, stderr } = await run(args, { cwd: place.folder });
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});

// fault 56
test('kill −9 at six moments of --resume; in the end, to the byte, an unbroken run', { timeout: 180_000 }, async () => {
  expect(await killResumed(6)).toBeGreaterThan(0);
});

// fault 56
test('kill −9 at two moments of --output; absent or whole, and no leftovers', { timeout: 180_000 }, async () => {
  expect(await killPlain(2)).toBeGreaterThan(0);
});
