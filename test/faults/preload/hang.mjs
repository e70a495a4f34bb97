// The GPU gives no answer. FAULT_HANG=map: results that are asked for never come. FAULT_HANG=NAME: the kernel of that name
// never ends, and the device is busy until the process is gone.
import { onDawn, setting, wrapMethod } from './dawn.mjs';

const what = setting('FAULT_HANG');

onDawn(({ GPUBuffer, GPUDevice }) => {
  if (what === 'map') {
    wrapMethod(GPUBuffer, 'mapAsync', () => () => new Promise(() => {}));
    return;
  }
  wrapMethod(
    GPUDevice,
    'createShaderModule',
    (original) =>
      function (descriptor) {
        if (descriptor.label !== what) return original.call(this, descriptor);
        // A loop whose condition lies in shared memory: the compiler cannot foresee that it stays 0.
        const code = descriptor.code.replace(
          /fn main\([^{]*\{/,
          (start) => `${start} loop { if (atomicLoad(&fault_end) != 0u) { break; } }`,
        );
        const declared = `var<workgroup> fault_end: atomic<u32>;\n${code}`;
        return original.call(this, { ...descriptor, code: declared });
      },
  );
});
