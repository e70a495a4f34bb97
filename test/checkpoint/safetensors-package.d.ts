/** The npm package ships no types. It reads files without `__metadata__`, and checks nothing: an oracle for right files. */
declare module 'safetensors' {
  class SafeTensor {
    metadata: Map<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
    constructor(file: Uint8Array);
    getTensor(name: string): Uint8Array;
  }
  const safetensors: { SafeTensor: typeof SafeTensor };
  export default safetensors;
}
