// A bug of layer8: the FAULT_DISPATCH-th dispatch of the process asks for more workgroups than any device takes.
import { onDawn, setting, wrapMethod } from './dawn.mjs';

let left = Number(setting('FAULT_DISPATCH'));

onDawn(({ GPUComputePassEncoder }) => {
  wrapMethod(
    GPUComputePassEncoder,
    'dispatchWorkgroups',
    (original) =>
      function (...grid) {
        return original.apply(this, --left === 0 ? [2 ** 31] : grid);
      },
  );
});
