import { createHash, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process, { arch, platform } from 'node:process';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { cacheFolder } from '../cache.ts';
import { NoGpuError } from '../errors.ts';
import { isRunning } from '../temporary.ts';
import { readTar } from './tar.ts';

// SwiftShader is Google's Vulkan driver that computes on the CPU. npm's @sparticuz/chromium carries it with a Vulkan
// loader. A copy of Dawn's dawn.node beside that loader finds it in its own folder, so nothing needs to be installed.

const require = createRequire(import.meta.url);

/** The npm package that carries SwiftShader for Linux x64. */
export interface SwiftShaderPackage {
  version: string;
  /** Path of swiftshader.tar.br. */
  archive: string;
}

/** SwiftShader unpacked, ready to be loaded. */
export interface SwiftShader {
  /** A dawn.node whose Vulkan loader lies beside it. */
  dawn: string;
  /** The driver's manifest, for VK_DRIVER_FILES. */
  driver: string;
}

const LOADER = 'libvulkan.so.1';
const DRIVER = 'libvk_swiftshader.so';
const DRIVER_MANIFEST = 'vk_swiftshader_icd.json';
const DAWN = 'dawn.node';
/** Written last: size and SHA-256 of every other file, by which a damaged one is noticed. */
const CHECKSUMS = 'checksums.json';

/** The optional package, or null where it is not installed or this machine cannot run what it carries. */
export async function findSwiftShader(): Promise<SwiftShaderPackage | null> {
  if (platform !== 'linux' || arch !== 'x64') return null;
  try {
    // Its exports name neither package.json nor the archive: both are found from build/cjs/index.cjs.
    const root = join(dirname(require.resolve('@sparticuz/chromium')), '..', '..');
    return { version: await versionOf(root), archive: join(root, 'bin', 'swiftshader.tar.br') };
  } catch {
    return null;
  }
}

/**
 * Unpacks SwiftShader into the user's cache folder, or finds it whole there. Files that are missing or damaged are
 * written anew; several processes may do so at once. Where the cache folder cannot be written it is a temporary folder,
 * with one warning, removed at exit.
 *
 * @throws NoGpuError when the package is damaged, or there is no place to unpack it to
 */
export async function unpackSwiftShader(
  source: SwiftShaderPackage,
  warn: (message: string) => void,
): Promise<SwiftShader> {
  const archive = await readFile(source.archive).catch((cause: unknown) => {
    throw damagedPackage(source, cause);
  });
  const dawn = await versionOf(dirname(require.resolve('webgpu')));
  const folder = join(cacheFolder(), `swiftshader-${source.version}-${sha256(archive).slice(0, 12)}-dawn-${dawn}`);
  for (const candidate of [folder, ...temporaryFolders]) {
    if (!(await isWhole(candidate))) continue;
    await removeUnfinished(candidate).catch(() => undefined);
    return filesIn(candidate);
  }

  const files = await unpackArchive(source, archive);
  try {
    await writeFiles(folder, files);
    return filesIn(folder);
  } catch (cause) {
    const temporary = await writeTemporary(files);
    warn(
      `cache folder cannot be written (${messageOf(cause)}): SwiftShader is unpacked to a temporary folder at each start`,
    );
    return filesIn(temporary);
  }
}

function filesIn(folder: string): SwiftShader {
  return { dawn: join(folder, DAWN), driver: join(folder, DRIVER_MANIFEST) };
}

type Checksums = Record<string, { bytes: number; sha256: string }>;

/** Reading 28 MB again costs some 30 ms a start, and a damaged library costs a crash. */
async function isWhole(folder: string): Promise<boolean> {
  try {
    const checksums = JSON.parse(await readFile(join(folder, CHECKSUMS), 'utf8')) as Checksums;
    for (const name of [LOADER, DRIVER, DRIVER_MANIFEST, DAWN]) {
      const content = await readFile(join(folder, name));
      if (content.length !== checksums[name].bytes || sha256(content) !== checksums[name].sha256) return false;
    }
    return true;
  } catch {
    return false;
  }
}

async function unpackArchive(source: SwiftShaderPackage, archive: Uint8Array): Promise<Map<string, Uint8Array>> {
  const dawn = join(dirname(require.resolve('webgpu')), 'dist', `${platform}-${arch}`, DAWN);
  try {
    const tar = readTar(await promisify(brotliDecompress)(archive));
    const files = new Map<string, Uint8Array>();
    for (const name of [LOADER, DRIVER, DRIVER_MANIFEST]) {
      const content = tar.get(name);
      if (content === undefined) throw new Error(`${name} is not in it`);
      files.set(name, content);
    }
    return files.set(DAWN, await readFile(dawn));
  } catch (cause) {
    throw damagedPackage(source, cause);
  }
}

/**
 * Every file is written under a temporary name and renamed, so that a reader sees it whole or not at all, and processes
 * that unpack at the same time replace a file by an equal one. Files need not be flushed: a damaged one is noticed.
 */
async function writeFiles(folder: string, files: Map<string, Uint8Array>): Promise<void> {
  const checksums: Checksums = {};
  for (const [name, content] of files) checksums[name] = { bytes: content.length, sha256: sha256(content) };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [name, content] of files) await replaceFile(join(folder, name), content);
  await replaceFile(join(folder, CHECKSUMS), JSON.stringify(checksums, null, 2));
  await removeUnfinished(folder);
}

async function replaceFile(path: string, content: Uint8Array | string): Promise<void> {
  const unfinished = `${path}.${process.pid}.${randomUUID()}.tmp`;
  try {
    await writeFile(unfinished, content, { mode: 0o700 });
    await rename(unfinished, path);
  } catch (cause) {
    await rm(unfinished, { force: true });
    throw cause;
  }
}

/** Removes what processes left that were killed while they wrote. */
async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = /\.(\d+)\.[-0-9a-f]+\.tmp$/.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) await rm(join(folder, name), { force: true });
  }
}

const TEMPORARY = 'layer8-swiftshader-';
const temporaryFolders: string[] = [];

/** A fresh folder with a name nobody can foresee: what lies in a shared folder must not be loaded as code. */
async function writeTemporary(files: Map<string, Uint8Array>): Promise<string> {
  try {
    await removeAbandonedFolders().catch(() => undefined);
    const folder = await mkdtemp(join(tmpdir(), `${TEMPORARY}${process.pid}-`));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    await writeFiles(folder, files);
    temporaryFolders.push(folder);
    return folder;
  } catch (cause) {
    throw new NoGpuError(
      `SwiftShader cannot be unpacked: neither to ${cacheFolder()} nor to ${tmpdir()} (${messageOf(cause)})`,
      {
        hint: 'Set XDG_CACHE_HOME to a folder that can be written, with 30 MB free.',
        cause,
      },
    );
  }
}

/** Removes the temporary folders of processes that were killed before they could. */
async function removeAbandonedFolders(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = name.startsWith(TEMPORARY) ? Number.parseInt(name.slice(TEMPORARY.length), 10) : Number.NaN;
    if (Number.isInteger(pid) && !isRunning(pid)) await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}

async function versionOf(packageRoot: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  return version;
}

function damagedPackage(source: SwiftShaderPackage, cause: unknown): NoGpuError {
  return new NoGpuError(`the package that carries SwiftShader is damaged: ${source.archive} (${messageOf(cause)})`, {
    hint: 'Install it again: npm install @sparticuz/chromium@147.',
    cause,
  });
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
