/**
 * What each placeholder contains, and no credential: 20 letters, which fit into the shortest keys whose form tools check.
 */
export const placeholderMark = "nexusdPlaceholderKqv";

const run = /\{(\d+)\}/g;
/** What follows the first characters of a key is at least so long, whatever its form says: makers change that. */
const minRestLength = 16;

/**
 * A text of the form of a key, worth nothing: `ghp_nexusdPlaceholderKqvxxxxxxxxxxxxxxxx`.
 *
 * @param form as `key_forms` of the catalogue; undefined for no form
 * @param name for a reader, where no form says how long it is
 */
export function placeholderOf(form: string | undefined, name: string): string {
  let isMarked = false;
  const filled = form?.replace(run, (_, digits: string) => {
    const length = Number(digits);
    if (isMarked || length < placeholderMark.length) return "0".repeat(length);
    isMarked = true;
    return placeholderMark.padEnd(length, "x");
  });
  return filled !== undefined && isMarked ? filled : `${placeholderMark}-${name}`;
}

/** How a key of the form begins; empty for a form that is all chance. */
export function keyPrefix(form: string): string {
  return form.slice(0, form.search(/\{/));
}

/** Whether a value may be a key of the form: it begins so, and enough letters and digits follow. */
export function hasKeyForm(value: string, form: string): boolean {
  const prefix = keyPrefix(form);
  if (prefix === "" || !value.startsWith(prefix)) return false;
  const rest = value.slice(prefix.length);
  return rest.length >= minRestLength && /^[\w.-]+$/.test(rest);
}
