/** How many names are worth reading. */
const maxSuggestions = 3;

/**
 * The names that `word` was probably meant for, the likeliest first. First come those that begin with it or that it begins with, then those
 * a few edits away (one for each three characters).
 */
export function suggestions(word: string, names: readonly string[]): string[] {
  if (word === "") return [];
  return names
    .map((name) => ({ name, edits: isPrefix(word, name) ? 0 : editDistance(word, name) }))
    .filter(({ edits }) => edits <= Math.max(1, Math.floor(word.length / 3)))
    .toSorted((one, other) => one.edits - other.edits)
    .slice(0, maxSuggestions)
    .map(({ name }) => name);
}

/** `did you mean github?`; undefined when no name is like the word. */
export function didYouMean(word: string, names: readonly string[]): string | undefined {
  const near = suggestions(word, names);
  return near.length === 0 ? undefined : `did you mean ${near.join(", ")}?`;
}

function isPrefix(word: string, name: string): boolean {
  return name.startsWith(word) || word.startsWith(name);
}

/** How many characters are inserted, removed, replaced, or swapped with the next one (optimal string alignment). */
export function editDistance(one: string, other: string): number {
  let before: number[] = [];
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      const isSwapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      const swapped = isSwapped ? (before[j - 2] ?? 0) + 1 : substituted;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substituted, swapped));
    }
    before = row;
    row = next;
  }
  return row[other.length] ?? 0;
}
