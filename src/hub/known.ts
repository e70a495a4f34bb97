/** Models whose weights are pinned here: whatever a hub or a mirror says, these bytes or none. */
export interface KnownModel {
  repo: string;
  revision: string;
  /** By file name. */
  files: Record<string, { size: number; sha256: string }>;
}

/** What `layer8` runs where no model is named: its name, and where it comes from if the package carries no weights. */
export const DEFAULT_NAME = 'bert-base-uncased';
export const DEFAULT_REPO = 'google-bert/bert-base-uncased';

const KNOWN: KnownModel[] = [
  {
    repo: DEFAULT_REPO,
    revision: '86b5e0934494bd15c9632b12f734a8a67f723594',
    files: {
      'model.safetensors': {
        size: 440_449_768,
        sha256: '68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3',
      },
    },
  },
];

export function knownModel(repo: string): KnownModel | null {
  return KNOWN.find((model) => model.repo === repo) ?? null;
}

/** The hub's name of a model that is also known by its old, short one. */
export function canonicalRepo(repo: string): string {
  return repo === DEFAULT_NAME ? DEFAULT_REPO : repo;
}
