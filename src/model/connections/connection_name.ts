/** One of the accounts of a user, at whatever provider. */
export interface UserAccount {
  readonly userId: string;
  /** Empty for the only account of the user at the provider. */
  readonly label: string;
}

/** See `nexus.v1.ConnectionName`. */
export interface ConnectionName extends UserAccount {
  readonly providerName: string;
}

/** The one text of a name that `parseNamePath` reads, with only those characters encoded that would not be read back. */
export function namePath({ providerName, userId, label }: ConnectionName): string {
  const parts = label === "" ? [providerName, userId] : [providerName, userId, label];
  return parts.map((part) => part.replace(/[%/]/g, encodeURIComponent)).join("/");
}

/** A name whose provider was looked up. */
export interface NameParts {
  readonly providerId: string;
  readonly userId: string;
  readonly label: string;
}

/** How long a label may be, in characters: it is a word for an account. */
const maxLabelLength = 64;
const maxUserIdLength = 256;
const maxProviderNameLength = 128;

/** Reads `<provider>/<user>` or `<provider>/<user>/<label>`, percent-encoded; undefined when it is no name. */
export function parseNamePath(segments: readonly string[]): ConnectionName | undefined {
  if (segments.length !== 2 && segments.length !== 3) return undefined;
  const [providerName = "", userId = "", label = ""] = segments.map(decoded);
  const isName =
    fits(providerName, maxProviderNameLength) &&
    fits(userId, maxUserIdLength) &&
    (segments.length === 2 || fits(label, maxLabelLength));
  return isName ? { providerName, userId, label } : undefined;
}

/** One key of a map for each name. */
export function nameKey({ providerId, userId, label }: NameParts): string {
  return JSON.stringify([providerId, userId, label]);
}

function fits(part: string, maxLength: number): boolean {
  const { length } = [...part];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the rule of the proto
  return length > 0 && length <= maxLength && !/[\x00-\x1f\x7f]/.test(part);
}

/** Empty when it is not percent-encoded UTF-8. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return "";
  }
}
