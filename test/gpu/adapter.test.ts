import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { adaptersNamed, kindOf, openAdapter } from '../../src/gpu/adapter.ts';
import type { AdapterDescription } from '../../src/gpu/adapter.ts';
import { describeEnvironment } from '../../src/gpu/environment.ts';
import { tooOld } from '../../src/gpu/node.ts';
import { findVulkan } from '../../src/gpu/vulkan.ts';
import type { Opened } from './open-adapter.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CHILD = join(ROOT, 'test', 'gpu', 'open-adapter.ts');
/** SwiftShader comes for this platform only; others have drivers of their own. */
const LINUX_X64 = process.platform === 'linux' && process.arch === 'x64';
/** An environment in which the system has no Vulkan driver. */
const NO_DRIVER = { VK_DRIVER_FILES: '/nonexistent' };

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'layer8-adapter-test-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

let folders = 0;
async function freshFolder(): Promise<string> {
  const folder = join(scratch, String(folders++));
  await mkdir(folder);
  return folder;
}

interface Run {
  arguments?: string[];
  env?: Record<string, string>;
  script?: string;
  node?: string[];
}

/** Runs a file in a Node of its own, as started from the project's root. */
function start({ arguments: rest = [], env = {}, script = CHILD, node = [] }: Run) {
  return spawn(process.execPath, [...node, '--import', 'tsx', script, ...rest], {
    cwd: dirname(dirname(dirname(script))),
    env: { ...process.env, ...env },
    timeout: 30_000,
  });
}

async function run(options: Run): Promise<Opened & { stderr: string }> {
  const child = start(options);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const code = await new Promise((resolve) => child.on('close', (exit, signal) => resolve(exit ?? signal)));
  expect(code, stderr).toBe(0);
  return { ...(JSON.parse(stdout) as Opened), stderr };
}

/** Opens SwiftShader from a cache folder, checks that it computes, and returns what was printed. */
async function openFrom(cache: string, env: Record<string, string> = {}) {
  const opened = await run({ arguments: ['swiftshader'], env: { ...NO_DRIVER, XDG_CACHE_HOME: cache, ...env } });
  expect(opened.error).toBeUndefined();
  expect(opened.description.kind).toBe('swiftshader');
  expect(opened.answer).toBe(189);
  return opened;
}

/** The one folder that SwiftShader is unpacked to. */
async function unpackedIn(cache: string): Promise<string> {
  const names = await readdir(join(cache, 'layer8'));
  expect(names).toHaveLength(1);
  return join(cache, 'layer8', names[0]);
}

async function digests(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of (await readdir(folder)).sort()) {
    found[name] = createHash('sha256')
      .update(await readFile(join(folder, name)))
      .digest('hex');
  }
  return found;
}

describe.runIf(LINUX_X64)('SwiftShader from npm', () => {
  let cache: string;
  let folder: string;
  let whole: Record<string, string>;
  beforeAll(async () => {
    cache = await freshFolder();
    const opened = await openFrom(cache);
    expect(opened.warnings).toEqual([]);
    expect(opened.driverFiles).toBe(NO_DRIVER.VK_DRIVER_FILES); // the user's environment is as it was
    folder = await unpackedIn(cache);
    whole = await digests(folder);
  });

  test('is unpacked once, without leftovers, and used again', async () => {
    expect(Object.keys(whole)).toEqual([
      'checksums.json',
      'dawn.node',
      'libvk_swiftshader.so',
      'libvulkan.so.1',
      'vk_swiftshader_icd.json',
    ]);
    const before = await stat(join(folder, 'dawn.node'));
    await openFrom(cache);
    expect((await stat(join(folder, 'dawn.node'))).ino).toBe(before.ino);
  });

  // fault 37
  test.each([
    ['a byte of the driver is other', async () => flipByte(join(folder, 'libvk_swiftshader.so'))],
    ['dawn.node is cut off', () => truncate(join(folder, 'dawn.node'), 1_000_000)],
    ['the loader is gone', () => rm(join(folder, 'libvulkan.so.1'))],
    ['the list of checksums is empty', () => writeFile(join(folder, 'checksums.json'), '')],
  ])('is unpacked again when %s', async (_, damage) => {
    await damage();
    expect(await digests(folder)).not.toEqual(whole);
    await openFrom(cache);
    expect(await digests(folder)).toEqual(whole);
  });

  // fault 57
  test('is unpacked by eight processes at once', async () => {
    const shared = await freshFolder();
    await Promise.all(Array.from({ length: 8 }, () => openFrom(shared)));
    expect(await digests(await unpackedIn(shared))).toEqual(whole);
  });

  // fault 56
  test('is whole for the run after one that was killed while it unpacked', async () => {
    const shared = await freshFolder();
    const child = start({ arguments: ['swiftshader'], env: { ...NO_DRIVER, XDG_CACHE_HOME: shared } });
    const ended = new Promise((resolve) => child.on('close', resolve));
    await vi.waitUntil(async () => (await readdir(shared, { recursive: true })).some((name) => name.endsWith('.tmp')), {
      timeout: 20_000,
      interval: 1,
    });
    child.kill('SIGKILL');
    await ended;
    await openFrom(shared);
    expect(await digests(await unpackedIn(shared))).toEqual(whole);
  });

  // fault 38
  test('goes to a temporary folder, with one warning, when the cache cannot be written', async () => {
    const temporary = await freshFolder();
    const { warnings } = await openFrom('/dev/null/cache', { TMPDIR: temporary });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /cache folder cannot be written \(.*\/dev\/null\/cache.*\): SwiftShader is unpacked to a temporary folder/,
    );
    expect((await readdir(temporary)).filter((name) => name.startsWith('layer8-'))).toEqual([]);
  });

  test('is refused with a typed error when there is no place to unpack it to', async () => {
    const { error } = await run({
      arguments: ['swiftshader'],
      env: { XDG_CACHE_HOME: '/dev/null/cache', LATER_TMPDIR: '/dev/null/tmp' },
    });
    expect(error).toMatchObject({ name: 'NoGpuError', exitCode: 5 });
    expect(error!.message).toContain('neither to /dev/null/cache/layer8 nor to /dev/null/tmp');
    expect(error!.hint).toContain('XDG_CACHE_HOME');
  });

  test('is refused with a typed error in a worker thread', async () => {
    const project = await freshFolder();
    const script = join(project, 'test', 'gpu', 'main.mjs');
    await mkdir(dirname(script), { recursive: true });
    const tsx = JSON.stringify(import.meta.resolve('tsx/esm/api'));
    await writeFile(
      join(dirname(script), 'worker.mjs'),
      `import { register } from ${tsx}; register(); await import(${JSON.stringify(CHILD)});`,
    );
    await writeFile(
      script,
      `import { Worker } from 'node:worker_threads'; new Worker(new URL('worker.mjs', import.meta.url), { argv: ['swiftshader'] });`,
    );
    await symlink(join(ROOT, 'node_modules'), join(project, 'node_modules'));
    const { error } = await run({ script, env: { XDG_CACHE_HOME: cache } });
    expect(error).toMatchObject({ name: 'NoGpuError', exitCode: 5, hint: 'Open the adapter on the main thread.' });
  });

  test('opens, computes and closes many times in one process while garbage is collected', async () => {
    const { answer } = await run({
      node: ['--expose-gc'],
      arguments: ['swiftshader', '12'],
      env: { XDG_CACHE_HOME: cache },
    });
    expect(answer).toBe(189);
  });

  test('takes the place of a driver that gives no adapter, and says so', async () => {
    const driver = join(await freshFolder(), 'broken_icd.json');
    await writeFile(
      driver,
      JSON.stringify({
        file_format_version: '1.0.0',
        ICD: { library_path: '/nonexistent/libvulkan_broken.so', api_version: '1.3.0' },
      }),
    );
    const { description, reason, warnings } = await run({ env: { XDG_CACHE_HOME: cache, VK_DRIVER_FILES: driver } });
    expect(description.kind).toBe('swiftshader');
    expect(reason).toMatch(
      /without a GPU; (none of the Vulkan drivers \(broken_icd\.json\) gives an adapter|no Vulkan loader)/,
    );
    expect(warnings).toEqual(['VK_DRIVER_FILES names no driver that works: SwiftShader is used instead']);
  });

  test('is what a user gets whose own variable names its driver', async () => {
    const driver = join(folder, 'vk_swiftshader_icd.json');
    const { description } = await run({ env: { XDG_CACHE_HOME: cache, VK_DRIVER_FILES: driver } });
    expect(description.name).toContain('SwiftShader');
  });
});

async function flipByte(path: string): Promise<void> {
  const content = await readFile(path);
  content[content.length >> 1] ^= 1;
  await writeFile(path, content);
}

describe.runIf(LINUX_X64)('no adapter', () => {
  // fault 33
  test('of that name: the error lists those there are', async () => {
    const { error } = await run({ arguments: ['Voodoo'], env: NO_DRIVER });
    expect(error).toMatchObject({ name: 'NoGpuError', exitCode: 5 });
    expect(error!.message).toBe(
      'no adapter is called "Voodoo": there is SwiftShader [swiftshader]; VK_DRIVER_FILES names no driver',
    );
  });

  // fault 32
  test('at all: the error tells the two ways to get one', async () => {
    const project = await freshFolder();
    for (const part of [
      'src/gpu',
      'src/errors.ts',
      'src/cache.ts',
      'src/temporary.ts',
      'test/gpu/open-adapter.ts',
      'package.json',
    ]) {
      await cp(join(ROOT, part), join(project, part), { recursive: true });
    }
    await mkdir(join(project, 'node_modules'));
    for (const name of ['webgpu', 'tsx'])
      await symlink(join(ROOT, 'node_modules', name), join(project, 'node_modules', name));
    const { error } = await run({ script: join(project, 'test', 'gpu', 'open-adapter.ts'), env: NO_DRIVER });
    expect(error).toMatchObject({ name: 'NoGpuError', exitCode: 5 });
    expect(error!.message).toBe('no adapter that can compute: VK_DRIVER_FILES names no driver');
    expect(error!.hint).toMatch(/Vulkan driver .*lavapipe 25 or newer.*npm install @sparticuz\/chromium/);
  });

  test('in a browser: a typed error', async () => {
    vi.stubGlobal('navigator', { gpu: { requestAdapter: () => Promise.resolve(null) } });
    await expect(openAdapter()).rejects.toMatchObject({
      name: 'NoGpuError',
      message: 'the browser gives no WebGPU adapter',
    });
    vi.unstubAllGlobals();
  });
});

describe('which adapter', () => {
  const adapter = (
    name: string,
    vendor: string,
    kind: AdapterDescription['kind'],
    driver = '',
  ): AdapterDescription => ({
    name,
    vendor,
    kind,
    driver,
    architecture: '',
    backend: 'vulkan',
    software: kind !== 'gpu',
  });
  const venus = adapter('Virtio-GPU Venus (llvmpipe)', 'mesa', 'lavapipe');
  const nvidia = adapter('NVIDIA GeForce RTX 4090', 'nvidia', 'gpu');
  const swiftShader = adapter('SwiftShader Device (Subzero)', 'google', 'swiftshader');

  test.each([
    ['gpu', [nvidia]], // the kind, not the letters in another's name
    ['NVIDIA', [nvidia]],
    ['rtx 4090', [nvidia]],
    ['LLVMpipe', [venus]],
    ['lavapipe', [venus]],
    ['swiftshader', [swiftShader]],
    ['voodoo', []],
  ])('--adapter %s', (name, expected) => {
    expect(adaptersNamed(name, [venus, nvidia, swiftShader])).toEqual(expected);
  });

  test.each([
    ['llvmpipe (LLVM 15.0.6, 256 bits)', true, 'lavapipe'],
    ['SwiftShader Device (Subzero)', true, 'swiftshader'],
    ['Microsoft Basic Render Driver', true, 'software'],
    ['AMD Radeon RX 7900 XTX (RADV NAVI31)', false, 'gpu'],
  ])('%s is of its kind', (name, isFallbackAdapter, kind) => {
    expect(
      kindOf(name, { vendor: '', architecture: '', device: '', description: '', isFallbackAdapter } as GPUAdapterInfo),
    ).toBe(kind);
  });

  test.each([
    ['lavapipe', 'llvmpipe: Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6) 0.0.1', null],
    ['lavapipe', 'llvmpipe: Mesa 26.1.0 (LLVM 21.1.0)', null],
    [
      'lavapipe',
      'llvmpipe: Mesa 24.3.4 (LLVM 19.1.7) 0.0.1',
      'lavapipe of Mesa 24.3.4 is too old: 25 or newer is needed',
    ],
    ['gpu', 'radv: Mesa 23.2.1', null],
  ] as const)('%s with driver %s is refused or not', (kind, driver, refusal) => {
    expect(tooOld(adapter('', '', kind, driver))).toBe(refusal);
  });
});

describe.runIf(LINUX_X64)('what the machine has', () => {
  test("the user's driver files replace those of the system", async () => {
    const folder = await freshFolder();
    await writeFile(join(folder, 'b.json'), '{}');
    await writeFile(join(folder, 'a.json'), '{}');
    await writeFile(join(folder, 'readme.txt'), '');
    vi.stubEnv('VK_DRIVER_FILES', `${join(folder, 'b.json')}:${folder}:/nonexistent`);
    expect(findVulkan()).toMatchObject({
      chosenBy: 'VK_DRIVER_FILES',
      drivers: [join(folder, 'b.json'), join(folder, 'a.json')],
    });
    vi.unstubAllEnvs();
  });

  test("drivers in the user's own data folder are found", async () => {
    const folder = await freshFolder();
    await mkdir(join(folder, 'vulkan', 'icd.d'), { recursive: true });
    await writeFile(join(folder, 'vulkan', 'icd.d', 'mine.json'), '{}');
    vi.stubEnv('XDG_DATA_HOME', folder);
    expect(findVulkan().drivers).toContain(join(folder, 'vulkan', 'icd.d', 'mine.json'));
    vi.unstubAllEnvs();
  });

  test('doctor is told where things are', async () => {
    vi.stubEnv('XDG_CACHE_HOME', '/somewhere');
    expect(await describeEnvironment()).toMatchObject({
      node: process.version,
      swiftShader: '147.0.0',
      cacheFolder: '/somewhere/layer8',
    });
    vi.unstubAllEnvs();
  });
});
