/** Names further than this from the one asked for are no help. */
const MAX_DISTANCE_RATIO = 0.4;
/** Hostile checkpoints may hold a million names; a message need not look through all of them. */
const MAX_CANDIDATES = 5000;

/** Up to `most` of the candidates that are spelled most like `name`, nearest first. */
export function nearestNames(name: string, candidates: Iterable<string>, most = 3): string[] {
  const found: { candidate: string; distance: number }[] = [];
  let seen = 0;
  for (const candidate of candidates) {
    if (++seen > MAX_CANDIDATES) break;
    const limit = MAX_DISTANCE_RATIO * name.length;
    if (Math.abs(candidate.length - name.length) > limit) continue;
    const distance = editDistance(name, candidate);
    if (distance <= limit) found.push({ candidate, distance });
  }
  found.sort((a, b) => a.distance - b.distance);
  return found.slice(0, most).map(({ candidate }) => candidate);
}

/** Fewest insertions, deletions and substitutions that make `a` into `b` (Levenshtein 1966), in one row of memory. */
export function editDistance(a: string, b: string): number {
  const row = Uint32Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    let diagonal = row[0] as number;
    row[0] = i;
    for (let j = 1; j <= b.length; j++) {
      const above = row[j] as number;
      const left = row[j - 1] as number;
      const substituted = diagonal + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(above + 1, left + 1, substituted);
      diagonal = above;
    }
  }
  return row[b.length] as number;
}
