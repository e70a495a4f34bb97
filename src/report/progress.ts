/** A line that says how far long work is. Does nothing where the stream is no terminal. */
export interface Progress {
  /** `done` of the total, in the unit of the total. */
  update(done: number): void;
  /** Takes the line away, and with it every trace of the progress. Safe to call twice. */
  clear(): void;
}

export interface ProgressOptions {
  stream: NodeJS.WritableStream;
  label: string;
  /** What `done` grows to; null where it is not known. */
  total: number | null;
  /** How a count reads, unit included: `12.3 MB`, `400 texts`. */
  format: (count: number) => string;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

/** Longer than any real pause between two chunks, short enough to follow a network that changes. */
const WINDOW_MS = 5000;
const REDRAW_MS = 100;
const BAR_CELLS = 24;

/**
 * Starts a progress line: label, bar, count, rate over the last five seconds, and the time left at this rate. What was
 * done before the first update (a download that goes on) counts as done, but not for the rate.
 */
export function startProgress(options: ProgressOptions): Progress {
  const { stream, label, total, format } = options;
  if (!('isTTY' in stream) || stream.isTTY !== true) return { update: () => undefined, clear: () => undefined };
  const now = options.now ?? (() => performance.now());
  const samples: { at: number; done: number }[] = [];
  let drawn = -Infinity;

  const line = (done: number, at: number): string => {
    const first = samples[0] ?? { at, done };
    const perSecond = at - first.at >= 500 ? ((done - first.done) / (at - first.at)) * 1000 : 0;
    const parts = [label];
    if (total !== null && total > 0) {
      const filled = Math.min(BAR_CELLS, Math.floor((done / total) * BAR_CELLS));
      parts.push(
        `${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)}`,
        `${Math.floor((done / total) * 100)} %`,
        `${format(done)} of ${format(total)}`,
      );
    } else {
      parts.push(format(done));
    }
    if (perSecond > 0) {
      parts.push(`${format(perSecond >= 10 ? Math.round(perSecond) : Number(perSecond.toPrecision(2)))}/s`);
      if (total !== null && done < total) parts.push(`${formatSeconds((total - done) / perSecond)} left`);
    }
    // A terminal that does not know its width says 0.
    const columns = ('columns' in stream && Number(stream.columns)) || 80;
    return parts.join('  ').slice(0, Math.max(0, columns - 1));
  };

  return {
    update(done) {
      const at = now();
      // Work that starts over (a server without ranges) starts its rate over, too.
      if (samples.length > 0 && done < samples[samples.length - 1].done) samples.length = 0;
      while (samples.length > 1 && at - samples[1].at >= WINDOW_MS) samples.shift();
      if (samples.length === 0 || at - samples[samples.length - 1].at >= REDRAW_MS) samples.push({ at, done });
      if (at - drawn < REDRAW_MS && done !== total) return;
      drawn = at;
      stream.write(`\r\u001b[K${line(done, at)}`);
    },
    clear() {
      if (drawn !== -Infinity) stream.write('\r\u001b[K');
      drawn = -Infinity;
      samples.length = 0;
    },
  };
}

/** `40 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
