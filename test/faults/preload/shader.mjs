// A driver that does not compile a kernel: FAULT_KERNEL is a pattern of the names of kernels whose text is spoilt on its way.
import { onDawn, setting, wrapMethod } from './dawn.mjs';

const kernels = new RegExp(setting('FAULT_KERNEL'));

onDawn(({ GPUDevice }) => {
  wrapMethod(
    GPUDevice,
    'createShaderModule',
    (original) =>
      function (descriptor) {
        const code = kernels.test(descriptor.label ?? '')
          ? descriptor.code.replace('@compute', '@computer')
          : descriptor.code;
        return original.call(this, { ...descriptor, code });
      },
  );
});
