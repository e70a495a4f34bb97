import { parseArgs } from 'node:util';
import { nearestNames } from '../checkpoint/nearest.ts';
import { UsageError } from '../errors.ts';

/** One option of a command: what is parsed and what its line of help says, in one place. */
export interface OptionSpec {
  /** Without the two dashes. */
  name: string;
  /** What the value is called in the help, such as `N`; absent for a switch. */
  value?: string;
  /** The values it takes, where they are a list. */
  choices?: readonly string[];
  /** One line for the help; the default stands in it. */
  help: string;
}

export interface CommandSpec {
  name: string;
  /** One line for the list of commands. */
  summary: string;
  /** The ways to call it, without `layer8`. */
  usage: readonly string[];
  groups: readonly { title: string; options: readonly OptionSpec[] }[];
  /** Whether it takes arguments that are no options. */
  positionals: boolean;
  /** Paragraphs below the options. */
  notes?: readonly string[];
}

export interface ParsedArguments {
  positionals: string[];
  /** `--help` was given: nothing else was checked. */
  help: boolean;
  has(name: string): boolean;
  /** The value as it was given, or undefined. */
  text(name: string): string | undefined;
  /** @throws UsageError where it is none of the option's choices */
  choice<T extends string>(name: string): T | undefined;
  /** @throws UsageError where it is no number in the range, whose ends belong to it */
  number(name: string, range: NumberRange): number | undefined;
}

export interface NumberRange {
  /** What the option takes, for the message: `a whole number from 0`. */
  takes: string;
  accepts: (value: number) => boolean;
}

export const WHOLE_NUMBER: NumberRange = {
  takes: 'a whole number from 0',
  accepts: (value) => Number.isSafeInteger(value) && value >= 0,
};

/** Every command takes these. */
export const COMMON_OPTIONS = {
  title: 'Everywhere',
  options: [
    { name: 'quiet', help: 'no notes and no progress on standard error' },
    { name: 'debug', help: 'add the stack trace and the cause to an error' },
    { name: 'help', help: 'this text' },
  ],
} as const;

/**
 * Parses the arguments after a command's name. `--` ends the options; `--name=value` and `--name value` are the same.
 * @throws UsageError naming the option and the values it takes
 */
export function parseCommand(spec: CommandSpec, args: readonly string[]): ParsedArguments {
  const options = new Map(spec.groups.flatMap((group) => group.options).map((option) => [option.name, option]));
  const { tokens } = parseArgs({
    args: [...args],
    options: {
      ...Object.fromEntries(
        Array.from(options.values(), ({ name, value }) => [
          name,
          { type: value === undefined ? 'boolean' : 'string' } as const,
        ]),
      ),
      help: { type: 'boolean', short: 'h' },
    },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });

  const given = new Map<string, string>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const option = options.get(token.name);
    if (option === undefined) throw unknownOption(spec, options, token.rawName);
    if (option.value === undefined) {
      if (token.value !== undefined) throw new UsageError(`--${token.name} is a switch and takes no value`);
      given.set(token.name, '');
      continue;
    }
    if (given.has(token.name)) throw new UsageError(`--${token.name} is given twice`);
    given.set(token.name, valueOf(option, token.value, token.inlineValue === true));
  }
  const help = given.has('help');
  if (!help && !spec.positionals && positionals.length > 0) {
    throw new UsageError(`${spec.name} takes no argument '${positionals[0]}'`, { hint: seeHelp(spec) });
  }

  return {
    positionals,
    help,
    has: (name) => given.has(name),
    text: (name) => given.get(name),
    choice<T extends string>(name: string): T | undefined {
      const value = given.get(name);
      const choices = options.get(name)?.choices ?? [];
      if (value === undefined) return undefined;
      if (!choices.includes(value)) {
        const [near] = nearestNames(value, choices, 1);
        throw new UsageError(`--${name} takes ${oneOf(choices)}, not '${value}'`, {
          hint: near === undefined ? '' : `Did you mean ${near}?`,
        });
      }
      return value as T;
    },
    number(name, range) {
      const text = given.get(name);
      if (text === undefined) return undefined;
      const value = Number(text);
      // Number('') and Number(' ') are 0; neither is a number that somebody typed.
      if (text.trim() === '' || !Number.isFinite(value) || !range.accepts(value)) {
        throw new UsageError(`--${name} takes ${range.takes}, not '${text}'`);
      }
      return value;
    },
  };
}

/**
 * Refuses options that say two things at once.
 * @throws UsageError naming both
 */
export function refuseTogether(parsed: ParsedArguments, first: string, others: readonly string[], why: string): void {
  if (!parsed.has(first)) return;
  for (const other of others) {
    if (parsed.has(other)) throw new UsageError(`--${first} and --${other} exclude each other: ${why}`);
  }
}

/** `a, b or c`. */
export function oneOf(choices: readonly string[]): string {
  return choices.length < 2 ? choices.join('') : `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
}

/** @throws UsageError where windows are described that `--long` rules out */
export function refuseStrideWithoutWindows(parsed: ParsedArguments): void {
  const long = parsed.text('long') ?? 'window';
  if (!parsed.has('stride') || long === 'window') return;
  throw new UsageError(`--stride and --long ${long} exclude each other: only --long window makes windows`);
}

/** The help of one command. */
export function commandHelp(spec: CommandSpec): string {
  const usage = spec.usage.map((way, i) => `${i === 0 ? 'Usage:' : '      '} layer8 ${way}`);
  const notes = (spec.notes ?? []).flatMap((note) => ['', note]);
  return `${[`${spec.summary}.`, '', ...usage, '', ...optionLines(spec), ...notes].join('\n')}\n`;
}

/** One line an option, below the title of its group. */
export function optionLines(spec: CommandSpec): string[] {
  const label = ({ name, value }: OptionSpec) => (value === undefined ? `--${name}` : `--${name} ${value}`);
  const width = 2 + Math.max(...spec.groups.flatMap(({ options }) => options.map((option) => label(option).length)));
  return spec.groups.flatMap(({ title, options }, i) => [
    ...(i === 0 ? [] : ['']),
    `${title}:`,
    ...options.map((option) => `  ${label(option).padEnd(width)}${option.help}`),
  ]);
}

function valueOf(option: OptionSpec, value: string | undefined, inline: boolean): string {
  const takes = option.choices === undefined ? `a value: --${option.name} ${option.value}` : oneOf(option.choices);
  if (value === undefined) throw new UsageError(`--${option.name} takes ${takes}`);
  // `--file --flow` forgot the file. A lone dash is standard input, and -5 is a number.
  if (!inline && /^-(?![\d.]|$)/.test(value))
    throw new UsageError(`--${option.name} takes ${takes}, not the option ${value}`);
  if (value === '') throw new UsageError(`--${option.name} takes ${takes}, not an empty text`);
  return value;
}

function unknownOption(spec: CommandSpec, options: ReadonlyMap<string, OptionSpec>, rawName: string): UsageError {
  const [near] = nearestNames(rawName.replace(/^-+/, ''), options.keys(), 1);
  const hint = near === undefined ? seeHelp(spec) : `Did you mean --${near}? ${seeHelp(spec)}`;
  return new UsageError(`${spec.name} has no option ${rawName}`, { hint });
}

function seeHelp(spec: CommandSpec): string {
  return `layer8 ${spec.name} --help lists what it takes; a text that begins with a dash goes after --.`;
}
