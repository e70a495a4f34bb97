// The GPU's memory does not suffice. Memory whose label FAULT_LABEL is a pattern of, and that is at least FAULT_BYTES large,
// is really asked for at the largest size the device takes, which a software adapter cannot give.
import { onDawn, setting, wrapMethod } from './dawn.mjs';

const label = new RegExp(setting('FAULT_LABEL'));
const least = Number(setting('FAULT_BYTES'));

onDawn(({ GPUDevice }) => {
  wrapMethod(
    GPUDevice,
    'createBuffer',
    (original) =>
      function (descriptor) {
        const greedy = label.test(descriptor.label ?? '') && descriptor.size >= least;
        if (!greedy) return original.call(this, descriptor);
        const refused = original.call(this, { ...descriptor, size: this.limits.maxBufferSize });
        return Object.defineProperty(refused, 'size', { value: descriptor.size });
      },
  );
});
