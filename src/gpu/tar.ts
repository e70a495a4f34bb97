const BLOCK = 512;

/**
 * The regular files of a tar archive, by name. Enough for a ustar or GNU archive of plain files with short names, which
 * is what SwiftShader comes in; other entries are passed over.
 * Source: POSIX.1-2017, pax, "ustar Interchange Format": a header block, the content padded to blocks, then the next.
 *
 * @throws Error when a header's checksum is wrong or the archive ends inside an entry
 */
export function readTar(archive: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (let at = 0; at + BLOCK <= archive.length && archive[at] !== 0;) {
    const header = archive.subarray(at, at + BLOCK);
    const name = textField(header, 0, 100);
    const bytes = octalField(header, 124, 12);
    if (octalField(header, 148, 8) !== checksum(header)) throw new Error(`tar header at byte ${at} is damaged`);
    if (at + BLOCK + bytes > archive.length) throw new Error(`tar archive ends inside ${name}`);
    const isFile = header[156] === 0 || header[156] === '0'.charCodeAt(0);
    if (isFile) files.set(name.replace(/^\.\//, ''), archive.subarray(at + BLOCK, at + BLOCK + bytes));
    at += BLOCK + Math.ceil(bytes / BLOCK) * BLOCK;
  }
  return files;
}

/** The sum of the header's bytes, its own checksum field counted as eight spaces. */
function checksum(header: Uint8Array): number {
  return header.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 32 : byte), 0);
}

function octalField(header: Uint8Array, start: number, length: number): number {
  return Number.parseInt(textField(header, start, length).trim(), 8);
}

function textField(header: Uint8Array, start: number, length: number): string {
  const text = new TextDecoder('latin1').decode(header.subarray(start, start + length));
  return text.split('\0', 1)[0];
}
