import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { DEFAULT_OPTIONS } from '../../src/analysis/result.ts';
import { analysisCsv, csvRow, tokenizeCsv } from '../../src/report/csv.ts';
import { shortestDecimal } from '../../src/report/decimal.ts';
import { jsonLinesReport, jsonReport } from '../../src/report/json.ts';
import { FOX, sampleHead, write } from './sample.ts';

/** Digits of a number as JSON shows it, without sign, point, exponent and zeros at the ends. */
function digits(value: number): number {
  return String(value)
    .replace(/e.*$/, '')
    .replace(/[-.]/g, '')
    .replace(/^0+|0+$/g, '').length;
}

test('a float32 becomes the shortest decimal that gives it back', () => {
  expect(shortestDecimal(Math.fround(19.921756140055212))).toBe(19.921757);
  expect(shortestDecimal(Math.fround(0.1))).toBe(0.1);
  expect(shortestDecimal(Math.fround(1e-45))).toBe(1e-45);
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const decimal = shortestDecimal(value);
      expect(Math.fround(decimal)).toBe(value);
      for (let length = 1; length < Math.min(9, digits(decimal)); length++) {
        expect(Math.fround(Number(value.toPrecision(length)))).not.toBe(value);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a number that is no float32 stays as it is', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true }), (value) => {
      fc.pre(Math.fround(value) !== value);
      expect(shortestDecimal(value)).toBe(value);
    }),
  );
});

/** RFC 4180, read by its grammar. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let rest = text;
  while (rest !== '') {
    const field = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/.exec(rest);
    if (field === null) throw new Error(`no field at ${JSON.stringify(rest.slice(0, 20))}`);
    row.push(field[1]?.replaceAll('""', '"') ?? field[2]);
    if (field[3] !== ',') {
      rows.push(row);
      row = [];
    }
    rest = rest.slice(field[0].length);
  }
  return rows;
}

test('any text survives CSV', () => {
  const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\r', '\n', ' ', '日', '\u0000') });
  fc.assert(
    fc.property(fc.array(fc.array(cell, { minLength: 2, maxLength: 4 })), (rows) => {
      expect(parseCsv(rows.map(csvRow).join(''))).toEqual(rows);
    }),
  );
});

test('CSV has one row a token, with flow, shifts and words where they are asked for', () => {
  const options = { ...DEFAULT_OPTIONS, layer: 2, flow: true, shift: true, unit: 'word' as const };
  const [header, ...rows] = parseCsv(
    write(analysisCsv(options), [
      {
        ...FOX,
        id: 'a,"b"',
        tokens: FOX.tokens.map((token) => ({
          ...token,
          flow: new Float32Array([1, 2, 0.1]),
          shift: { displacement: 1.5, normChange: -0.5, rotation: 0.25, fromInput: 3 },
        })),
        words: [{ word: 0, text: 'brown', start: 0, end: 5, tokens: [1], tas: 19.5, bucket: 'HIGH', borderline: true }],
      },
    ]),
  );
  expect(rows).toHaveLength(FOX.tokens.length);
  const cell = (row: number, name: string) => rows[row][header.indexOf(name)];
  expect(cell(1, 'sequence')).toBe('a,"b"');
  expect(cell(1, 'token')).toBe('brown');
  expect(cell(1, 'tas')).toBe('19.976238');
  expect(cell(1, 'bucket')).toBe('HIGH');
  expect(cell(1, 'flow2')).toBe('0.1');
  expect(cell(1, 'normChange')).toBe('-0.5');
  expect(cell(1, 'wordTas')).toBe('19.5');
  expect(cell(1, 'wordBorderline')).toBe('true');
  expect(cell(0, 'start')).toBe('');
  expect(cell(0, 'bucket')).toBe('');
  expect(cell(2, 'wordText')).toBe('');
});

test('CSV of tokenize has no numbers of the analysis', () => {
  expect(write(tokenizeCsv(), [FOX]).split('\r\n')[0]).toBe(
    'sequence,index,token,id,segment,start,end,word,special,window',
  );
});

test('JSON is the object of the contract', () => {
  const flow = new Float32Array([1, 0.1]);
  const sequence = {
    ...FOX,
    tokens: FOX.tokens.map((token) => ({ ...token, flow })),
    words: [
      { word: 0, text: 'brown', start: 0, end: 5, tokens: [1], tas: 19.5, bucket: 'LOW' as const, borderline: false },
    ],
  };
  const parsed = JSON.parse(write(jsonReport(sampleHead({ flow: true })), [sequence, { ...FOX, id: '1' }]));
  expect(Object.keys(parsed)).toEqual(['layer8', 'model', 'adapter', 'options', 'sequences']);
  expect(parsed.adapter.backend).toBeNull();
  expect(parsed.sequences).toHaveLength(2);
  expect(parsed.sequences[0].tokens[1]).toEqual({ ...FOX.tokens[1], tas: 19.976238, flow: [1, 0.1] });
  expect(parsed.sequences[0].words[0].tokens).toEqual([1]);
  expect(parsed.sequences[1].words).toBeUndefined();
  expect(Math.fround(parsed.sequences[0].threshold)).toBe(FOX.threshold);
});

test('JSON without a sequence is an empty list', () => {
  expect(JSON.parse(write(jsonReport(sampleHead()), [])).sequences).toEqual([]);
});

test('JSON lines are the sequences of the JSON', () => {
  const sequences = [FOX, { ...FOX, id: 'x\ny', text: 'a "quoted"\nline \ud800' }];
  const lines = write(jsonLinesReport(), sequences).split('\n');
  expect(lines.pop()).toBe('');
  const whole = JSON.parse(write(jsonReport(sampleHead()), sequences)).sequences;
  expect(lines.map((line) => JSON.parse(line))).toEqual(whole);
});
