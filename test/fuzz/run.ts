// `npm run fuzz -- --seconds N --seed S --target NAME`: takes inputs until one fails, or there have been enough.
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { fuzz } from './target.ts';
import type { Target } from './target.ts';
import { TARGETS } from './targets.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string' }, seed: { type: 'string' }, target: { type: 'string' } },
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const chosen = TARGETS.filter(({ name }) => values.target === undefined || name === values.target);
if (!Number.isSafeInteger(seed) || chosen.length === 0) {
  console.error(`fuzz takes --seconds N, --seed S and --target ${TARGETS.map(({ name }) => name).join('|')}`);
  process.exit(2);
}
// Shares of the time, as of the inputs.
const all = chosen.reduce((sum, { runs }) => sum + runs.full, 0);

// An input that never ends stops this thread; another one notices.
const progress = new Int32Array(new SharedArrayBuffer(8));
const watcher = new Worker(
  `const { workerData: { progress, names, seed } } = require('node:worker_threads');
   let before = '';
   setInterval(() => {
     const now = progress.join();
     if (now === before) {
       require('node:fs').writeSync(2, 'input ' + progress[1] + ' of ' + names[progress[0]] + ' does not end: --seed ' + seed + '\\n');
       process.kill(process.pid, 'SIGKILL');
     }
     before = now;
   }, 60_000);`,
  { eval: true, workerData: { progress, names: chosen.map(({ name }) => name), seed } },
);

console.log(`seed ${seed}`);
for (const [index, target] of chosen.entries()) {
  progress[0] = index;
  if (!(await campaign(target))) {
    process.exitCode = 1;
    break;
  }
}
await watcher.terminate();

async function campaign(target: Target<unknown>): Promise<boolean> {
  const started = performance.now();
  const { taken, endings, finding } = await fuzz(target, {
    seed,
    runs: values.seconds === undefined ? target.runs.full : 2 ** 31 - 1,
    ...(values.seconds !== undefined && { milliseconds: (Number(values.seconds) * 1000 * target.runs.full) / all }),
    onInput: (number) => {
      progress[1] = number;
    },
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${target.name}: ${taken} inputs in ${seconds} s, ${endings.right} right, ${endings.refused} refused`);
  if (finding === undefined) return true;
  console.error(finding.error);
  console.error(`--target ${target.name} --seed ${seed} finds it again; kept as ${finding.fixture}`);
  return false;
}
