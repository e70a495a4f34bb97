import { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { formatSeconds, startProgress } from '../../src/report/progress.ts';

class Terminal extends Writable {
  isTTY = true;
  columns = 100;
  writes: string[] = [];
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.writes.push(chunk.toString());
    done();
  }
  get last(): string {
    return stripVTControlCharacters(this.writes.at(-1) ?? '').replace('\r', '');
  }
}

const format = (count: number) => `${count} texts`;

test('nothing is written where the stream is no terminal', () => {
  const stream = Object.assign(new Terminal(), { isTTY: false });
  const progress = startProgress({ stream, label: 'run', total: 10, format });
  progress.update(5);
  progress.clear();
  expect(stream.writes).toEqual([]);
});

test('label, bar, count, rate and time left; what an earlier run did is not counted for the rate', () => {
  const stream = new Terminal();
  let clock = 0;
  const progress = startProgress({ stream, label: 'run', total: 1000, format, now: () => clock });
  progress.update(500);
  expect(stream.last).toBe('run  ████████████░░░░░░░░░░░░  50 %  500 texts of 1000 texts');
  clock = 1000;
  progress.update(600);
  expect(stream.last).toBe('run  ██████████████░░░░░░░░░░  60 %  600 texts of 1000 texts  100 texts/s  4 s left');
  clock = 1001;
  progress.update(1000);
  expect(stream.last).toContain('100 %');
  expect(stream.last).not.toContain('left');
  progress.clear();
  expect(stream.writes.at(-1)).toBe('\r\u001b[K');
  const { length } = stream.writes;
  progress.clear();
  expect(stream.writes).toHaveLength(length);
});

test('the rate is that of the last five seconds', () => {
  const stream = new Terminal();
  let clock = 0;
  const progress = startProgress({ stream, label: 'run', total: null, format, now: () => clock });
  for (let second = 0; second <= 20; second++) {
    clock = second * 1000;
    progress.update(second <= 10 ? second * 1000 : 10_000 + (second - 10) * 20);
  }
  expect(stream.last).toBe('run  10200 texts  20 texts/s');
});

test('at most ten lines a second, none wider than the terminal, and work that starts over has no negative rate', () => {
  const stream = Object.assign(new Terminal(), { columns: 20 });
  let clock = 0;
  const progress = startProgress({ stream, label: 'a label of some length', total: 1e6, format, now: () => clock });
  for (clock = 0; clock < 1000; clock++) progress.update(clock);
  expect(stream.writes.length).toBeLessThanOrEqual(10);
  expect(stream.last.length).toBeLessThan(20);
  // As a terminal without a known width says.
  stream.columns = 0;
  clock = 5000;
  progress.update(3);
  expect(stream.last).toContain('0 %');
  expect(stream.last).not.toMatch(/-\d|left/);
});

test('durations', () => {
  expect([0, 59.4, 59.6, 200, 3600, 7500].map(formatSeconds)).toEqual([
    '0 s',
    '59 s',
    '1 min 0 s',
    '3 min 20 s',
    '1 h 0 min',
    '2 h 5 min',
  ]);
});
