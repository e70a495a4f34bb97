import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { weightsCommand } from '../../src/commands/weights.ts';
import { Layer8Error } from '../../src/errors.ts';

/** What a run of the command left to see. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

class Collect extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** Runs `layer8 weights …` in this process and ends as the command line does: a typed error is its message and exit code. */
export async function runWeights(args: string[], env: NodeJS.ProcessEnv, signal?: AbortSignal): Promise<Ran> {
  const stdout = new Collect();
  const stderr = new Collect();
  try {
    const code = await weightsCommand(args, { stdout, stderr, env, ...(signal && { signal }) });
    return { code, stdout: stdout.text, stderr: stderr.text };
  } catch (error) {
    if (!(error instanceof Layer8Error)) throw error;
    return { code: error.exitCode, stdout: stdout.text, stderr: `${stderr.text}${error.message}\n${error.hint}` };
  }
}

/** A folder of its own for a test, removed by `using`. */
export function temporaryFolder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), 'layer8-hub-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** The environment of a client that tries again at once. A stall is waited for as long as a busy machine may pause. */
export function testEnv(home: string, endpoint: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { HF_HOME: home, HF_ENDPOINT: endpoint, HF_HUB_DOWNLOAD_TIMEOUT: '10', LAYER8_RETRY_BASE_MS: '5', ...more };
}

/** Every file below a folder, as sorted paths relative to it. */
export function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** The files that a download leaves only while it is under way. */
export function leftovers(folder: string): string[] {
  return tree(folder).filter((path) => /incomplete|\.lock|\.stale|layer8\.ref/.test(path));
}
