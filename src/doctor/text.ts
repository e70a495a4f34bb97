import { formatBytes } from '../hub/disk.ts';
import { paint } from '../report/terminal.ts';
import type { Look } from '../report/terminal.ts';
import { printable } from '../report/width.ts';
import type { ExaminedAdapter } from './adapters.ts';
import type { Diagnosis } from './diagnosis.ts';
import type { ExaminedRung } from './kernels.ts';
import type { ExaminedFile, ExaminedModel } from './model.ts';

const RUNG_STATES: Record<ExaminedRung['state'], string> = {
  runs: 'these run',
  fallback: 'these would, if the ones before them failed',
  slower: 'can run here, but slower',
  unfit: 'cannot run here: ',
};

/** A diagnosis for people: a section a subject, and at the end what to do. */
export function diagnosisText(diagnosis: Diagnosis, look: Look): string {
  const { layer8, node, platform, adapters, chosen, reason, rungs, refused, model, environment, advice } = diagnosis;
  const sections: [title: string, lines: string[]][] = [
    ['Machine', [`layer8 ${layer8}, Node ${node}, ${platform}`, ...vulkanLines(diagnosis)]],
    ['Adapters', adapters.length === 0 ? ['none'] : adapters.flatMap((one) => adapterLines(one, one.name === chosen))],
    ['What runs', [chosen === null ? `nothing: ${reason}` : `${chosen}: ${reason}`]],
    ['Kernels', rungs.map(({ name, state, reason: why }) => `${name}: ${RUNG_STATES[state]}${why ?? ''}`)],
    ['Kernels that the driver refuses', refused.map(({ name, problem }) => `${name}: ${problem.split('\n', 1)[0]}`)],
    ['Model', modelLines(model)],
    ['Environment', Object.entries(environment).map(([name, value]) => `${name}=${value}`)],
    ['What to do', advice.length === 0 ? ['nothing: all is well'] : advice],
  ];
  return sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => `${paint(look, 'bold', title)}\n${lines.map((line) => `  ${printable(line)}\n`).join('')}`)
    .join('\n');
}

function vulkanLines({ vulkan, swiftShader }: Diagnosis): string[] {
  const lines: string[] = [];
  if (vulkan !== null) {
    lines.push(`Vulkan loader: ${vulkan.loader ?? 'none'}`);
    const from = vulkan.chosenBy === null ? '' : ` (from ${vulkan.chosenBy})`;
    lines.push(`Vulkan drivers${from}: ${vulkan.drivers.length === 0 ? 'none' : vulkan.drivers.join(', ')}`);
  }
  lines.push(
    swiftShader === null
      ? 'SwiftShader from npm: not installed'
      : `SwiftShader from npm: @sparticuz/chromium ${swiftShader.version}, unpacked in ${swiftShader.cache}`,
  );
  return lines;
}

function adapterLines(adapter: ExaminedAdapter, runs: boolean): string[] {
  const { name, kind, driver, backend, limits, features, subgroups, problem } = adapter;
  const facts = [kind, backend, driver].filter((fact) => fact !== null && fact !== '');
  const lines = [`${runs ? '→' : ' '} ${name} (${facts.join(', ')})`];
  if (problem !== null || limits === null) return [...lines, `    cannot be opened: ${problem}`];
  const lanes =
    subgroups === null || !features.includes('subgroups')
      ? ''
      : ` of ${subgroups[0] === subgroups[1] ? subgroups[0] : `${subgroups[0]} to ${subgroups[1]}`} lanes`;
  const offered = features.map((feature) => (feature === 'subgroups' ? `subgroups${lanes}` : feature));
  return [
    ...lines,
    `    features: ${offered.length === 0 ? 'none of those that kernels use' : offered.join(', ')}`,
    `    limits: buffers of ${formatBytes(limits.maxBufferSize)}, ${formatBytes(limits.maxStorageBufferBindingSize)} bound at once; ` +
      `textures of ${limits.maxTextureDimension2D}; workgroups of ${limits.maxComputeInvocationsPerWorkgroup} with ` +
      `${formatBytes(limits.maxComputeWorkgroupStorageSize)} shared`,
  ];
}

function modelLines({ name, path, config, dtype, reachable, files, problems }: ExaminedModel): string[] {
  const lines: string[] = [];
  if (path !== '') lines.push(`${name} in ${path}`);
  if (config !== null) {
    const { numHiddenLayers, hiddenSize, numAttentionHeads, vocabSize } = config;
    const stored = dtype === null ? '' : `, stored as ${dtype}`;
    lines.push(
      `${numHiddenLayers} layers, hidden size ${hiddenSize}, ${numAttentionHeads} heads, ${vocabSize} tokens${stored}`,
    );
    if (reachable !== null) lines.push(`weights up to layer ${reachable} of ${numHiddenLayers} are there`);
  }
  return [...lines, ...files.map(fileLine), ...problems.map(({ message }) => `problem: ${message}`)];
}

function fileLine({ file, bytes, holds }: ExaminedFile): string {
  return `${file}: ${bytes === null ? 'absent' : formatBytes(bytes)}${holds === null ? '' : `, ${holds}`}`;
}
