import { IoError, UsageError } from '../errors.ts';

/** A model as a user names it: `ORG/NAME`, or `ORG/NAME@revision`. */
export interface ModelName {
  /** `ORG/NAME`, or a single `NAME` for the hub's oldest models. */
  repo: string;
  /** A branch, a tag or a commit; null where the user named none. */
  revision: string | null;
}

/** The hub's own rule for repository names, short of its two forbidden pairs, `--` and `..`. */
const REPO = /^(?:\w(?:[\w.-]{0,94}\w)?\/)?\w(?:[\w.-]{0,94}\w)?$/;
const COMMIT = /^[0-9a-f]{40}$/;

/** Whether this revision is a whole commit id, which always names the same files. */
export function isCommit(revision: string): boolean {
  return COMMIT.test(revision);
}

/** Whether a text has the form of a model's name on the hub (it may be a path all the same). */
export function isModelName(text: string): boolean {
  const [repo, revision] = splitRevision(text);
  return REPO.test(repo) && !/--|\.\./.test(repo) && (revision === null || pathFault(revision) === null);
}

/**
 * Splits `ORG/NAME@revision`.
 * @throws UsageError where the text cannot be a model's name
 */
export function parseModelName(text: string): ModelName {
  if (!isModelName(text)) {
    throw new UsageError(`'${text}' is not the name of a model on the hub`, {
      hint: 'A name is ORG/NAME or ORG/NAME@revision, such as google-bert/bert-base-uncased or google-bert/bert-base-uncased@main.',
    });
  }
  const [repo, revision] = splitRevision(text);
  return { repo, revision };
}

function splitRevision(text: string): [string, string | null] {
  const at = text.indexOf('@');
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * Refuses a file name from a server that would lead out of the folder it is meant for.
 * @throws IoError saying what is wrong with the name
 */
export function checkServerPath(name: string, from: string): void {
  const fault = pathFault(name);
  if (fault !== null) {
    throw new IoError(`refused a file name from ${from}: ${JSON.stringify(name.slice(0, 200))} ${fault}`, {
      hint: 'Nothing was written under that name. Check HF_ENDPOINT: a hub that lists such a name is not to be trusted.',
    });
  }
}

/** What makes a relative path unfit to be joined to a folder, on this system or another; null if nothing does. */
function pathFault(name: string): string | null {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'holds a control character';
  if (name.includes('\\')) return 'holds a backslash';
  if (name.startsWith('/') || /^[A-Za-z]:/.test(name)) return 'is an absolute path';
  const parts = name.split('/');
  if (parts.includes('..')) return 'leads to a parent folder';
  if (parts.includes('') || parts.includes('.')) return 'has an empty part';
  return null;
}
