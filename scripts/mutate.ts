/**
 * `npm run mutate [-- NAME…] [--per 15] [--seed 8]`: changes one token of a kernel at a time (an operator, a constant, an index, a
 * bound, a barrier) and runs the kernel's tests. A mutant that no test notices survives; kernels/README.md lists the survivors with
 * the reason why each computes the same. Works on copies in a temporary folder; a mutant that does not compile is not counted. The
 * property tests draw the same cases every time, so a survivor does not come and go.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly before: string;
  readonly after: string;
  readonly text: string;
}

type Outcome = 'killed' | 'killed by the clock' | 'survived' | 'does not compile';

/** What a token becomes. The blanks around operators keep apart a binary minus and a sign, a division and a comment. */
const MUTATIONS: readonly (readonly [RegExp, (token: string) => string])[] = [
  [/ [+] /g, () => ' - '],
  [/ - /g, () => ' + '],
  [/ [*] /g, () => ' + '],
  [/ [/] /g, () => ' * '],
  [/ [+]= /g, () => ' -= '],
  [/ < /g, () => ' <= '],
  [/ <= /g, () => ' < '],
  [/ > /g, () => ' >= '],
  [/ >= /g, () => ' > '],
  [/ == /g, () => ' != '],
  [/ != /g, () => ' == '],
  [/ && /g, () => ' || '],
  [/ [|][|] /g, () => ' && '],
  [/ & /g, () => ' | '],
  [/ >> /g, () => ' << '],
  [/\b\d+u\b/g, (token) => `${Number.parseInt(token, 10) + 1}u`],
  [/(?<![\w.])\d+\.\d+(?![\w.])/g, (token) => String(Number(token) === 0 ? 1.5 : Number(token) * 1.25)],
  [/(?<=\w)\.[xyz]\b/g, (token) => ({ '.x': '.y', '.y': '.z', '.z': '.x' })[token] ?? token],
  [/\bmin\(/g, () => 'max('],
  [/\bmax\(/g, () => 'min('],
  [/\bworkgroupBarrier\(\);/g, () => ''],
];

const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { per: { type: 'string', default: '15' }, seed: { type: 'string', default: '8' } },
});
const per = Number(values.per);
const files = readdirSync(join(root, 'kernels')).filter((file) => /\.(wgsl|ts)$/.test(file));
const wanted = files.filter((file) => positionals.length === 0 || positionals.includes(file.replace(/\.\w+$/, '')));

const copy = mkdtempSync(join(tmpdir(), 'layer8-mutate-'));
let running: ChildProcess | undefined;
let survived = 0;
let counted = 0;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stopTests();
    rmSync(copy, { recursive: true, force: true });
    process.exit(1);
  });
}
try {
  for (const item of ['src', 'kernels', 'test', 'package.json', 'tsconfig.json']) {
    cpSync(join(root, item), join(copy, item), { recursive: true });
  }
  // Kernels need no compiled command, which the project's own configuration builds before the tests.
  writeFileSync(
    join(copy, 'vitest.config.ts'),
    "export default { test: { pool: 'forks', maxWorkers: 1, setupFiles: ['./seed.ts'] } };\n",
  );
  writeFileSync(
    join(copy, 'seed.ts'),
    `import { configureGlobal } from 'fast-check';\n\nconfigureGlobal({ seed: ${Number(values.seed)} });\n`,
  );
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'dir');
  symlinkSync(join(root, 'weights'), join(copy, 'weights'), 'dir');
  for (const file of wanted) {
    const tests = testsOf(file);
    if (tests.length === 0) {
      console.log(`${file}: no test names it`);
      continue;
    }
    const began = performance.now();
    if ((await runTests(tests, 600_000)) !== 'survived')
      throw new Error(`the tests of ${file} fail without a mutation`);
    // Tests that take so much longer than those of the kernel itself are taken to run without an end.
    const limit = 20_000 + 5 * (performance.now() - began);
    const outcomes: Record<Outcome, number> = {
      killed: 0,
      'killed by the clock': 0,
      survived: 0,
      'does not compile': 0,
    };
    let own = 0;
    for (const mutant of mutantsOf(file)) {
      if (own === per) break;
      const outcome = await tryMutant(mutant, tests, limit);
      outcomes[outcome]++;
      if (outcome !== 'does not compile') own++;
      if (outcome === 'survived')
        console.log(`survived: ${file}:${mutant.line}  \`${mutant.before.trim()}\` → \`${mutant.after.trim()}\``);
    }
    counted += own;
    survived += outcomes.survived;
    console.log(
      `${file}: ${own} mutants${own < per ? ', all there are' : ''}, ${outcomes.survived} survived; ` +
        `${outcomes['killed by the clock']} ran without an end, ${outcomes['does not compile']} more did not compile`,
    );
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
console.log(`${survived} of ${counted} mutants survived (${((100 * survived) / Math.max(1, counted)).toFixed(1)} %)`);

/** The test of the kernel's name. Else those of the kernels that are built from it, or else all that mention it. */
function testsOf(file: string): string[] {
  const name = file.replace(/\.\w+$/, '');
  const all = readdirSync(join(root, 'test', 'kernels')).filter((test) => test.endsWith('.test.ts'));
  if (all.includes(`${name}.test.ts`)) return [`test/kernels/${name}.test.ts`];
  const users = files.filter((user) => readFileSync(join(root, 'kernels', user), 'utf8').includes(`from './${file}'`));
  if (users.length > 0) return [...new Set(users.flatMap(testsOf))];
  return all
    .filter((test) => new RegExp(`\\b${name}\\b`).test(readFileSync(join(root, 'test', 'kernels', test), 'utf8')))
    .map((test) => `test/kernels/${test}`);
}

/** All mutants of a kernel in an order that the seed decides. Declarations and comments are left alone. */
function mutantsOf(file: string): Mutant[] {
  const text = readFileSync(join(root, 'kernels', file), 'utf8');
  const mutants: Mutant[] = [];
  let inTemplate = file.endsWith('.wgsl');
  let start = 0;
  for (const [index, line] of text.split('\n').entries()) {
    const code = line.replace(/\/\/.*/, '');
    const ticks = (code.match(/`/g) ?? []).length;
    const mutable =
      (inTemplate || ticks > 0) && !/^\s*(@group|@compute|struct|override|enable|import|export|\*|\/\*)/.test(code);
    if (file.endsWith('.ts') && ticks % 2 === 1) inTemplate = !inTemplate;
    if (mutable) {
      for (const [pattern, replace] of MUTATIONS) {
        for (const { 0: token, index: at } of code.matchAll(pattern)) {
          const mutated = code.slice(0, at) + replace(token) + code.slice(at + token.length);
          mutants.push({
            file,
            line: index + 1,
            before: code,
            after: mutated,
            text: text.slice(0, start) + mutated + text.slice(start + line.length),
          });
        }
      }
    }
    start += line.length + 1;
  }
  return shuffled(mutants, Number(values.seed));
}

function shuffled<T>(list: readonly T[], seed: number): T[] {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return list
    .map((item) => [random(), item] as const)
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item);
}

async function tryMutant({ file, text }: Mutant, tests: readonly string[], limit: number): Promise<Outcome> {
  const path = join(copy, 'kernels', file);
  const original = readFileSync(path);
  writeFileSync(path, text);
  try {
    return await runTests(tests, limit);
  } finally {
    writeFileSync(path, original);
  }
}

async function runTests(tests: readonly string[], limit: number): Promise<Outcome> {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  let output = '';
  let late = false;
  running = spawn(process.execPath, [vitest, 'run', '--bail', '1', ...tests], {
    cwd: copy,
    detached: true, // a group of its own, so that its workers can be ended with it
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { LAYER8_TEST_ADAPTER: 'swiftshader', ...process.env },
  });
  for (const stream of [running.stdout, running.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const timer = setTimeout(() => {
    late = true;
    stopTests();
  }, limit);
  const [status] = (await once(running, 'close')) as [number | null];
  clearTimeout(timer);
  running = undefined;
  if (/does not compile|is not valid|Transform failed/.test(output)) return 'does not compile';
  if (late) return 'killed by the clock';
  return status === 0 ? 'survived' : 'killed';
}

/** Ends the tests and the workers they started, which a shader without an end would keep busy for ever. */
function stopTests(): void {
  try {
    if (running?.pid !== undefined) process.kill(-running.pid, 'SIGKILL');
  } catch {
    // They ended by themselves.
  }
}
