import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support.ts';
import { FAULTS } from './list.ts';

/** A test, or a group of tests, behind a comment such as `// faults 4–6, 9`. */
export interface MarkedTest {
  /** From the root, such as `test/hub/pull.test.ts`. */
  file: string;
  /** Behind that of its group. */
  title: string;
  faults: number[];
}

/** Every marked test, by file. */
export function markedTests(): MarkedTest[] {
  const files = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' }).sort();
  return (
    files
      // The document's own test has marks in it that are examples.
      .filter((name) => name.endsWith('.test.ts') && !name.endsWith('document.test.ts'))
      .flatMap((name) => marksOf(`test/${name.replaceAll('\\', '/')}`, readFileSync(join(ROOT, 'test', name), 'utf8')))
  );
}

/** The marks in the text of one file. */
export function marksOf(file: string, source: string): MarkedTest[] {
  return Array.from(source.matchAll(/^( *)\/\/ faults? (\d[\d–, ]*)$/gm), (mark) => {
    // The title of `test(…)`, or of the call behind a table or a condition: `test.each([…])('title', …`.
    const title = /(?:\b(?:test|describe)|\))\(\s*(['"`])(.+?)\1\s*,/.exec(source.slice(mark.index))?.[2];
    if (title === undefined) throw new Error(`${file}: no test follows the mark ${mark[0].trim()}`);
    const groups = Array.from(source.slice(0, mark.index).matchAll(/^describe.*?\((['"`])(.+?)\1,/gm));
    const titles = [...(mark[1] === '' ? [] : groups.slice(-1).map((group) => group[2])), title];
    return { file, title: titles.join(' › ').replaceAll(/\\(['"`])/g, '$1'), faults: numbersOf(mark[2]) };
  });
}

/** `4–6, 9` as 4, 5, 6, 9. */
function numbersOf(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('–').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** docs/faults.md, complete. */
export function faultsDocument(): string {
  const tests = markedTests();
  let number = 0;
  const classes = FAULTS.map(({ title, exit, faults }) => {
    const rows = faults.map((fault) => {
      number++;
      const own = tests.filter((marked) => marked.faults.includes(number));
      const names = own.map((marked) => `${marked.file.slice('test/'.length)}: ${escaped(marked.title)}`);
      return `| ${number} | ${fault.what} | ${fault.outcome} | ${fault.exit ?? exit} | ${names.join('<br>')} |`;
    });
    const head = ['| | what goes wrong | what it gives | exit | tests |', '| --: | --- | --- | --: | --- |'];
    return [`## ${title}`, '', ...head, ...rows, ''];
  });
  return [
    '# What goes wrong, and what it gives',
    '',
    'Written by `npm run faults` from test/faults/list.ts and the marks in the tests; a test fails when it is stale.',
    '',
    'A failure is one short paragraph on standard error: what failed, on what, what to do. `--debug` adds the stack. Standard',
    'output holds results only, those that were complete before the failure; an output file appears complete or not at all.',
    'Exit code 0 is a fault that layer8 copes with, 2 wrong usage, 70 a bug of layer8.',
    '',
    ...classes.flat(),
  ].join('\n');
}

function escaped(title: string): string {
  return title.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*').replaceAll('_', '\\_');
}
