import { createInterface } from 'node:readline';
import process from 'node:process';
import type { LoadOptions, Reply, Request, Sequence, Variant } from '../protocol.ts';

/** One engine of the benchmark, as its own process offers it. */
export interface EngineUnderTest {
  /** Makes on disk what later loads need; runs in a process of its own, so that neither memory nor time counts. */
  prepare?(options: LoadOptions): void | Promise<void>;
  load(options: LoadOptions): Promise<void>;
  /** One forward pass from token ids to TAS [sequences][tokens] in this process's memory. */
  run(sequences: Sequence[], variant: Variant): Promise<ArrayLike<number>[]>;
  exit(): Promise<void>;
}

/** Answers requests on stdin, one at a time, until `exit` or the end of stdin. */
export async function serve(engine: EngineUnderTest): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request;
    let reply: Omit<Reply, 'rss_mb'>;
    try {
      reply = await answer(engine, request);
    } catch (error) {
      reply = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    const rss_mb = Math.round((process.resourceUsage().maxRSS * 1024) / 1e6);
    process.stdout.write(`${JSON.stringify({ ...reply, rss_mb })}\n`);
    if (request.cmd === 'exit') break;
  }
  process.exit();
}

async function answer(engine: EngineUnderTest, request: Request): Promise<Omit<Reply, 'rss_mb'>> {
  if (request.cmd === 'prepare') await engine.prepare?.(request.options);
  if (request.cmd === 'load') await engine.load(request.options);
  if (request.cmd === 'exit') await engine.exit();
  if (request.cmd !== 'run') return {};
  const start = performance.now();
  let passes = 0;
  let elapsed: number;
  let tas: ArrayLike<number>[];
  do {
    tas = await engine.run(request.sequences, request.variant);
    passes++;
    elapsed = (performance.now() - start) / 1000;
  } while (elapsed < request.seconds);
  return { seconds: elapsed / passes, tas: tas.map((sequence) => Array.from(sequence)) };
}
