import { formatBytes } from '../hub/disk.ts';
import type { Progress } from '../report/progress.ts';
import { startProgress } from '../report/progress.ts';
import type { InputText } from '../text/records.ts';
import type { InputSource } from './input.ts';
import type { CommandIo } from './io.ts';

/** Follows texts into the analysis and their results out of it, on a progress line. */
export interface Meter {
  /** Passes texts through and remembers their sizes until they are done. */
  count: (texts: AsyncIterable<InputText>) => AsyncIterable<InputText>;
  /** A text that an earlier run is done with. */
  skip: (text: InputText) => void;
  /** @param sequences done since the start */
  update: (sequences: number) => void;
  clear: () => void;
}

/** @param off no progress: nobody sees it, or results show it */
export function startMeter({ size, many }: InputSource, { stderr }: CommandIo, off: boolean): Meter {
  if (off || !many || stderr.isTTY !== true) {
    return { count: (texts) => texts, skip: () => undefined, update: () => undefined, clear: () => undefined };
  }
  const format = size === null ? (count: number) => `${count.toLocaleString('en')} sequences` : formatBytes;
  const progress: Progress = startProgress({ stream: stderr, label: 'analyze', total: size, format });
  const pending: number[] = [];
  let counted = 0;
  let skipped = 0;
  let bytes = 0;
  return {
    async *count(texts) {
      // Texts that are read a second time are done already.
      if (counted > 0) return void (yield* texts);
      for await (const text of texts) {
        pending.push(text.bytes ?? 0);
        yield text;
      }
    },
    skip(text) {
      skipped++;
      bytes += text.bytes ?? 0;
    },
    update(sequences) {
      const finished = pending.splice(0, sequences - counted);
      counted = sequences;
      for (const length of finished) bytes += length;
      progress.update(size === null ? skipped + sequences : Math.min(bytes, size));
    },
    clear: () => progress.clear(),
  };
}
