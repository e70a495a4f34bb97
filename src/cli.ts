#!/usr/bin/env node
import { inspect } from 'node:util';
import { nearestNames } from './checkpoint/nearest.ts';
import type { Command, CommandIo } from './commands/io.ts';
import { InterruptedError, Layer8Error, UsageError } from './errors.ts';
import { BrokenPipe, streamFailure } from './report/stream.ts';
import { printable } from './report/width.ts';

/** Loaded when it is called: `--help` and `tokenize` start without the GPU's libraries. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  analyze: async () => (await import('./commands/analyze.ts')).analyzeCommand,
  tokenize: async () => (await import('./commands/tokenize.ts')).tokenizeCommand,
  verify: async () => (await import('./commands/verify.ts')).verifyCommand,
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand,
  weights: async () => (await import('./commands/weights.ts')).weightsCommand,
};

/** sysexits.h: EX_SOFTWARE. A bug of layer8, told apart from every failure that faults of the world cause. */
const EXIT_BUG = 70;
/** How long the device may take to be released after Ctrl-C. */
const RELEASE_MS = 3000;
/** How long the process may live on after a failure. */
const LAST_MS = 500;

const separator = process.argv.indexOf('--', 2);
const beforeSeparator = separator < 0 ? process.argv.slice(2) : process.argv.slice(2, separator);
const debug = beforeSeparator.includes('--debug');
const args = [
  ...beforeSeparator.filter((arg) => arg !== '--debug'),
  ...(separator < 0 ? [] : process.argv.slice(separator)),
];

const abort = new AbortController();
const io: CommandIo = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: abort.signal,
};

let interrupted = false;
let finished = false;
function interrupt(signal: NodeJS.Signals): void {
  // The second time, whoever presses the keys does not want to wait for the device to be released.
  if (interrupted) process.exit(130);
  interrupted = true;
  const reason = new InterruptedError(signal === 'SIGINT' ? 'interrupted' : 'terminated');
  abort.abort(reason);
  setTimeout(() => process.exit(report(reason)), RELEASE_MS).unref();
}
process.on('SIGINT', interrupt);
process.on('SIGTERM', interrupt);
// A write that fails says so to its caller as well; this ends work that is between two writes, or tells of a last write.
process.stdout.on('error', (error) => {
  const failure = streamFailure(error, 'standard output');
  abort.abort(failure);
  if (finished) process.exitCode = report(failure);
});
process.stderr.on('error', () => undefined);
process.on('uncaughtException', (error) => process.exit(report(error)));

try {
  process.exitCode = await run(args, io);
  finished = true;
} catch (error) {
  // Work that was stopped throws whatever it was stopped in; why it was stopped is what counts.
  const stopped = abort.signal.aborted && (interrupted || error instanceof InterruptedError);
  process.exitCode = report(stopped ? abort.signal.reason : error);
  // Everything is closed by now, and what still keeps the process alive is not waited for: a GPU that never answers.
  setTimeout(() => process.exit(), LAST_MS).unref();
}

/** Finds the command and runs it. */
async function run(given: string[], commandIo: CommandIo): Promise<number> {
  const [first, ...rest] = given;
  if (first === '--version' || first === '-V') {
    commandIo.stdout.write(`${(await import('./version.ts')).VERSION}\n`);
    return 0;
  }
  if (first === undefined || first === '--help' || first === '-h') {
    commandIo.stdout.write((await import('./commands/help.ts')).generalHelp());
    return 0;
  }
  if (Object.hasOwn(COMMANDS, first)) return (await COMMANDS[first]())(rest, commandIo);
  refuseLateCommand(given);
  if (given.length === 1) noteMisspelling(first, commandIo);
  return (await COMMANDS.analyze())(given, commandIo);
}

/** `layer8 --format json verify` would analyze the word "verify", which nobody means. */
function refuseLateCommand(given: readonly string[]): void {
  const last = given.at(-1) as string;
  const texts = given.filter((arg) => !arg.startsWith('-'));
  if (given.length < 2 || given.includes('--') || !Object.hasOwn(COMMANDS, last) || texts[0] !== last) return;
  throw new UsageError(`the command comes first: layer8 ${last} …`, {
    hint: `To analyze the text '${last}': layer8 analyze … -- ${last}`,
  });
}

function noteMisspelling(text: string, { stderr }: CommandIo): void {
  const [near] = nearestNames(text, [...Object.keys(COMMANDS), 'help'], 1);
  if (near === undefined || /\s/.test(text)) return;
  stderr.write(
    `layer8: analyzing the text '${printable(text)}'; if you mean a command: layer8 ${near === 'help' ? '--help' : near}\n`,
  );
}

/** Says what went wrong, in one paragraph, and returns the exit code. */
function report(error: unknown): number {
  if (error instanceof BrokenPipe) return 0;
  const known = error instanceof Layer8Error;
  const message = error instanceof Error ? error.message : String(error);
  const sentences = known
    ? [message, error.hint]
    : [
        `internal error: ${message}`,
        debug ? '' : 'This is a bug in layer8. Please report it with what the same command prints with --debug',
      ];
  process.stderr.write(
    `layer8: ${sentences
      .filter((text) => text !== '')
      .map(sentence)
      .join(' ')}\n`,
  );
  if (debug) process.stderr.write(`${inspect(error)}\n`);
  return known ? error.exitCode : EXIT_BUG;
}

function sentence(text: string): string {
  const line = printable(text);
  return /[.!?:…]$/.test(line) ? line : `${line}.`;
}
