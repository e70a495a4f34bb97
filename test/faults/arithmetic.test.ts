import { expect, test } from 'vitest';
import { expectFailure, analyze, fault, sequencesOf, temporaryFolder, TEXT, tinyModel } from './support.ts';

// What has passed the self-check is remembered in the cache; these runs have empty ones.
const withoutMemory = () => ({ env: { XDG_CACHE_HOME: temporaryFolder() } });
const ARGS = ['--layer', '2', '--format', 'json', TEXT];

// fault 61
test(
  'a driver that computes one rung wrongly: the next rung, one warning, the right numbers',
  { timeout: 120_000 },
  async () => {
    const model = tinyModel('BF16');
    const broken = fault('wrong', { FAULT_KERNEL: '^layer_norm_(texture|workgroup)' });
    const outcome = await analyze(model, ARGS, broken, withoutMemory());
    expect(outcome.stderr).toMatch(
      /^layer8: this adapter computes wrongly: [^\n]*, kernel layer_norm_\w+, \w+ kernels; using the \w+ kernels\n$/,
    );
    const right = sequencesOf(await analyze(model, ARGS));
    const tas = (sequences: typeof right): number[] => sequences[0].tokens.map((token) => token.tas);
    for (const [i, value] of tas(sequencesOf(outcome)).entries())
      expect(Math.abs(value - tas(right)[i])).toBeLessThan(2e-5);
  },
);

// fault 61
test('a driver that computes every rung wrongly is refused, each time', { timeout: 120_000 }, async () => {
  const model = tinyModel('F32');
  const options = withoutMemory();
  for (let time = 0; time < 2; time++) {
    const outcome = await analyze(
      model,
      ['--quiet', ...ARGS],
      fault('wrong', { FAULT_KERNEL: '^layer_norm' }),
      options,
    );
    expectFailure(
      outcome,
      8,
      /this adapter computes wrongly: .*, kernel layer_norm, plain kernels\. Update the driver/,
    );
  }
});
