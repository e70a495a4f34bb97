import { UsageError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import type { ElementType } from '../gpu/tensor.ts';
import type { BertConfig } from './config.ts';
import { PlainOperations, loadPlainSources } from './plain.ts';
import type { Placement, Rung, RungFactory } from './rung.ts';
import { subgroupRung } from './subgroup.ts';

const BUFFERS: Placement = { matrices: 'buffer', vectors: 'buffer', stackedQkv: false };

function plainRung(name: string, tiled: boolean): RungFactory {
  return {
    name,
    unfit: () => undefined,
    async create(gpu: Gpu, config: BertConfig): Promise<Rung> {
      const sources = await loadPlainSources(config);
      return {
        name,
        placement: BUFFERS,
        operations: (recording) => new PlainOperations(gpu, recording, config, sources, tiled),
      };
    },
  };
}

/** The ladder, fastest first. Every rung computes the same model; `plain` is the one to read. */
export const RUNGS: readonly RungFactory[] = [subgroupRung, plainRung('tiled', true), plainRung('plain', false)];

/**
 * The rungs to try, in order: those that fit the device for `auto`, else the one that is named.
 * @throws UsageError where the name is none of the ladder's, or the rung cannot run here
 */
export function candidates(wanted: string, gpu: Gpu, config: BertConfig, element: ElementType): readonly RungFactory[] {
  if (wanted === 'auto') return RUNGS.filter((rung) => rung.unfit(gpu, config, element) === undefined);
  const rung = RUNGS.find(({ name }) => name === wanted);
  if (!rung)
    throw new UsageError(
      `--kernels ${wanted}: there are no such kernels: choose auto, ${RUNGS.map(({ name }) => name).join(', ')}`,
    );
  const reason = rung.unfit(gpu, config, element);
  if (reason !== undefined) throw new UsageError(`--kernels ${wanted} cannot run here: ${reason}`);
  return [rung];
}
