/** The benchmark's side of an engine's process: see protocol.ts. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import process from 'node:process';
import type { Reply, Request } from './protocol.ts';

/** How to start an engine. */
export interface EngineSpec {
  name: string;
  /** The script and its arguments. */
  argv: string[];
}

/** A request that takes longer is a hang. */
const TIMEOUT_MS = 600_000;
/** Of an engine's stderr, so much is kept for the error of one that fails. */
const STDERR_CHARS = 4000;

/** An engine's running process. */
export class EngineProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #replies: AsyncIterator<string>;
  #stderr = '';

  constructor({ name, argv }: EngineSpec, environment: Record<string, string>) {
    this.name = name;
    this.#child = spawn(process.execPath, argv, { env: { ...process.env, ...environment }, stdio: 'pipe' });
    this.#child.stderr!.on('data', (chunk) => (this.#stderr = (this.#stderr + chunk).slice(-STDERR_CHARS)));
    this.#child.stdin!.on('error', () => {}); // a dead process is noticed by the missing reply
    this.#replies = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /**
   * Sends a request and waits for its reply.
   * @throws Error when the engine reports one, dies, or takes longer than ten minutes
   */
  async ask(request: Request): Promise<Reply> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.kill();
    }, TIMEOUT_MS);
    const { value, done } = await this.#replies.next();
    clearTimeout(timer);
    if (late) throw this.#failure(request.cmd, `no answer within ${TIMEOUT_MS / 1000} s`);
    if (done) throw this.#failure(request.cmd, 'its process ended without an answer');
    const reply = parseReply(value);
    if (reply === null)
      throw this.#failure(request.cmd, `it wrote something else than a reply: ${value.slice(0, 200)}`);
    if (reply.error !== undefined) throw this.#failure(request.cmd, reply.error);
    return reply;
  }

  /** Lets the process release what it holds and end. */
  async exit(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    await this.ask({ cmd: 'exit' });
    await ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #failure(cmd: string, what: string): Error {
    return new Error(`${this.name} failed at "${cmd}": ${what}${this.#stderr ? `\n${this.#stderr}` : ''}`);
  }
}

function parseReply(line: string): Reply | null {
  try {
    const reply = JSON.parse(line) as Reply;
    return typeof reply?.rss_mb === 'number' ? reply : null;
  } catch {
    return null;
  }
}
