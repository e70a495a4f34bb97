import * as fc from 'fast-check';
import { ANALYZE, analysisOptions } from '../../src/commands/analyze.ts';
import { parseCommand, WHOLE_NUMBER } from '../../src/commands/arguments.ts';
import { resumedPath } from '../../src/commands/resume.ts';
import { TOKENIZE } from '../../src/commands/tokenize.ts';
import { Layer8Error, UsageError } from '../../src/errors.ts';
import type { Target } from './target.ts';

const SPECS = { analyze: ANALYZE, tokenize: TOKENIZE };
const OPTIONS = [...ANALYZE.groups, ...TOKENIZE.groups].flatMap(({ options }) => options);
const NUMBERS = ['0', '1', '0.5', '-1', '8', '128', '1e3', '0x10', 'NaN', 'Infinity', ' 1', '', '1e999', '٣'];
const WORDS = [
  '--',
  '-',
  '-h',
  '--no-flow',
  '--__proto__',
  '--constructor=1',
  '-5',
  'a text',
  '',
  '--=',
  '--layer=',
  '-xyz',
];
const CHOICES = OPTIONS.flatMap(({ choices = [] }) => choices);

const name = fc.constantFrom(...OPTIONS).map((option) => `--${option.name}`);
const value = fc.constantFrom(...NUMBERS, ...CHOICES, 'x.jsonl', '-');
const words = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(name, value).map((pair) => pair) },
  { weight: 2, arbitrary: fc.tuple(name, value).map(([option, given]) => [`${option}=${given}`]) },
  { weight: 2, arbitrary: name.map((option) => [option]) },
  fc.constantFrom(...WORDS).map((word) => [word]),
  fc.string({ maxLength: 12 }).map((word) => [word]),
);

interface Command {
  command: keyof typeof SPECS;
  args: string[];
}

/** Arguments of the command line, down to where files are opened. */
export const options: Target<Command> = {
  name: 'options',
  runs: { full: 300_000, short: 10_000 },
  inputs: fc.record({
    command: fc.constantFrom('analyze' as const, 'tokenize' as const),
    args: fc.array(words, { maxLength: 6 }).map((parts) => parts.flat()),
  }),
  take({ command, args }) {
    try {
      const parsed = parseCommand(SPECS[command], args);
      if (parsed.help) return;
      for (const { name: option, choices } of SPECS[command].groups.flatMap((group) => group.options)) {
        if (choices !== undefined) parsed.choice(option);
      }
      if (command === 'tokenize') return void parsed.number('stride', WHOLE_NUMBER);
      const { layer, stride, quantile, threshold, ...rest } = analysisOptions(parsed);
      resumedPath(parsed, { layer, stride, quantile, threshold, ...rest });
      const right =
        Number.isSafeInteger(layer) &&
        layer >= 0 &&
        Number.isSafeInteger(stride) &&
        stride >= 0 &&
        quantile >= 0 &&
        quantile <= 1 &&
        (threshold === null || (threshold >= 0 && threshold < Infinity));
      if (!right) throw new Error(`accepted: ${JSON.stringify({ layer, stride, quantile, threshold })}`);
    } catch (error) {
      const other = error instanceof Layer8Error && !(error instanceof UsageError);
      if (other) throw new Error(`a wrong command line is no ${error.name}: ${error.message}`, { cause: error });
      throw error;
    }
  },
};
