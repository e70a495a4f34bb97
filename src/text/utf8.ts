import { isUtf8 } from 'node:buffer';
import { InputError } from '../errors.ts';

/**
 * Text of UTF-8 bytes, chunk by chunk, without the byte order mark a file may begin with. What is valid before the first
 * fault comes out before the error.
 * @param name of the source, for messages
 * @throws InputError naming the offset of the first byte that is no UTF-8
 */
export async function* decodeUtf8(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<string> {
  let carried: Uint8Array = new Uint8Array(0);
  let offset = 0;
  for await (const chunk of chunks) {
    const bytes = carried.length === 0 ? chunk : Buffer.concat([carried, chunk]);
    const complete = completeLength(bytes);
    const head = bytes.subarray(0, complete);
    const valid = isUtf8(head) ? complete : validLength(head);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, valid).toString('utf8');
    if (text !== '') yield offset === 0 && text.startsWith('\ufeff') ? text.slice(1) : text;
    if (valid < complete) throw notUtf8(name, offset + valid, offset === 0 ? bytes : undefined);
    offset += complete;
    carried = bytes.subarray(complete);
  }
  if (carried.length > 0) throw notUtf8(name, offset, undefined);
}

function notUtf8(name: string, offset: number, start: Uint8Array | undefined): InputError {
  const mark = start === undefined ? 0 : (start[0] << 8) | start[1];
  const encoding = mark === 0xfffe || mark === 0xfeff ? 'UTF-16' : 'ENCODING';
  const guess = encoding === 'UTF-16' ? 'It looks like UTF-16. ' : '';
  return new InputError(`${name} is not UTF-8: byte ${offset} begins no character`, {
    hint: `${guess}Convert it first, for example with: iconv -f ${encoding} -t UTF-8`,
  });
}

/** Bytes up to the last character that may go on in the next chunk. */
function completeLength(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    return sequenceLength(byte) > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function sequenceLength(lead: number): number {
  if (lead < 0xc2 || lead > 0xf4) return 1;
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/** Bytes before the first ill-formed sequence (The Unicode Standard, table 3-7). */
function validLength(bytes: Uint8Array): number {
  let i = 0;
  while (i < bytes.length) {
    const lead = bytes[i];
    const length = sequenceLength(lead);
    if (length === 1 && lead >= 0x80) return i;
    for (let k = 1; k < length; k++) {
      const least = k > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
      const most = k > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
      const byte = bytes[i + k] ?? 0;
      if (byte < least || byte > most) return i;
    }
    i += length;
  }
  return i;
}
