// While a promise of WebGPU is pending, Dawn's binding for Node polls without pause. A software adapter computes on the same
// cores, so the poll takes one from it: 25–45 % of the time of a run. A second loop that sleeps in each turn gives the core back.

const PAUSE_MS = 0.3;
let cell: Int32Array | undefined;
/** How much is under way on this thread that a sleep would hold up. */
let busy = 0;

/** Does `work`, which reads files and the like: meanwhile no wait sleeps. */
export async function awake<T>(work: () => Promise<T>): Promise<T> {
  busy++;
  try {
    return await work();
  } finally {
    busy--;
  }
}

/** Waits for `promise` and sleeps between two turns of the event loop while it is pending. Node only. */
export async function waitSleeping<T>(promise: Promise<T>): Promise<T> {
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  const sleeper = cell;
  let pending = true;
  const settled = promise.finally(() => {
    pending = false;
  });
  const turn = (): void => {
    if (!pending) return;
    if (busy === 0) Atomics.wait(sleeper, 0, 0, PAUSE_MS);
    setImmediate(turn);
  };
  setImmediate(turn);
  return settled;
}
