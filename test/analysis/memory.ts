import { load } from '../../src/index.ts';
import type { Input } from '../../src/index.ts';

// A process of its own: analyzes lines and prints its memory after a tenth of them and at the end.

const [model = '', adapter = '', count = ''] = process.argv.slice(2);
const lines = Number(count);

async function* inputs(): AsyncGenerator<Input> {
  for (let i = 0; i < lines; i++) yield { text: `the quick fox ${i % 100} jumps over` };
}

const resident: number[] = [];
/** What is reachable: objects, and the bytes of typed arrays. */
const live: number[] = [];
{
  await using layer8 = await load({ model, adapter, layers: 1 });
  let done = 0;
  let high = 0;
  for await (const sequence of layer8.analyzeStream(inputs())) {
    high += sequence.high;
    if (++done !== lines / 10 && done !== lines) continue;
    resident.push(process.memoryUsage.rss());
    globalThis.gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    live.push(heapUsed + arrayBuffers);
  }
  console.log(JSON.stringify({ done, high, resident, live }));
}
