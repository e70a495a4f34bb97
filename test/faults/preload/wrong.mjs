// A driver that computes wrongly: FAULT_KERNEL is a pattern of the names of kernels whose square roots are a thousandth
// too large.
import { onDawn, setting, wrapMethod } from './dawn.mjs';

const kernels = new RegExp(setting('FAULT_KERNEL'));

onDawn(({ GPUDevice }) => {
  wrapMethod(
    GPUDevice,
    'createShaderModule',
    (original) =>
      function (descriptor) {
        const code = kernels.test(descriptor.label ?? '')
          ? descriptor.code.replaceAll(' sqrt(', ' 1.001 * sqrt(')
          : descriptor.code;
        return original.call(this, { ...descriptor, code });
      },
  );
});
