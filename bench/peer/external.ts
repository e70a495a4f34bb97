import { closeSync, openSync, writeSync } from 'node:fs';
import onnxProto from 'onnx-proto';
import type { Weight } from './weights.ts';

const { onnx } = onnxProto;
export type Tensor = InstanceType<typeof onnx.TensorProto>;

/** Data of external tensors starts on a page, so that the runtime can map the file instead of copying it. */
const PAGE = 4096;

/** Tensors whose bytes lie in one file beside the graph. */
export class ExternalData {
  readonly tensors: Tensor[] = [];
  readonly #file: number;
  #offset = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  add(name: string, { shape, data }: Weight): void {
    writeSync(this.#file, data, 0, data.byteLength, this.#offset);
    const entries = { location: 'weights.bin', offset: this.#offset, length: data.byteLength };
    this.tensors.push(
      onnx.TensorProto.create({
        name,
        dims: shape,
        dataType: onnx.TensorProto.DataType.FLOAT,
        dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
        externalData: Object.entries(entries).map(([key, value]) => ({ key, value: String(value) })),
      }),
    );
    this.#offset = Math.ceil((this.#offset + data.byteLength) / PAGE) * PAGE;
  }

  close(): void {
    closeSync(this.#file);
  }
}
