import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { elementOf } from '../bert/weights.ts';
import { Layer8Error, UsageError } from '../errors.ts';
import { Gpu } from '../gpu/device.ts';
import { describeEnvironment } from '../gpu/environment.ts';
import type { GpuEnvironment } from '../gpu/environment.ts';
import { VERSION } from '../version.ts';
import { examineAdapters } from './adapters.ts';
import type { ExaminedAdapter } from './adapters.ts';
import { BERT_BASE, examineKernels, examineRungs } from './kernels.ts';
import type { ExaminedKernel, ExaminedRung } from './kernels.ts';
import { examineModel } from './model.ts';
import type { ExaminedModel } from './model.ts';

/** What is asked of the doctor. */
export interface Complaint {
  adapter: string | undefined;
  model: string | undefined;
  /** As `--kernels` takes it. */
  kernels: string;
}

/** Everything that decides whether, and how, layer8 runs here. `--format json` prints it. */
export interface Diagnosis {
  layer8: string;
  node: string;
  platform: string;
  vulkan: GpuEnvironment['vulkan'];
  /** The software adapter from npm, and the folder it is unpacked in; null where the package is not installed. */
  swiftShader: { version: string; cache: string; writable: boolean } | null;
  /** Variables of the environment that change what runs. */
  environment: Record<string, string>;
  adapters: ExaminedAdapter[];
  /** Name of the adapter that runs; null where none does. */
  chosen: string | null;
  /** Why this one, or why none. */
  reason: string;
  /** The ladder of kernels on that adapter, the rung that runs first. */
  rungs: ExaminedRung[];
  /** Kernels that the driver does not compile. */
  refused: { name: string; problem: string }[];
  model: ExaminedModel;
  /** What to do, the most important first; empty where all is well. */
  advice: string[];
}

const VARIABLES = /^(VK_|LP_|MESA_|GALLIUM_|LIBGL_|HF_|XDG_CACHE_HOME$|TMPDIR$|LD_LIBRARY_PATH$|LAYER8_|NODE_OPTIONS$)/;
const SECRET = /TOKEN|SECRET|PASSWORD/;

/**
 * Examines this machine. Nothing that is wrong with it is thrown; it stands in the diagnosis, with what to do.
 * @throws UsageError where the kernels asked for are none, or cannot run here
 */
export async function diagnose(
  { adapter, model: nameOrPath, kernels }: Complaint,
  env: NodeJS.ProcessEnv,
): Promise<{ diagnosis: Diagnosis; kernels: ExaminedKernel[] }> {
  const notes = new Set<string>();
  const warn = (message: string): void => void notes.add(message);
  const { node, platform, arch, vulkan, swiftShader, cacheFolder } = await describeEnvironment();
  const adapters = await examineAdapters(warn);
  const model = await examineModel(nameOrPath);
  const diagnosis: Diagnosis = {
    layer8: VERSION,
    node,
    platform: `${platform}-${arch}`,
    vulkan,
    swiftShader:
      swiftShader === null
        ? null
        : { version: swiftShader, cache: cacheFolder, writable: await canBeWritten(cacheFolder) },
    environment: variables(env),
    adapters,
    chosen: null,
    reason: '',
    rungs: [],
    refused: [],
    model,
    advice: [],
  };

  let examined: ExaminedKernel[] = [];
  let hint = '';
  try {
    await using gpu = await Gpu.open({ warn, ...(adapter !== undefined && { adapter }) });
    diagnosis.chosen = gpu.description.name;
    diagnosis.reason = gpu.reason;
    const config = model.config ?? BERT_BASE;
    const element = elementOf(model.dtype ?? 'F32');
    diagnosis.rungs = examineRungs(gpu, config, element, kernels);
    examined = await examineKernels(gpu, config, element, kernels);
    diagnosis.refused = examined.flatMap(({ name, problem }) => (problem === null ? [] : [{ name, problem }]));
  } catch (error) {
    if (!(error instanceof Layer8Error) || error instanceof UsageError) throw error;
    if (diagnosis.chosen === null) diagnosis.reason = error.message;
    else notes.add(error.message);
    hint = error.hint;
  }
  diagnosis.advice = [...advise(diagnosis, hint), ...notes];
  return { diagnosis, kernels: examined };
}

function variables(env: NodeJS.ProcessEnv): Record<string, string> {
  const chosen = Object.entries(env).filter(([name, value]) => VARIABLES.test(name) && value !== undefined);
  return Object.fromEntries(
    chosen
      .map(([name, value]) => [name, SECRET.test(name) ? '(set)' : (value as string)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Whether a folder can be written, or made where it does not exist yet. */
async function canBeWritten(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    return (await stat(folder)).isDirectory();
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT' && folder !== dirname(folder);
    return missing && canBeWritten(dirname(folder));
  }
}

function advise(diagnosis: Diagnosis, hint: string): string[] {
  const { adapters, chosen, model, refused, swiftShader } = diagnosis;
  const advice: string[] = [];
  if (hint !== '') advice.push(hint);
  const running = adapters.find(({ name }) => name === chosen);
  if (running?.kind === 'swiftshader' && !adapters.some(({ kind }) => kind === 'lavapipe' || kind === 'gpu')) {
    advice.push(
      "SwiftShader computes on the processor. With a GPU's Vulkan driver, or Mesa 25 or newer " +
        '(mesa-vulkan-drivers on Debian and Ubuntu), layer8 is several times faster.',
    );
  }
  if (swiftShader !== null && !swiftShader.writable) {
    advice.push(
      `${swiftShader.cache} cannot be written, so SwiftShader is unpacked at each start: set XDG_CACHE_HOME to a folder that can.`,
    );
  }
  if (refused.length > 0) {
    advice.push(
      `The driver refuses ${refused.map(({ name }) => name).join(', ')}: slower kernels run instead. An update of the driver may help.`,
    );
  }
  for (const { message, hint: what } of model.problems) advice.push(what === '' ? message : what);
  const { reachable, config } = model;
  if (reachable !== null && config !== null && reachable < Math.min(8, config.numHiddenLayers))
    advice.push(`Only layers up to ${reachable} are there: --layer ${reachable}.`);
  return advice;
}
