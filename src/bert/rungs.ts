import { UsageError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import type { ElementType } from '../gpu/tensor.ts';
import type { BertConfig } from './config.ts';
import { PlainOperations, loadPlainSources } from './plain.ts';
import type { Placement, Rung, RungFactory } from './rung.ts';
import { subgroupRung } from './subgroup.ts';
import { workgroupRung } from './workgroup.ts';

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

const tiledRung = plainRung('tiled', true);
const plainest = plainRung('plain', false);

/** The ladder. Every rung computes the same model; `plain` is the one to read. */
export const RUNGS: readonly RungFactory[] = [workgroupRung, subgroupRung, tiledRung, plainest];

/** What `auto` tries, fastest first: on a GPU tiles in shared memory; where a processor computes, those are slow, and textures are not. */
const ON_GPU: readonly RungFactory[] = [workgroupRung, tiledRung, plainest];
const ON_PROCESSOR: readonly RungFactory[] = [subgroupRung, tiledRung, plainest];

/**
 * The rungs to try, in order: those that fit the device for `auto`, else the one that is named.
 * @throws UsageError where the name is none of the ladder's, or the rung cannot run here
 */
export function candidates(wanted: string, gpu: Gpu, config: BertConfig, element: ElementType): readonly RungFactory[] {
  if (wanted === 'auto') {
    const ladder = gpu.description.software ? ON_PROCESSOR : ON_GPU;
    return ladder.filter((rung) => rung.unfit(gpu, config, element) === undefined);
  }
  const rung = RUNGS.find(({ name }) => name === wanted);
  if (!rung)
    throw new UsageError(
      `--kernels ${wanted}: there are no such kernels: choose auto, ${RUNGS.map(({ name }) => name).join(', ')}`,
    );
  const reason = rung.unfit(gpu, config, element);
  if (reason !== undefined) throw new UsageError(`--kernels ${wanted} cannot run here: ${reason}`);
  return [rung];
}
