// Uses and disposes models at awkward times, as a program may: argv names the model and the adapter. Needs preload/lose.mjs.
// Prints what happened as one line of JSON, and ends by itself.
import { Layer8Error } from '../../src/errors.ts';
import { pack } from '../../src/bert/batch.ts';
import { forward } from '../../src/bert/forward.ts';
import { BertModel } from '../../src/bert/model.ts';

/** What a run of this file prints. Failures as "Class: message". */
export interface Lives {
  /** Two runs started at once both had the results of runs by themselves. */
  together: boolean;
  /** So they had when the device was lost in the first. */
  togetherWithLoss: boolean;
  /** What a run says whose model is disposed while it is under way, and one that waited behind it. */
  inFlight: string;
  queued: string;
  /** What a run says that starts after. */
  afterwards: string;
  /** What a run says whose model is disposed while a lost device is being replaced. */
  whileReopening: string;
  /** Devices that were made and not destroyed. */
  devicesLeft: number;
}

const [folder = '', adapter = ''] = process.argv.slice(2);
const { counts, lose, devices } = globalThis.fault;
const short = pack([{ ids: [2, 5, 6, 3] }]);
const long = pack([{ ids: [2, 7, 8, 9, 10, 3] }, { ids: [2, 8, 3] }]);

const open = (warn: (message: string) => void = () => {}): Promise<BertModel> =>
  BertModel.open(folder, { adapter, warn });
/** The states after all layers, as text. */
const states = (model: BertModel, batch = short): Promise<string> =>
  model.run(async ({ record, weights }) => {
    const { recording, ops } = record();
    const [bytes] = await recording.submit([ops.asBuffer(forward(ops, weights, batch, 8))]);
    return Buffer.from(bytes as ArrayBuffer).toString('hex');
  });
const failure = (run: Promise<unknown>): Promise<string> =>
  run.then(
    () => 'no failure',
    (error: unknown) =>
      error instanceof Layer8Error ? `${error.name}: ${error.message}` : `untyped: ${String(error)}`,
  );

const first = await open();
const alone = [await states(first, short), await states(first, long)];
const both = async (): Promise<boolean> =>
  (await Promise.all([states(first, short), states(first, long)])).join() === alone.join();
const together = await both();
lose('submit', counts.submit + 1);
const togetherWithLoss = await both();
const inFlight = failure(states(first, long));
const queued = failure(states(first, short));
await new Promise((resolve) => setTimeout(resolve, 0)); // the first is submitted
await first[Symbol.asyncDispose]();
const afterwards = failure(states(first));

let second: BertModel;
let disposed: Promise<void> | undefined;
second = await open(() => {
  disposed = second[Symbol.asyncDispose](); // the warning comes before the new device
});
lose('submit', counts.submit + 1);
const whileReopening = await failure(states(second));
await disposed;

const lives: Lives = {
  together,
  togetherWithLoss,
  inFlight: await inFlight,
  queued: await queued,
  afterwards: await afterwards,
  whileReopening,
  devicesLeft: await left(),
};
globalThis.gc?.();
console.log(JSON.stringify(lives));

async function left(): Promise<number> {
  const alive = new Set(devices);
  for (const device of devices) void device.lost.then(() => alive.delete(device));
  await new Promise((resolve) => setTimeout(resolve, 50));
  return alive.size;
}
