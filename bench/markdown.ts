/** What all tables of measurements share. */
import type { RunDescription } from './results.ts';

/** The line that says what a table was measured on. */
export function caption({ adapter, cpu, robustness, versions, date }: RunDescription): string {
  const software = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${adapter}; ${cpu}; bounds checks of layer8's shaders ${robustness ? 'on' : 'off'}; ${software.join(', ')}; ${date}`;
}

export function duration(seconds: number): string {
  return seconds < 1 ? `${digits(seconds * 1000, 3)} ms` : `${digits(seconds, 3)} s`;
}

/** So many significant digits, without an exponent. */
export const digits = (value: number, count: number) => String(Number(value.toPrecision(count)));

/** A Markdown table; all columns but the first are aligned to the right. */
export function table(head: string[], rows: string[][]): string {
  const lines = [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
