/** The text of a kernel: a `.wgsl` file as it is, or what a generator of kernels/NAME.ts returned. */
export interface KernelSource {
  readonly name: string;
  readonly code: string;
}

/** Values of a kernel's `override` constants, by name. */
export type Constants = Record<string, number>;

interface Field {
  readonly name: string;
  readonly float: boolean;
}

interface Operand {
  readonly binding: number;
  /** The declaration as WGSL has it, e.g. `storage, read` or `texture_2d<f32>`. */
  readonly declaration: string;
}

const BINDING = /@group\(0\)\s*@binding\((\d+)\)\s*var(?:<([^>]*)>)?\s+(\w+)\s*:\s*([^;]+);/g;
const COMMENT = /\/\/[^\n]*/g;

/**
 * A kernel on one device: its pipeline, and what its WGSL declares. Operands are bound by the names they have in the WGSL, which
 * are the names of the maths, and the numbers of a call fill the fields of its uniform struct by name.
 */
export class Kernel {
  readonly name: string;
  readonly code: string;
  readonly constants: Constants;
  readonly operands: ReadonlyMap<string, Operand>;
  /** Fields of the uniform struct in order, four bytes each; empty where the kernel has none. */
  readonly fields: readonly Field[];
  /** Binding of the uniform; −1 where the kernel has none. */
  readonly uniformBinding: number;
  readonly layout: GPUBindGroupLayout;
  /** The bind groups of earlier dispatches, by what they bind: a batch of the same shape finds its memory, and its groups, again. */
  readonly groups = new Map<string, GPUBindGroup>();
  /** Rejects where the driver cannot compile the kernel. */
  readonly pipeline: Promise<GPUComputePipeline>;

  constructor(device: GPUDevice, source: KernelSource, constants: Constants = {}) {
    this.name = source.name;
    this.code = source.code;
    this.constants = constants;
    const operands = new Map<string, Operand>();
    let fields: Field[] = [];
    let uniformBinding = -1;
    const text = source.code.replace(COMMENT, '');
    for (const [, number, space = '', name = '', type = ''] of text.matchAll(BINDING)) {
      const binding = Number(number);
      if (space === 'uniform') {
        uniformBinding = binding;
        fields = structFields(text, type.trim());
      } else {
        operands.set(name, { binding, declaration: space || type.trim() });
      }
    }
    this.operands = operands;
    this.fields = fields;
    this.uniformBinding = uniformBinding;
    const entries = [...operands.values()].map(layoutEntry);
    if (uniformBinding >= 0) {
      entries.push({ binding: uniformBinding, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } });
    }
    this.layout = device.createBindGroupLayout({ label: source.name, entries });
    this.pipeline = device.createComputePipelineAsync({
      label: source.name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [this.layout] }),
      compute: {
        module: device.createShaderModule({ label: source.name, code: source.code }),
        entryPoint: 'main',
        constants,
      },
    });
    // A failure is reported by whoever waits for the pipeline; until then it must not count as unhandled.
    this.pipeline.catch(() => {});
  }

  /** Whether the kernel writes this operand. */
  writes(operand: string): boolean {
    return /write/.test(this.operands.get(operand)?.declaration ?? '');
  }

  /** Bytes of the uniform. */
  get uniformBytes(): number {
    return Math.ceil(this.fields.length / 4) * 16;
  }

  /** Writes the numbers of one call where the uniform's fields lie. Every field must be given, and nothing else. */
  writeUniform(view: DataView, offset: number, numbers: Record<string, number>): void {
    for (const [index, field] of this.fields.entries()) {
      const value = numbers[field.name];
      if (value === undefined) throw new Error(`kernel ${this.name}: no value for ${field.name}`);
      if (field.float) view.setFloat32(offset + 4 * index, value, true);
      else view.setUint32(offset + 4 * index, value, true);
    }
    for (const name of Object.keys(numbers)) {
      if (!this.fields.some((field) => field.name === name))
        throw new Error(`kernel ${this.name} has no number ${name}`);
    }
  }
}

function structFields(text: string, type: string): Field[] {
  const body = new RegExp(`struct\\s+${type}\\s*\\{([^}]*)\\}`).exec(text)?.[1];
  if (body === undefined) throw new Error(`no struct ${type} in the kernel`);
  return [...body.matchAll(/(\w+)\s*:\s*(u32|i32|f32)/g)].map(([, name = '', kind]) => ({
    name,
    float: kind === 'f32',
  }));
}

function layoutEntry({ binding, declaration }: Operand): GPUBindGroupLayoutEntry {
  const entry = { binding, visibility: GPUShaderStage.COMPUTE };
  if (declaration.startsWith('storage')) {
    return { ...entry, buffer: { type: declaration.includes('read_write') ? 'storage' : 'read-only-storage' } };
  }
  const storageTexture = /^texture_storage_2d<\s*(\w+)\s*,\s*(\w+)\s*>/.exec(declaration);
  if (storageTexture) {
    const access =
      storageTexture[2] === 'read' ? 'read-only' : storageTexture[2] === 'write' ? 'write-only' : 'read-write';
    return { ...entry, storageTexture: { format: storageTexture[1] as GPUTextureFormat, access } };
  }
  return { ...entry, texture: { sampleType: declaration.includes('u32') ? 'uint' : 'unfilterable-float' } };
}
