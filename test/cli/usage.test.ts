import { expect, test } from 'vitest';
import { ANALYZE, analysisOptions } from '../../src/commands/analyze.ts';
import { parseCommand } from '../../src/commands/arguments.ts';
import { generalHelp } from '../../src/commands/help.ts';
import { UsageError } from '../../src/errors.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { run } from './run.ts';

function parse(...args: string[]) {
  const parsed = parseCommand(ANALYZE, args);
  return { ...analysisOptions(parsed), texts: parsed.positionals };
}

function usageError(...args: string[]): string {
  try {
    parse(...args);
  } catch (error) {
    if (error instanceof UsageError) return `${error.message} | ${error.hint}`;
    throw error;
  }
  throw new Error(`${args.join(' ')} was accepted`);
}

test('every option of the analysis reaches it', () => {
  expect(parse('a')).toMatchObject({
    layer: 8,
    quantile: 0.75,
    threshold: null,
    flow: false,
    stride: 128,
    texts: ['a'],
  });
  const args =
    '--layer 3 --quantile 0.5 --interpolation hazen --boundary exclusive --specials include --scope corpus --unit word ' +
    '--word-reduce mean --flow --shift --long window --stride=64 a b';
  expect(parse(...args.split(' '))).toEqual({
    layer: 3,
    quantile: 0.5,
    interpolation: 'hazen',
    boundary: 'exclusive',
    specials: 'include',
    scope: 'corpus',
    threshold: null,
    unit: 'word',
    wordReduce: 'mean',
    flow: true,
    shift: true,
    long: 'window',
    stride: 64,
    texts: ['a', 'b'],
  });
  expect(parse('--threshold', '19.5', 'a')).toMatchObject({ threshold: 19.5 });
  expect(parse('--', 'verify', '--layer')).toMatchObject({ layer: 8, texts: ['verify', '--layer'] });
});

test.each([
  [['--quantile', '1.5'], /--quantile takes a number from 0 to 1, not '1.5'/],
  [['--quantile', '-0.1'], /--quantile takes a number from 0 to 1, not '-0.1'/],
  [['--quantile', 'NaN'], /--quantile takes a number/],
  [['--layer', '2.5'], /--layer takes a whole number from 0, not '2.5'/],
  [['--layer', ''], /--layer takes a value: --layer N, not an empty text/],
  [['--layer'], /--layer takes a value: --layer N/],
  [['--layer', '--flow'], /--layer takes a value: --layer N, not the option --flow/],
  [['--layer', '1', '--layer', '2'], /--layer is given twice/],
  [['--stride', '-1'], /--stride takes a whole number from 0/],
  [['--threshold', 'high'], /--threshold takes a number from 0, not 'high'/],
  [['--interpolation', 'liner'], /--interpolation takes linear, .* or nearest, not 'liner' \| Did you mean linear\?/],
  [['--boundary', 'open'], /--boundary takes inclusive or exclusive, not 'open'/],
  [['--flow=yes'], /--flow is a switch and takes no value/],
  [['--quantil', '0.5'], /analyze has no option --quantil \| Did you mean --quantile\?/],
  [['-q'], /analyze has no option -q/],
  [['--threshold', '1', '--quantile', '0.5'], /--threshold and --quantile exclude each other/],
  [['--threshold', '1', '--scope', 'corpus'], /--threshold and --scope exclude each other/],
  [['--word-reduce', 'max'], /--word-reduce is for --unit word/],
  [['--long', 'error', '--stride', '3'], /--stride and --long error exclude each other/],
])('refused: %j', (args, message) => {
  expect(usageError(...args)).toMatch(message);
});

test('the help explains every option of the analysis in one line', () => {
  const help = generalHelp();
  for (const { name } of ANALYZE.groups.flatMap(({ options }) => options)) {
    expect(help.split('\n').filter((line) => line.startsWith(`  --${name} `))).toHaveLength(1);
  }
  for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
});

test('--version, --help and the help of a command', async () => {
  const [version, help, command, bare] = await Promise.all([
    run(['--version']),
    run(['--help']),
    run(['tokenize', '--help']),
    run([]),
  ]);
  expect(version).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: '' });
  expect(help).toEqual({ code: 0, stdout: generalHelp(), stderr: '' });
  expect(command.stdout).toMatch(/Usage: layer8 tokenize TEXT…[^]*--long HOW/);
  expect(bare).toEqual(help);
});

test('a usage error is one line on standard error, exit 2, nothing on standard output', async () => {
  expect(await run(['--format', 'yaml', 'text'])).toEqual({
    code: 2,
    stdout: '',
    stderr: "layer8: --format takes table, json, jsonl or csv, not 'yaml'.\n",
  });
  const none = await run(['analyze']);
  expect(none.code).toBe(2);
  expect(none.stderr).toContain('no text: give TEXT, or --file F');
});

test('a command after the options is refused; --debug adds the stack', async () => {
  const late = await run(['--quiet', 'verify', '--debug']);
  expect(late.code).toBe(2);
  expect(late.stderr).toMatch(/^layer8: the command comes first: layer8 verify …/);
  expect(late.stderr).toMatch(/\n {4}at /);
});
