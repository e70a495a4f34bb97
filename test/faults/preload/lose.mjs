// The device is lost. FAULT_LOSE lists the moments, each the n-th call of its kind in this process, counted from 1:
// upload:N (a write of weights, tables or numbers), dispatch:N (while commands are recorded), submit:N (just before),
// submitted:N (just after), map:N (the results are on their way back). FAULT_TRACE names a file that gets the numbers of
// calls when the process ends.
import { writeFileSync } from 'node:fs';
import { onDawn, wrapMethod } from './dawn.mjs';

const moments = new Set((process.env.FAULT_LOSE ?? '').split(','));
const counts = { upload: 0, dispatch: 0, submit: 0, submitted: 0, map: 0 };
const devices = [];

/** Counts a call of this kind, and destroys the device where its moment has come. */
function reach(kind) {
  counts[kind]++;
  if (moments.has(`${kind}:${counts[kind]}`)) devices.at(-1).destroy();
}

const before = (kind) => (original) =>
  function (...given) {
    reach(kind);
    return original.apply(this, given);
  };
const after = (kind) => (original) =>
  function (...given) {
    const result = original.apply(this, given);
    reach(kind);
    return result;
  };

onDawn(({ GPUAdapter, GPUQueue, GPUComputePassEncoder, GPUBuffer }) => {
  const remember = (original) =>
    async function (...given) {
      const device = await original.apply(this, given);
      devices.push(device);
      return device;
    };
  wrapMethod(GPUAdapter, 'requestDevice', remember);
  wrapMethod(GPUQueue, 'writeBuffer', before('upload'));
  wrapMethod(GPUQueue, 'writeTexture', before('upload'));
  wrapMethod(GPUComputePassEncoder, 'dispatchWorkgroups', before('dispatch'));
  wrapMethod(GPUQueue, 'submit', before('submit'));
  wrapMethod(GPUQueue, 'submit', after('submitted'));
  wrapMethod(GPUBuffer, 'mapAsync', after('map'));
});

/** For a test that is in this process: the devices and counts so far, and a moment to come. */
globalThis.fault = { devices, counts, lose: (kind, n) => moments.add(`${kind}:${n}`) };

const { FAULT_TRACE } = process.env;
if (FAULT_TRACE) process.on('exit', () => writeFileSync(FAULT_TRACE, JSON.stringify(counts)));
