import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SequenceResult } from '../../src/analysis/result.ts';
import { axisFor, marginBar, sparkline } from '../../src/report/bars.ts';
import { tableReport } from '../../src/report/table.ts';
import { lookOf } from '../../src/report/terminal.ts';
import { tokensTable } from '../../src/report/tokens-table.ts';
import { clip, displayWidth, pad, printable } from '../../src/report/width.ts';
import { FOX, NO_COLOUR, sampleHead, sampleSequence, write } from './sample.ts';

function table(sequence: SequenceResult, options = {}, look = NO_COLOUR): string {
  return write(tableReport(sampleHead(options), look, false), [sequence]);
}

/** The line of a token. */
function line(text: string, token: string): string {
  const found = text.split('\n').find((candidate) => candidate.trimStart().startsWith(token) && /\d/.test(candidate));
  if (found === undefined) throw new Error(`no line of ${token} in\n${text}`);
  return found;
}

test('the width of text on a terminal', () => {
  const widths = {
    abc: 3,
    日本: 4,
    'e\u0301': 1,
    한국: 4,
    '👩‍👩‍👧': 2,
    '🇩🇪': 2,
    '1️⃣': 2,
    '👍🏽': 2,
    '☃': 1,
    ﾊ: 1,
    '\u200b': 0,
  };
  for (const [text, width] of Object.entries(widths)) expect([text, displayWidth(text)]).toEqual([text, width]);
});

const TEXT = fc.string({ unit: fc.constantFrom('a', '日', 'e\u0301', '👩‍👩‍👧', '한', '🇩🇪', ' ', '\u0301') });

test('clipped text never takes more columns, and padded text exactly as many', () => {
  fc.assert(
    fc.property(TEXT, fc.integer({ min: 1, max: 30 }), (text, columns) => {
      expect(displayWidth(clip(text, columns))).toBeLessThanOrEqual(columns);
      expect(displayWidth(pad(clip(text, columns), columns))).toBe(columns);
      if (displayWidth(text) <= columns) expect(clip(text, columns)).toBe(text);
    }),
  );
});

test('nothing in a text reaches the terminal as a command', () => {
  expect(printable('a\u001b[31mb\u0007\r\nc\u009bd\u202ee')).toBe('a␛[31mb␇  c\ufffdd\ufffde');
  const hostile = sampleSequence(
    '\u001b[2J x',
    [
      ['\u001b[2J', 20],
      ['x', 19],
    ],
    19.5,
  );
  for (const look of [NO_COLOUR, { width: 80, colour: true }]) {
    const text = table({ ...hostile, id: '\u001b]0;title\u0007' }, {}, look);
    expect(text).not.toContain('\u0007');
    // What is left are the table's own colours.
    for (const rest of text.split('\u001b').slice(1)) expect(rest).toMatch(/^\[\d+m/);
  }
});

test('each token has its TAS, margin, bar and bucket', () => {
  const text = table(FOX);
  expect(text).toContain('θ 19.90656 (0.75 quantile, linear)  1 of 3 ranked tokens HIGH (TAS ≥ θ)');
  expect(line(text, 'brown')).toMatch(/^brown +19\.9762 +\+0\.35 % +│█+▌? +HIGH$/);
  expect(line(text, 'jumps')).toMatch(/^jumps +19\.0164 +−4\.47 % +▐?█+│ +LOW$/);
  expect(line(text, '[CLS]')).toMatch(/^\[CLS\] +17\.8090 +│ +–$/);
  expect(text).toContain('bert-base-uncased (F16), layer 8 of 12 · A device, software, plain kernels');
  expect(text).toContain('1 sequence, 5 tokens · 1.3 s');
});

test('HIGH is marked without colour, and colour only where the stream has it', () => {
  expect(table(FOX)).not.toContain('\u001b');
  expect(table(FOX, {}, { width: 80, colour: true })).toContain('\u001b[');
  expect(lookOf({ isTTY: true, columns: 100 }, {})).toEqual({ width: 100, colour: true });
  expect(lookOf({ isTTY: true, columns: 100 }, { NO_COLOR: '1' }).colour).toBe(false);
  expect(lookOf({}, { FORCE_COLOR: '1' }).colour).toBe(true);
  expect(lookOf({ isTTY: true }, { FORCE_COLOR: '0' }).colour).toBe(false);
  expect(lookOf({}, { COLUMNS: '120' })).toEqual({ width: 120, colour: false });
});

test('no line is wider than the terminal, and the columns stand under their headings', () => {
  const token = fc.tuple(TEXT, fc.float({ min: 1, max: 40, noNaN: true }));
  fc.assert(
    fc.property(fc.array(token, { minLength: 1, maxLength: 6 }), fc.integer({ min: 48, max: 140 }), (tokens, width) => {
      const sequence = sampleSequence(tokens.map(([text]) => text).join(' '), tokens, 20);
      const lines = table(sequence, {}, { width, colour: false }).split('\n');
      for (const each of lines) expect(displayWidth(each)).toBeLessThanOrEqual(width);
      const heading = lines.findIndex((each) => each.startsWith('token'));
      const rows = lines.slice(heading + 1, heading + 1 + tokens.length);
      const column = lines[heading].indexOf('bucket');
      for (const row of rows) {
        const before = row.slice(0, row.search(/(?:HIGH|LOW)$/));
        expect(displayWidth(before)).toBe(displayWidth(lines[heading].slice(0, column)));
      }
    }),
  );
});

test('a narrow terminal loses the bar first, then columns from the right, and is told', () => {
  const shifted = {
    ...FOX,
    tokens: FOX.tokens.map((token) => ({
      ...token,
      flow: new Float32Array([18, 19, 20]),
      shift: { displacement: 1.5, normChange: -0.25, rotation: 0.125, fromInput: 21 },
    })),
  };
  const options = { layer: 2, flow: true, shift: true };
  const wide = table(shifted, options, { width: 140, colour: false });
  expect(line(wide, 'brown')).toMatch(/│.*HIGH +▁▅█ +1\.500 +−0\.250 +0\.1250 +21\.000$/);
  expect(wide).toContain('flow: TAS at layers 0 to 2, from ▁ 18.00 to █ 20.00');
  const narrow = table(shifted, options, { width: 50, colour: false });
  expect(narrow).toMatch(/\d more columns need a wider\s+terminal/);
  for (const each of narrow.split('\n')) expect(displayWidth(each)).toBeLessThanOrEqual(50);
});

test('a borderline token is marked and explained', () => {
  const sequence = { ...FOX, tokens: FOX.tokens.map((token, i) => ({ ...token, borderline: i === 1 })) };
  expect(line(table(sequence), 'brown')).toMatch(/HIGH ~$/);
  expect(table(sequence)).toContain('~ borderline:');
  expect(table(FOX)).not.toContain('borderline');
});

test('a sequence without a ranked token says so', () => {
  const text = table(
    sampleSequence(
      '',
      [
        ['[CLS]', 17],
        ['[SEP]', 9],
      ],
      null,
    ),
  );
  expect(text).toContain('no ranked token: no θ, no bucket');
  expect(line(text, '[CLS]')).toMatch(/–$/);
});

test('with words, a word stands above its pieces', () => {
  const sequence: SequenceResult = {
    ...sampleSequence(
      'running fox',
      [
        ['[CLS]', 17],
        ['run', 19],
        ['##ning', 21],
        ['fox', 18],
        ['[SEP]', 9],
      ],
      null,
    ),
    threshold: 20,
    ranked: 2,
    high: 1,
    words: [
      { word: 0, text: 'running', start: 0, end: 7, tokens: [1, 2], tas: 21, bucket: 'HIGH', borderline: false },
      { word: 1, text: 'fox', start: 8, end: 11, tokens: [3], tas: 18, bucket: 'LOW', borderline: false },
    ],
  };
  const text = table(sequence, { unit: 'word' });
  expect(text).toContain('1 of 2 ranked words HIGH');
  expect(line(text, 'running')).toMatch(/21\.0000 +\+5\.00 %.*HIGH$/);
  expect(text).toMatch(/running.*\n {2}run +19\.0000.*–\n {2}##ning +21\.0000.*–\nfox +18\.0000.*LOW\n/);
});

test('windows are told', () => {
  const windows = [
    { start: 0, end: 4 },
    { start: 2, end: 5 },
  ];
  expect(table({ ...FOX, windows }, { stride: 2 })).toContain('2 windows that share 2 tokens');
});

test('a bar is as long as its margin, on the side of its sign', () => {
  fc.assert(
    fc.property(fc.float({ min: -50, max: 50, noNaN: true }), fc.integer({ min: 4, max: 15 }), (margin, half) => {
      const axis = axisFor([margin]);
      const bar = marginBar(margin, axis, half);
      expect(bar).toHaveLength(2 * half + 1);
      expect(bar[half]).toBe('│');
      const length = (part: string) =>
        [...part].reduce((sum, mark) => sum + (mark === '█' ? 2 : mark === ' ' ? 0 : 1), 0);
      const [left, right] = bar.split('│').map(length);
      expect(margin < 0 ? right : left).toBe(0);
      expect(Math.abs(left + right - (Math.abs(margin) / axis) * 2 * half)).toBeLessThanOrEqual(0.5);
    }),
  );
  expect(marginBar(-30, 20, 4)).toBe('◂███│    ');
  expect(marginBar(30, 20, 4)).toBe('    │███▸');
});

test('a sparkline spans its axis', () => {
  expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 0, 7)).toBe('▁▂▃▄▅▆▇█');
  expect(sparkline([-5, 99], 0, 7)).toBe('▁█');
  expect(sparkline([3, 3], 3, 3)).toBe('▁▁');
});

test('the table of tokens shows what stands in the text, and the segment of a pair', () => {
  const head = { layer8: '0.1.0', model: { name: 'm', path: 'p' }, options: { long: 'window', stride: 128 } };
  const text = write(tokensTable(head, NO_COLOUR, true), [{ ...FOX, id: 'x', pair: 'second' }]);
  expect(text).toContain('x  brown fox jumps ⁄ second');
  expect(text).toMatch(/# +token +id +start +end +word +segment +surface/);
  expect(line(text, '2')).toMatch(/^2 +fox +1002 +6 +9 +1 +0 +fox$/);
});
