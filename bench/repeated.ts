/** Dispatches that are written down once and then run as often as a clock needs. */
import type { Gpu } from '../src/gpu/device.ts';
import { Recording } from '../src/gpu/recording.ts';
import { Tensor, type TensorOptions } from '../src/gpu/tensor.ts';

/** One dispatch: kernel, operands, numbers, grid. */
export type Call = Parameters<Recording['dispatch']>;

/** A recording that remembers its dispatches, and whose tensors keep their memory: any of them can run again. */
export class Tape extends Recording {
  readonly calls: Call[] = [];
  readonly #memory: Gpu;
  readonly #tensors: Tensor[] = [];

  constructor(gpu: Gpu) {
    super(gpu);
    this.#memory = gpu;
  }

  override tensor(label: string, shape: readonly number[], options: TensorOptions = {}): Tensor {
    const tensor = this.#memory.allocate(new Tensor(label, shape, options));
    this.#tensors.push(tensor);
    return tensor;
  }

  override dispatch(...call: Call): void {
    this.calls.push(call);
    super.dispatch(...call);
  }

  free(): void {
    for (const { resource } of this.#tensors.splice(0)) if (resource) this.#memory.pool.free(resource);
  }
}

/** Dispatches whose pipelines, bind groups and uniforms are made, so that nothing but the GPU's work is timed. */
export class Repeated {
  readonly #gpu: Gpu;
  readonly #steps: { pipeline: GPUComputePipeline; group: GPUBindGroup; grid: Call[3] }[] = [];
  readonly #buffers: GPUBuffer[] = [];
  readonly #result: Tensor;
  readonly #staging: GPUBuffer;

  private constructor(gpu: Gpu, result: Tensor) {
    this.#gpu = gpu;
    this.#result = result;
    this.#staging = gpu.device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    this.#buffers.push(this.#staging);
  }

  static async prepare(gpu: Gpu, calls: readonly Call[]): Promise<Repeated> {
    const [kernel, operands] = calls.at(-1)!;
    const written = Object.keys(operands).find((name) => kernel.writes(name))!;
    const repeated = new Repeated(gpu, operands[written]);
    for (const call of calls) await repeated.#add(call);
    return repeated;
  }

  /** Seconds of one time, the mean of `times` in one submission: from the submission until a number that it wrote is here. */
  async seconds(times: number): Promise<number> {
    const { device } = this.#gpu;
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < times; i++) {
      for (const { pipeline, group, grid } of this.#steps) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(...grid);
      }
    }
    pass.end();
    this.#copyFirst(encoder);
    const commands = encoder.finish();
    const start = performance.now();
    device.queue.submit([commands]);
    await this.#gpu.wait(this.#staging.mapAsync(GPUMapMode.READ));
    const elapsed = (performance.now() - start) / 1000;
    this.#staging.unmap();
    return elapsed / times;
  }

  free(): void {
    for (const buffer of this.#buffers.splice(0)) buffer.destroy();
  }

  async #add([kernel, operands, numbers, grid]: Call): Promise<void> {
    const { device } = this.#gpu;
    const entries: GPUBindGroupEntry[] = Object.entries(operands).map(([name, tensor]) => ({
      binding: kernel.operands.get(name)!.binding,
      resource: tensor.binding(),
    }));
    if (kernel.uniformBinding >= 0) {
      const values = new ArrayBuffer(kernel.uniformBytes);
      kernel.writeUniform(new DataView(values), 0, numbers);
      const buffer = device.createBuffer({
        size: values.byteLength,
        usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      });
      this.#buffers.push(buffer);
      device.queue.writeBuffer(buffer, 0, values);
      entries.push({ binding: kernel.uniformBinding, resource: { buffer } });
    }
    const pipeline = await this.#gpu.wait(kernel.pipeline);
    this.#steps.push({ pipeline, group: device.createBindGroup({ layout: kernel.layout, entries }), grid });
  }

  /** The first sixteen bytes of the result: what is read must be what was computed, or there is nothing to wait for. */
  #copyFirst(encoder: GPUCommandEncoder): void {
    const resource = this.#result.resource!;
    if ('createView' in resource) encoder.copyTextureToBuffer({ texture: resource }, { buffer: this.#staging }, [1, 1]);
    else encoder.copyBufferToBuffer(resource, 0, this.#staging, 0, 16);
  }
}
