import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { InputError, UsageError } from '../../src/errors.ts';
import { ResumableOutput } from '../../src/report/resume.ts';
import { jsonLinesReport } from '../../src/report/json.ts';
import type { InputText } from '../../src/text/records.ts';

let folder: string;
let path: string;
let partial: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layer8-resume-'));
  path = join(folder, 'out.jsonl');
  partial = `${path}.partial`;
});
afterEach(() => rmSync(folder, { recursive: true }));

const IDENTITY = { layer8: '0.1.0', options: { layer: 8, threshold: null }, adapter: { name: 'a' } };
const TEXTS: InputText[] = [
  { id: '0', text: 'a' },
  { id: '1', text: 'a', pair: 'b' },
  { id: 'x"', text: '\n\0\ud800 🦊', pair: '' },
  { id: '3', text: 'long '.repeat(30_000) },
  { id: '4', text: '' },
];

async function* from(texts: readonly InputText[]): AsyncGenerator<InputText> {
  yield* texts;
}

/** The line of a text, as the command writes it. */
function lineOf(text: InputText): string {
  const rest = { threshold: null, order: { below: null, cut: null }, ranked: 0, high: 0, tokens: [] };
  return [...jsonLinesReport().sequence({ ...text, ...rest })].join('');
}
const WHOLE = Buffer.from(TEXTS.map(lineOf).join(''));

/** A run over these texts; it stops behind `most` lines as if it had failed. How many lines it wrote itself. */
async function runOver(texts: readonly InputText[], most = Infinity, identity: object = IDENTITY): Promise<number> {
  const output = await ResumableOutput.open(path);
  try {
    await output.begin({ ...identity });
    let written = 0;
    for await (const text of output.remaining(from(texts), () => undefined)) {
      if (written === most) return written;
      await output.write(lineOf(text));
      written++;
    }
    await output.commit();
    return written;
  } finally {
    await output.discard();
  }
}

test('cut behind any line, or in the middle of one: the whole in the end, each line once', async () => {
  const ends = TEXTS.map((_, i) =>
    Buffer.byteLength(
      TEXTS.slice(0, i + 1)
        .map(lineOf)
        .join(''),
    ),
  );
  const near = ends.flatMap((end) => [end - 1, end, end + 1, end + 9]).filter((cut) => cut <= WHOLE.length);
  for (const cut of [0, 1, 5, 70_000, ...near]) {
    await runOver(TEXTS, 1);
    writeFileSync(partial, WHOLE.subarray(0, cut));
    expect(await runOver(TEXTS)).toBe(ends.filter((end) => end > cut).length);
    expect(readFileSync(path).equals(WHOLE)).toBe(true);
    expect(readdirSync(folder)).toEqual(['out.jsonl']);
  }
});

test('zeros that a power cut left in place of lines are no lines', async () => {
  const [first, second, ...rest] = TEXTS.map((text) => Buffer.from(lineOf(text)));
  await runOver(TEXTS, 1);
  writeFileSync(partial, Buffer.concat([first, second.fill(0, 20, 30), ...rest]));
  expect(await runOver(TEXTS)).toBe(4);
  expect(readFileSync(path).equals(WHOLE)).toBe(true);
});

test.each<[string, readonly InputText[], RegExp]>([
  [
    'another id',
    [TEXTS[0], { ...TEXTS[1], id: '2' }, ...TEXTS.slice(2)],
    /line 2, .*: the text "2" is not that of its/,
  ],
  ['a text more at its end', [TEXTS[0], TEXTS[1], TEXTS[2], { id: '3', text: 'long '.repeat(30_001) }], /line 4, /],
  ['a text cut short', [TEXTS[0], TEXTS[1], TEXTS[2], { id: '3', text: 'long '.repeat(29_999) }], /line 4, /],
  ['a pair that is gone', [TEXTS[0], { id: '1', text: 'a' }], /line 2, /],
  ['fewer texts', TEXTS.slice(0, 2), /line 3, .*: there are no more texts/],
])('another input is refused, and what is done stays: %s', async (_, texts, message) => {
  await runOver(TEXTS, 4);
  const before = readFileSync(partial);
  const failure = await runOver(texts).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(InputError);
  expect((failure as Error).message).toMatch(message);
  expect(readFileSync(partial).equals(before)).toBe(true);
  expect(await runOver(TEXTS)).toBe(1);
});

test.each<[object, RegExp]>([
  [{ ...IDENTITY, options: { layer: 7, threshold: null } }, /was begun with options\.layer 8, and this run has 7/],
  [{ ...IDENTITY, options: { layer: 8, threshold: 2.5 } }, /with options\.threshold null, and this run has 2\.5/],
  [{ ...IDENTITY, adapter: { name: 'b' } }, /with adapter\.name "a", and this run has "b"/],
  [{ ...IDENTITY, model: {} }, /with model none, and this run has \{\}/],
])('another run is refused: %j', async (identity, message) => {
  await runOver(TEXTS, 2);
  const failure = await runOver(TEXTS, Infinity, identity).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(UsageError);
  expect((failure as Error).message).toMatch(message);
});

test('lines that nothing is known about are refused; a record without lines is replaced', async () => {
  await runOver(TEXTS, 2);
  writeFileSync(`${partial}.json`, '{');
  await expect(runOver(TEXTS)).rejects.toThrow(/nothing says what run .*out\.jsonl\.partial is of/);
  writeFileSync(partial, '');
  expect(await runOver(TEXTS)).toBe(TEXTS.length);
});

test('a run that fails before its first line leaves nothing; a link is followed', async () => {
  expect(await runOver(TEXTS, 0)).toBe(0);
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(join(folder, 'real'), 'before');
  symlinkSync('real', path);
  await runOver(TEXTS);
  expect(readdirSync(folder).sort()).toEqual(['out.jsonl', 'real']);
  expect(readFileSync(join(folder, 'real')).equals(WHOLE)).toBe(true);
});
