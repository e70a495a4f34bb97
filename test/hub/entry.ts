/** `layer8 weights …` as a process of its own, for tests that start many or kill them. */
import { weightsCommand } from '../../src/commands/weights.ts';
import { Layer8Error } from '../../src/errors.ts';

try {
  const { stdout, stderr, env } = process;
  process.exitCode = await weightsCommand(process.argv.slice(2), { stdout, stderr, env });
} catch (error) {
  if (!(error instanceof Layer8Error)) throw error;
  process.stderr.write(`${error.message}\n${error.hint}\n`);
  process.exitCode = error.exitCode;
}
