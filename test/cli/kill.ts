import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { outcomeOf, run, start } from './run.ts';
import { temporaryFolder, TEXT, tinyModel } from '../faults/support.ts';
import { ADAPTER } from '../support.ts';

const WORDS = ['the', 'quick', 'brown', 'fox', 'jumps', 'over', '.'];

/** `count` texts of different lengths, as JSON lines. */
function records(count: number): string {
  const lines = Array.from({ length: count }, (_, i) => {
    const words = Array.from({ length: 1 + ((i * 7) % 28) }, (_unused, w) => WORDS[(i * 31 + w * w) % WORDS.length]);
    return JSON.stringify({
      id: `record ${i}`,
      text: words.join(' '),
      ...(i % 5 === 0 && { pair: 'a \u2028 "fox".' }),
    });
  });
  return `${lines.join('\n')}\n`;
}

/** A folder with a model and JSON lines to run it on; results and temporary files go to folders of their own. */
export class Workplace implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'layer8-kill-'));
  readonly input = join(this.folder, 'in.jsonl');
  readonly results = join(this.folder, 'results');
  readonly output = join(this.results, 'out.jsonl');
  readonly temporary = join(this.folder, 'temporary');
  readonly model = tinyModel('F32');
  /** What an unbroken run writes. */
  expected = Buffer.alloc(0);

  static async create(count: number): Promise<Workplace> {
    const place = new Workplace();
    writeFileSync(place.input, records(count));
    mkdirSync(place.results);
    mkdirSync(place.temporary);
    expect(await run(place.arguments())).toEqual({ code: 0, stdout: '', stderr: '' });
    place.expected = readFileSync(place.output);
    expect(place.expected.toString().trimEnd().split('\n')).toHaveLength(count);
    rmSync(place.output);
    return place;
  }

  /** The command that analyzes the input into the output. */
  arguments(...more: string[]): string[] {
    return this.argumentsFor(this.input, ...more);
  }

  argumentsFor(input: string, ...more: string[]): string[] {
    const files = ['--file', input, '--format', 'jsonl', '--output', this.output];
    return ['analyze', '--model', this.model, '--layer', '2', '--adapter', ADAPTER, '--quiet', ...files, ...more];
  }

  /** Starts a command and kills it when `moment` comes, unless it ends before. Its exit code, null where it was killed. */
  async kill(args: string[], moment: () => Promise<unknown>): Promise<number | null> {
    const child = start(args, { env: { TMPDIR: this.temporary } });
    child.stdin.end();
    const outcome = outcomeOf(child);
    await Promise.race([moment(), outcome]);
    child.kill('SIGKILL');
    const { code, stderr } = await outcome;
    if (code !== null) expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return code;
  }

  /** Waits until a file of the results matches and has that many bytes. */
  async written(name: RegExp, bytes: number): Promise<void> {
    const grown = (): boolean =>
      readdirSync(this.results).some(
        (file) =>
          name.test(file) && (statSync(join(this.results, file), { throwIfNoEntry: false })?.size ?? -1) >= bytes,
      );
    while (!grown()) await sleep(2);
  }

  [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true });
    return Promise.resolve();
  }
}

const TEXTS = 160;

/**
 * Kills `analyze --resume` with SIGKILL at `kills` moments, each time going on with what it left. Nothing it leaves is wrong;
 * when it is let run, the file is that of an unbroken run, to the byte, and alone.
 * @returns how many runs went on behind lines of an earlier one
 */
export async function killResumed(kills: number): Promise<number> {
  await using place = await Workplace.create(TEXTS);
  const partial = `${place.output}.partial`;
  const args = place.arguments('--resume');
  let goneOn = 0;
  for (let killed = 0; killed < kills;) {
    const before = statSync(partial, { throwIfNoEntry: false })?.size ?? 0;
    if (before > 0) goneOn++;
    // Half of the kills come while lines are written, half at any time.
    const target = before + Math.random() * 0.4 * place.expected.length;
    const moment =
      killed % 2 === 0 ? () => place.written(/^out\.jsonl\.partial$/, target) : () => sleep(Math.random() * 1500);
    if ((await place.kill(args, moment)) === 0) {
      expectComplete(place);
      rmSync(place.output);
      continue;
    }
    killed++;
    if (readdirSync(place.results).includes('out.jsonl')) {
      // Killed behind the renaming. What the next run does is then the whole again.
      expect(readFileSync(place.output).equals(place.expected)).toBe(true);
      rmSync(place.output);
      continue;
    }
    const left = statSync(partial, { throwIfNoEntry: false }) === undefined ? Buffer.alloc(0) : readFileSync(partial);
    expect(place.expected.subarray(0, left.length).equals(left)).toBe(true);
  }
  expect(await run(args)).toEqual({ code: 0, stdout: '', stderr: '' });
  expectComplete(place);
  return goneOn;
}

/**
 * Kills `analyze --output F --save-hidden-states G`, which reads standard input twice or writes three temporary files, at `kills`
 * moments: F and G are absent or whole, and nothing is left of the killed runs when one has succeeded.
 * @returns how many of the killed runs had begun to write
 */
export async function killPlain(kills: number): Promise<number> {
  await using place = await Workplace.create(TEXTS);
  const states = join(place.results, 'states.safetensors');
  const args = place.arguments('--save-hidden-states', states);
  let begun = 0;
  for (let killed = 0; killed < kills;) {
    const target = Math.random() * 0.9 * place.expected.length;
    const moment = killed % 2 === 0 ? () => place.written(/^\.out\./, target) : () => sleep(Math.random() * 1500);
    if ((await place.kill(args, moment)) === null) killed++;
    const names = readdirSync(place.results);
    if (names.some((name) => name.endsWith('.partial'))) begun++;
    if (names.includes('out.jsonl')) {
      expect(readFileSync(place.output).equals(place.expected)).toBe(true);
      // The states are there before the results are.
      expect(names).toContain('states.safetensors');
    }
    if (names.includes('states.safetensors')) expectWholeStates(readFileSync(states));
    for (const name of ['out.jsonl', 'states.safetensors']) rmSync(join(place.results, name), { force: true });
  }
  expect(await run(args)).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(readFileSync(place.output).equals(place.expected)).toBe(true);
  expect(readdirSync(place.results).sort()).toEqual(['out.jsonl', 'states.safetensors']);
  return begun;
}

function expectComplete(place: Workplace): void {
  expect(readFileSync(place.output).equals(place.expected)).toBe(true);
  expect(readdirSync(place.results)).toEqual(['out.jsonl']);
}

function expectWholeStates(file: Buffer): void {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + length)) as Record<string, { data_offsets: [number, number] }>;
  expect(Object.keys(header)).toHaveLength(TEXTS);
  const end = Math.max(...Object.values(header).map(({ data_offsets }) => data_offsets[1]));
  expect(file.length).toBe(8 + length + end);
}

/** A run that needs the software adapter that npm brings. */
export const UNPACKING = ['analyze', '--layer', '2', '--adapter', 'swiftshader', '--format', 'jsonl'];

/** Kills runs with an empty cache at `kills` moments around the unpacking; the next run succeeds and leaves one whole copy. */
export async function killUnpacking(kills: number): Promise<void> {
  const model = tinyModel('F32');
  const args = [...UNPACKING, '--model', model, TEXT];
  const expected = await run(args);
  expect(expected.code).toBe(0);
  for (let killed = 0; killed < kills;) {
    const cache = temporaryFolder();
    const env = { XDG_CACHE_HOME: cache };
    // Two in one folder: the second meets what the first left.
    for (let here = 0; here < 2 && killed < kills; here++, killed++) {
      const child = start(args, { env });
      child.stdin.end();
      const outcome = outcomeOf(child);
      // It lasts some 300 ms and begins when the folder is made; one kill of four comes before.
      const early = killed % 4 === 3;
      const waiting = (): boolean => !early && child.exitCode === null && filesIn(cache).length <= here;
      while (waiting()) await sleep(1);
      await sleep(Math.random() * 300);
      child.kill('SIGKILL');
      await outcome;
    }
    expect(await run(args, { env })).toEqual(expected);
    expectOneCopy(cache);
    rmSync(cache, { recursive: true });
  }
}

/** That the software adapter lies unpacked in a cache, once, and nothing is left of the unpacking. */
export function expectOneCopy(cache: string): void {
  const names = filesIn(cache).filter((path) => path.includes('swiftshader-'));
  expect(names.map((path) => basename(path)).sort()).toEqual([
    'checksums.json',
    'dawn.node',
    'libvk_swiftshader.so',
    'libvulkan.so.1',
    'vk_swiftshader_icd.json',
  ]);
  expect(filesIn(cache).filter((path) => /tmp|partial/.test(basename(path)))).toEqual([]);
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}
