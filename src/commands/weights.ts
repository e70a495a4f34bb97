import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { ModelError, UsageError } from '../errors.ts';
import { removeModel } from '../hub/cache.ts';
import { formatBytes } from '../hub/disk.ts';
import { listModels } from '../hub/inventory.ts';
import { canonicalRepo, DEFAULT_REPO, knownModel } from '../hub/known.ts';
import type { KnownModel } from '../hub/known.ts';
import { isModelName, parseModelName } from '../hub/names.ts';
import type { ModelName } from '../hub/names.ts';
import { pullModel } from '../hub/pull.ts';
import { findInCache, packagedWeights } from '../hub/resolve.ts';
import { hubSettings } from '../hub/settings.ts';
import type { HubSettings } from '../hub/settings.ts';
import type { FileCheck } from '../hub/verify.ts';
import { verifyFolder } from '../hub/verify.ts';
import { startProgress } from '../report/progress.ts';
import type { Progress } from '../report/progress.ts';

export interface CommandIo {
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream;
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal;
}

export const WEIGHTS_HELP = `Usage: layer8 weights list | pull REPO[@REVISION] | verify [REPO|DIR] | path REPO | remove REPO

Models from the Hugging Face hub, in Hugging Face's own cache.

  list                   the BERT models on this machine
  pull REPO[@REVISION]   download a model, e.g. ${DEFAULT_REPO}; prints its folder
  verify [REPO|DIR]      compare sizes and checksums with what is recorded; everything, if none is named
  path REPO[@REVISION]   print the folder of a model in the cache
  remove REPO            delete a model from the cache, all revisions

Options:
  --format table|json    for list and verify (default: table)
  --help                 this text

Environment:
  HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE and HF_HUB_DOWNLOAD_TIMEOUT (seconds without a byte;
  default 30) as for Hugging Face's own tools; LAYER8_RETRY_BASE_MS: pause before the first retry (default 500)
`;

const ACTIONS = ['list', 'pull', 'verify', 'path', 'remove'] as const;

/**
 * `layer8 weights ACTION …`.
 * @returns the exit code: 0, or 1 where `verify` found a difference
 * @throws UsageError, ModelError, IoError, InterruptedError
 */
export async function weightsCommand(args: string[], io: CommandIo): Promise<number> {
  const { values, positionals } = parse(args);
  if (values.help) {
    io.stdout.write(WEIGHTS_HELP);
    return 0;
  }
  const [action, ...names] = positionals;
  if (!ACTIONS.some((known) => known === action)) {
    throw new UsageError(
      `layer8 weights takes one of ${ACTIONS.join(', ')}${action === undefined ? '' : `, not '${action}'`}`,
      {
        hint: 'layer8 weights --help says what each does.',
      },
    );
  }
  const format = values.format ?? 'table';
  if (format !== 'table' && format !== 'json') throw new UsageError(`--format takes table or json, not '${format}'`);
  if (values.format !== undefined && action !== 'list' && action !== 'verify') {
    throw new UsageError(`--format is an option of list and verify, not of ${action}`);
  }
  const most = action === 'list' ? 0 : 1;
  const least = action === 'list' || action === 'verify' ? 0 : 1;
  if (names.length < least)
    throw new UsageError(`layer8 weights ${action} needs the name of a model, such as ${DEFAULT_REPO}`);
  if (names.length > most)
    throw new UsageError(
      `layer8 weights ${action} takes ${most === 0 ? 'no name' : 'one name'}, not ${names.length}: ${names.join(' ')}`,
    );

  const settings = hubSettings(io.env);
  if (action === 'list') return list(settings, format, io);
  if (action === 'pull') return pull(names[0], settings, io);
  if (action === 'verify') return verify(names[0], settings, format, io);
  if (action === 'path') return path(names[0], io);
  return remove(names[0], settings, io);
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: { format: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('. ')[0] : String(error);
    throw new UsageError(`layer8 weights: ${reason}`, { hint: 'Its options are --format table|json and --help.' });
  }
}

async function list(settings: HubSettings, format: 'table' | 'json', io: CommandIo): Promise<number> {
  const models = await listModels(settings, packagedWeights());
  if (format === 'json') {
    io.stdout.write(`${JSON.stringify({ cache: settings.cacheFolder, models }, null, 2)}\n`);
  } else if (models.length === 0) {
    io.stdout.write(`No models. layer8 weights pull ${DEFAULT_REPO} downloads BERT-base (440 MB).\n`);
  } else {
    const rows = models.map((model) => [
      model.name,
      model.revision?.slice(0, 12) ?? '',
      model.complete ? formatBytes(model.bytes) : `${formatBytes(model.bytes)}, incomplete`,
      model.folder,
    ]);
    io.stdout.write(table([['model', 'revision', 'size', 'folder'], ...rows]));
  }
  return 0;
}

async function pull(text: string, settings: HubSettings, io: CommandIo): Promise<number> {
  // One bar a file; null between them.
  const bar: { progress: Progress | null } = { progress: null };
  const onTerminal = 'isTTY' in io.stderr && io.stderr.isTTY === true;
  const say = (line: string) => {
    bar.progress?.clear();
    if (onTerminal) io.stderr.write(`${line}\n`);
  };
  try {
    const pulled = await pullModel(
      modelName(text),
      settings,
      {
        onWait: () => say('Another process is downloading this model: waiting for it.'),
        onFile: (label, total) => {
          bar.progress?.clear();
          bar.progress = startProgress({ stream: io.stderr, label, total, format: formatBytes });
        },
        onBytes: (bytes) => bar.progress?.update(bytes),
      },
      io.signal,
    );
    say(
      pulled.downloaded === 0
        ? 'Everything is there already.'
        : `Downloaded ${formatBytes(pulled.downloaded)}, checked.`,
    );
    io.stdout.write(`${pulled.folder}\n`);
    return 0;
  } finally {
    bar.progress?.clear();
  }
}

interface Verified {
  name: string;
  revision: string | null;
  folder: string;
  files: FileCheck[];
  pass: boolean;
}

async function verify(
  text: string | undefined,
  settings: HubSettings,
  format: 'table' | 'json',
  io: CommandIo,
): Promise<number> {
  const targets = text === undefined ? await listModels(settings, packagedWeights()) : [await verifyTarget(text, io)];
  if (targets.length === 0)
    throw new ModelError('there is no model to verify', { hint: `layer8 weights pull ${DEFAULT_REPO} downloads one.` });
  const models: Verified[] = [];
  for (const { name, revision, folder } of targets) {
    const files = await verifyFolder(folder, pins(name, revision), io.signal);
    if (text !== undefined && files.every((check) => check.status === 'unrecorded')) {
      throw new ModelError(`nothing is recorded that ${folder} could be compared to`, {
        hint: 'Put a file SHA256SUMS there: sha256sum * > SHA256SUMS.',
      });
    }
    models.push({
      name,
      revision,
      folder,
      files,
      pass: files.every((check) => check.status === 'ok' || check.status === 'unrecorded'),
    });
  }
  const pass = models.every((model) => model.pass);
  if (format === 'json') io.stdout.write(`${JSON.stringify({ models, pass }, null, 2)}\n`);
  else io.stdout.write(models.map(verifiedTable).join('\n'));
  return pass ? 0 : 1;
}

function verifiedTable(model: Verified): string {
  const rows = model.files.map((check) => [
    `  ${check.file}`,
    check.bytes === null ? '' : formatBytes(check.bytes),
    check.status.startsWith('wrong') ? `${check.status}: ${check.found} instead of ${check.expected}` : check.status,
  ]);
  const fix = model.pass
    ? ''
    : model.revision === null
      ? ''
      : `  layer8 weights remove ${model.name} and pull it again to repair it.\n`;
  return `${model.name}${model.revision === null ? '' : `@${model.revision}`}\n${table(rows)}${fix}`;
}

/** A folder that exists, else a model in the cache. */
async function verifyTarget(
  text: string,
  io: CommandIo,
): Promise<{ name: string; revision: string | null; folder: string }> {
  if ((await stat(text).catch(() => null))?.isDirectory()) return { name: text, revision: null, folder: text };
  if (!isModelName(text)) throw new ModelError(`no such folder: ${text}`);
  const folder = await cachedFolder(text, io);
  return { name: modelName(text).repo, revision: basename(folder), folder };
}

function pins(repo: string, revision: string | null): KnownModel | null {
  const known = knownModel(repo);
  return known !== null && known.revision === revision ? known : null;
}

async function path(text: string, io: CommandIo): Promise<number> {
  io.stdout.write(`${await cachedFolder(text, io)}\n`);
  return 0;
}

async function cachedFolder(text: string, io: CommandIo): Promise<string> {
  const folder = await findInCache(modelName(text), io.env);
  if (folder !== null) return folder;
  throw new ModelError(`${text} is not in the cache ${hubSettings(io.env).cacheFolder}`, {
    hint: `layer8 weights pull ${text} downloads it.`,
  });
}

async function remove(text: string, settings: HubSettings, io: CommandIo): Promise<number> {
  const { repo, revision } = modelName(text);
  if (revision !== null) {
    throw new UsageError(`layer8 weights remove deletes all revisions of a model: give ${repo}, without @${revision}`);
  }
  const bytes = await removeModel(settings.cacheFolder, repo, io.signal);
  io.stdout.write(`Removed ${repo}: ${formatBytes(bytes)}.\n`);
  return 0;
}

function modelName(text: string): ModelName {
  const { repo, revision } = parseModelName(text);
  return { repo: canonicalRepo(repo), revision };
}

/** Columns of equal width, two spaces apart. */
function table(rows: string[][]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column].length))) ?? [];
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column]))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
