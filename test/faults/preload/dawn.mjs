// Faults of a GPU, provoked on the real device. A module of this folder is loaded into the real command with
// `node --import`; it waits for Dawn's native binding and wraps methods of WebGPU's classes, which then do what a
// failing GPU does: the device really is destroyed, the shader really is refused, the memory really is asked for.

/**
 * Calls `patch` with the classes of each native binding that is loaded: GPUDevice, GPUQueue and so on.
 * @param {(classes: Record<string, { prototype: any }>) => void} patch
 */
export function onDawn(patch) {
  const { dlopen } = process;
  process.dlopen = function (module, ...rest) {
    dlopen.call(this, module, ...rest);
    if (module.exports?.globals?.GPUDevice) patch(module.exports.globals);
  };
}

/**
 * Replaces a method by `wrap(original)`.
 * @param {{ prototype: any }} target a class
 * @param {string} name
 * @param {(original: Function) => Function} wrap
 */
export function wrapMethod(target, name, wrap) {
  Object.defineProperty(target.prototype, name, { value: wrap(target.prototype[name]) });
}

/** The value of an environment variable that a fault needs. */
export function setting(name) {
  const value = process.env[name];
  if (value === undefined) throw new Error(`the fault needs ${name}`);
  return value;
}
