import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support.ts';
import { faultsDocument, markedTests, marksOf } from './document.ts';
import { FAULTS } from './list.ts';

test('marks and titles are read as they are written', () => {
  const source = `
// fault 3
test('plain', () => {});
// faults 4–6, 9
test.runIf(existsSync('/dev/full')).each<[string]>([
  ['a', 1],
])(
  'the "%s"', { timeout: 1 },
describe.runIf(X)('it\\'s', () => {
  // fault 1
  test('in', () => {`;
  expect(marksOf('f', source)).toEqual([
    { file: 'f', title: 'plain', faults: [3] },
    { file: 'f', title: 'the "%s"', faults: [4, 5, 6, 9] },
    { file: 'f', title: "it's › in", faults: [1] },
  ]);
});

test('every fault has a test, and no test one that is not listed', () => {
  const count = FAULTS.reduce((sum, { faults }) => sum + faults.length, 0);
  expect(count).toBe(61);
  const provoked = new Set(markedTests().flatMap(({ faults }) => faults));
  expect(Array.from({ length: count }, (_, i) => i + 1).filter((number) => !provoked.has(number))).toEqual([]);
  expect([...provoked].filter((number) => number < 1 || number > count)).toEqual([]);
});

test('docs/faults.md is not stale', () => {
  const written = readFileSync(join(ROOT, 'docs', 'faults.md'), 'utf8');
  expect(written, 'run: npm run faults').toBe(faultsDocument());
});
