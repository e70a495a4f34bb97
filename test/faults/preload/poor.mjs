// An adapter that has less: none of the features that FAULT_WITHOUT lists, or FAULT_DRIVER as its driver's name and version.
import { onDawn, wrapMethod } from './dawn.mjs';

const missing = (process.env.FAULT_WITHOUT ?? '').split(',');
const driver = process.env.FAULT_DRIVER;

onDawn(({ GPU }) => {
  wrapMethod(
    GPU,
    'requestAdapter',
    (original) =>
      async function (...given) {
        const adapter = await original.apply(this, given);
        if (adapter === null) return null;
        const { features, info } = adapter;
        const { vendor, architecture, device, isFallbackAdapter, subgroupMinSize, subgroupMaxSize } = info;
        // Own properties hide those of the class; the device then is made without what is not asked for.
        Object.defineProperty(adapter, 'features', {
          value: new Set([...features].filter((feature) => !missing.includes(feature))),
        });
        if (driver !== undefined) {
          Object.defineProperty(adapter, 'info', {
            value: {
              vendor,
              architecture,
              device,
              description: driver,
              isFallbackAdapter,
              subgroupMinSize,
              subgroupMaxSize,
            },
          });
        }
        return adapter;
      },
  );
});
