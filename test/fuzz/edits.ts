import * as fc from 'fast-check';

/** One change of a file. Numbers are taken modulo what there is. */
interface Edit {
  kind: 'byte' | 'delete' | 'repeat' | 'insert' | 'replace' | 'digits' | 'end';
  at: number;
  length: number;
  value: number;
}

/** A right file, and what is changed in it. */
export interface Edited {
  file: number;
  edits: Edit[];
}

const KINDS: Edit['kind'][] = ['byte', 'delete', 'repeat', 'insert', 'replace', 'replace', 'digits', 'digits', 'end'];

/** One to four edits of one of `files`, or none. */
export function editsOf(files: number): fc.Arbitrary<Edited> {
  const edit = fc.record({
    kind: fc.constantFrom(...KINDS),
    at: fc.nat(0xffff),
    length: fc.nat(63),
    value: fc.nat(0xffff),
  });
  return fc.record({ file: fc.nat(files - 1), edits: fc.array(edit, { maxLength: 4 }) });
}

/** The bytes of a file after its edits; `fragments` are put in and in place of others. */
export function apply(file: Uint8Array, edits: readonly Edit[], fragments: readonly Uint8Array[]): Uint8Array {
  let bytes = [...file];
  for (const { kind, at: place, length, value } of edits) {
    const at = place % (bytes.length + 1);
    const fragment = fragments[value % fragments.length];
    if (kind === 'byte') bytes[at] = value & 0xff;
    else if (kind === 'delete') bytes.splice(at, 1 + (length & 7));
    else if (kind === 'repeat') bytes.splice(at, 0, ...bytes.slice(at, at + length));
    else if (kind === 'insert') bytes.splice(at, 0, ...fragment);
    else if (kind === 'replace') bytes.splice(at, length & 7, ...fragment);
    else if (kind === 'end') bytes.length = Math.min(bytes.length, at);
    // Some digits for others: what comes nearest to a right file.
    else
      bytes = bytes.map((byte, i) => (isDigit(byte) && (i * 7 + place) % 11 === 0 ? 0x30 + ((i + value) % 10) : byte));
  }
  return Uint8Array.from(bytes);
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** What breaks JSON, and what is right in another place. Separated by spaces, but for those that hold one. */
const JSON_PARTS = String.raw`{ } [ ] , : " \ \u \ud800 \u0000 0 - . -1 1.5 e9 00 1e999 9007199254740993 18446744073709551616 2147483648
  ,0 0, null true false {} [] "" "a" "x":1, ,"a":{} __metadata__ __proto__ constructor "__proto__":{}, [[[[[[[[[[[[[[[[[[[[`;

/** Fragments for JSON files: these, and words of their own kind. */
export function jsonFragments(words: string): Uint8Array[] {
  const texts = [...JSON_PARTS.split(/\s+/), ...words.split(/\s+/), ' ', '\n', '\0', '\u{feff}', '{"":'.repeat(20)];
  return [...texts.map((text) => new TextEncoder().encode(text)), Uint8Array.of(0xff), Uint8Array.of(0xc3, 0x28)];
}

/** Bytes as a string of as many characters, which JSON can hold. */
export function toLatin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function fromLatin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}
