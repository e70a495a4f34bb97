import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Layer8, load } from '../../src/index.ts';
import type { Input } from '../../src/index.ts';
import { ADAPTER, ROOT } from '../support.ts';

// The examples in the comments of src/index.ts are run as they stand.

const INDEX = join(ROOT, 'src/index.ts');

interface Example {
  /** The function that the comment belongs to. */
  readonly name: string;
  readonly code: string;
}

/** The indented lines of every comment, with the name that follows it. */
function examplesOf(source: string): Example[] {
  const comments = source.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\s*(?:export )?(?:async )?(?:function )?(\w+)/g);
  return Array.from(comments, ([, comment = '', name = '']) => ({
    name,
    code: Array.from(comment.matchAll(/^ *\* {5}(.*)$/gm), ([, line]) => line).join('\n'),
  })).filter(({ code }) => code !== '');
}

/** What an example is given, and what it leaves: the variables that it declares. */
type Run = (given: Record<string, unknown>) => Promise<Record<string, unknown>>;

const examples = examplesOf(await readFile(INDEX, 'utf8'));
let layer8: Layer8;
let folder: string;
const runs = new Map<string, Run>();

beforeAll(async () => {
  layer8 = await load({ adapter: ADAPTER });
  // Inside the project, so that the tests' own compiler takes them.
  folder = await mkdtemp(join(ROOT, 'test/library/.examples-'));
  for (const { name, code } of examples) {
    const file = join(folder, `${name}.ts`);
    const declared = Array.from(
      code.matchAll(/(?:const|using) (?:\{ ([\w, ]+) \}|\[(\w+)\]|(\w+)) =/g),
      (match) => (match[1] ?? match[2] ?? match[3]) as string,
    );
    const parameters = ['load', 'layer8', 'lines', 'console'].filter((given) => !declared.includes(given));
    await writeFile(
      file,
      `export async function run({ ${parameters.join(', ')} }: any) {\n${code}\nreturn { ${declared.join(', ')} };\n}\n`,
    );
    runs.set(name, ((await import(file)) as { run: Run }).run);
  }
}, 120_000);
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await layer8[Symbol.asyncDispose]();
});

async function run(name: string, given: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
  return (runs.get(name) as Run)({ layer8, ...given });
}

test('every function of the library has an example', () => {
  const methods = Object.entries(Object.getOwnPropertyDescriptors(Layer8.prototype))
    .filter(([name, { value }]) => typeof value === 'function' && name !== 'constructor')
    .map(([name]) => name);
  expect(examples.map(({ name }) => name).sort()).toEqual(['load', ...methods].sort());
});

test('load, and dispose at the end of the block', async () => {
  let disposed = 0;
  const shared = Object.create(layer8, {
    analyze: { value: layer8.analyze.bind(layer8) },
    [Symbol.asyncDispose]: { value: async () => void disposed++ },
  }) as Layer8;
  const { sequences } = await run('load', { load: async () => shared });
  expect(disposed).toBe(1);
  const high = (sequences as { tokens: { token: string; bucket: string }[] }[])[0]?.tokens.filter(
    ({ bucket }) => bucket === 'HIGH',
  );
  expect(high?.map(({ token }) => token)).toEqual(['brown', 'over', 'dog']);
});

test('analyze', async () => {
  const { result } = (await run('analyze')) as { result: Awaited<ReturnType<Layer8['analyze']>> };
  expect(result.sequences.map(({ id, pair }) => [id, pair])).toEqual([
    ['0', undefined],
    ['b', 'Its answer.'],
  ]);
  expect(result.sequences[0]?.tokens[1]?.flow).toHaveLength(9);
  expect(result.options).toMatchObject({ layer: 8, flow: true, quantile: 0.75 });
  expect(result.adapter.kernels).not.toBe('');
});

test('analyzeStream', async () => {
  const logged: unknown[] = [];
  async function* lines(): AsyncGenerator<Input> {
    yield { text: 'One line.' };
    yield { text: 'Another line.' };
  }
  await run('analyzeStream', { lines, console: { log: (value: unknown) => logged.push(value) } });
  expect(logged).toHaveLength(2);
  expect(logged.every((threshold) => (threshold as number) > 1)).toBe(true);
});

test('complete', async () => {
  expect(await run('complete')).toEqual({ quantile: 0.75, interpolation: 'linear' });
});

test('tokenize gives what its comment says', async () => {
  const [, expression, value] =
    /^(.*) \/\/ (.*)$/.exec(examples.find(({ name }) => name === 'tokenize')?.code ?? '') ?? [];
  expect(expression).toBe("layer8.tokenize('naïve', 'a pair').tokens");
  expect(layer8.tokenize('naïve', 'a pair').tokens).toEqual(JSON.parse((value as string).replaceAll("'", '"')));
  await run('tokenize');
});

test('hiddenStates', async () => {
  const found = await run('hiddenStates');
  const { states, shape } = found as { states: Float32Array; shape: [number, number] };
  expect(shape).toEqual([7, 768]);
  expect(states).toHaveLength(7 * 768);
  const { sequences } = await layer8.analyze('The quick brown fox.', { layer: 4 });
  const norm = Math.sqrt(states.subarray(768, 2 * 768).reduce((sum, x) => sum + x * x, 0));
  expect(sequences[0]?.tokens[1]?.tas).toBeCloseTo(norm, 4);
});

test('tas, the same as of the text', async () => {
  const { tas } = (await run('tas')) as { tas: Float32Array };
  const { sequences } = await layer8.analyze('hello');
  expect([...tas]).toEqual(sequences[0]?.tokens.map((token) => token.tas));
});
