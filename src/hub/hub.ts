import { IoError, ModelError } from '../errors.ts';
import type { Digest } from './disk.ts';
import { digestOfEtag } from './disk.ts';
import { statusError } from './failures.ts';
import { readText, request, withRetries } from './http.ts';
import { checkServerPath, isCommit } from './names.ts';
import type { HubSettings } from './settings.ts';

/** A file as the hub describes it. */
export interface HubFile {
  name: string;
  size: number;
  digest: Digest;
}

/** A model at one commit. */
export interface HubModel {
  repo: string;
  /** 40 hex digits. */
  commit: string;
  /** Every file name of the commit; what the listing already says of its size and digest. */
  files: Map<string, HubFile | null>;
}

/** Larger than the listing of any model with a few thousand files. */
const LISTING_LIMIT = 32 << 20;

/**
 * Asks the hub which commit a revision is and which files it has
 * (`GET /api/models/REPO/revision/REVISION?blobs=true`, https://huggingface.co/docs/hub/api).
 * @throws IoError where the hub cannot be asked, or says something that cannot be used
 */
export async function fetchModel(
  repo: string,
  revision: string,
  settings: HubSettings,
  signal?: AbortSignal,
): Promise<HubModel> {
  const address = `${settings.endpoint}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const what = `${repo}@${revision}`;
  const text = await withRetries(settings, signal, async () => {
    const answer = await request(address, { settings, signal });
    if (answer.status !== 200) {
      answer.close();
      throw statusError(answer, what, repo, settings);
    }
    return readText(answer, LISTING_LIMIT);
  });
  return parseListing(text, repo, revision, settings);
}

interface Listing {
  sha?: unknown;
  siblings?: { rfilename?: unknown; size?: unknown; blobId?: unknown; lfs?: { sha256?: unknown } | null }[];
}

function parseListing(text: string, repo: string, revision: string, settings: HubSettings): HubModel {
  const unusable = (fault: string) =>
    new IoError(`the answer of ${settings.endpoint} about ${repo}@${revision} ${fault}`, {
      hint: 'Check HF_ENDPOINT: it must be the Hugging Face hub or a mirror of it.',
    });
  let listing: Listing | null;
  try {
    listing = JSON.parse(text) as Listing | null;
  } catch {
    throw unusable('is not JSON');
  }
  const commit = listing?.sha;
  if (typeof commit !== 'string' || !isCommit(commit)) throw unusable('names no commit');
  if (isCommit(revision) && commit !== revision) throw unusable(`is about another commit, ${commit}`);
  if (!Array.isArray(listing?.siblings)) throw unusable('lists no files');
  const files = new Map<string, HubFile | null>();
  for (const entry of listing.siblings) {
    const name = entry?.rfilename;
    if (typeof name !== 'string') throw unusable('lists a file without a name');
    checkServerPath(name, settings.endpoint);
    const etag = entry.lfs?.sha256 ?? entry.blobId;
    const digest = typeof etag === 'string' ? digestOfEtag(etag) : null;
    const described =
      digest !== null && typeof entry.size === 'number' && Number.isSafeInteger(entry.size) && entry.size >= 0;
    files.set(name, described ? { name, size: entry.size as number, digest } : null);
  }
  return { repo, commit, files };
}

/** Address of a file's content; the hub answers with the file itself or with a redirect to where it lies. */
export function fileAddress(model: HubModel, name: string, settings: HubSettings): string {
  return `${settings.endpoint}/${model.repo}/resolve/${model.commit}/${name.split('/').map(encodeURIComponent).join('/')}`;
}

/**
 * Size and digest of one file: from the listing, or, on a mirror whose listing has neither, from the headers that the
 * hub sends with the file (`X-Linked-Etag` and `X-Linked-Size` of a large one, else `ETag` and `Content-Length`).
 * @throws ModelError where the model has no such file
 * @throws IoError where the hub gives no digest, so that nothing could be checked
 */
export async function describeFile(
  model: HubModel,
  name: string,
  settings: HubSettings,
  signal?: AbortSignal,
): Promise<HubFile> {
  const listed = model.files.get(name);
  if (listed === undefined) throw new ModelError(`${model.repo} at ${model.commit} has no file ${name}`);
  if (listed !== null) return listed;
  const address = fileAddress(model, name, settings);
  const answer = await withRetries(settings, signal, async () => {
    const head = await request(address, { settings, signal, method: 'HEAD', stopAtOtherOrigin: true });
    head.close();
    if (head.status >= 400) throw statusError(head, `${name} of ${model.repo}`, model.repo, settings);
    return head;
  });
  const redirected = answer.status >= 300;
  const etag = answer.headers.get('x-linked-etag') ?? (redirected ? null : answer.headers.get('etag'));
  const length = answer.headers.get('x-linked-size') ?? (redirected ? null : answer.headers.get('content-length'));
  const digest = digestOfEtag((etag ?? '').replace(/^W\//, '').replace(/^"(.*)"$/, '$1'));
  if (digest === null || !/^\d{1,15}$/.test(length ?? '')) {
    throw new IoError(
      `${settings.endpoint} gives no size and checksum for ${name} of ${model.repo}: it cannot be checked, so it is not downloaded`,
      {
        hint: 'Check HF_ENDPOINT: a mirror must pass on the headers X-Linked-Etag and X-Linked-Size, or ETag and Content-Length.',
      },
    );
  }
  return { name, size: Number(length), digest };
}
