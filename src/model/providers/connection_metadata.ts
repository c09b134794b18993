/** As many values of callback and token answer together are kept of one connection. */
export const maxMetadataValues = 20;
/** A longer value is dropped whole: half an identifier would name something else. */
export const maxMetadataValueBytes = 1024;

/** Last part of a name under which a provider sends what must never lie in the open. */
const secretName =
  /(^|[_.-])(token|code|secret|assertion|password|jwt|verifier|state|hmac|signature|session)$|(access|refresh|id|device)_?token|api_?key/i;

/** Whether values of this name may not become metadata. */
export function namesSecret(path: string): boolean {
  return secretName.test(path);
}

/** The value as metadata; undefined for what is no scalar, is empty, or too long. */
export function metadataText(value: unknown): string | undefined {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return undefined;
  const text = String(value);
  return text === "" || Buffer.byteLength(text) > maxMetadataValueBytes ? undefined : text;
}

/** `newer` over `older`; beyond the limit the newer ones stay. */
export function mergeMetadata(
  older: Readonly<Record<string, string>>,
  newer: Readonly<Record<string, string>>,
): Record<string, string> {
  const rest = Object.entries(older).filter(([name]) => !Object.hasOwn(newer, name));
  return Object.fromEntries([...Object.entries(newer), ...rest].slice(0, maxMetadataValues));
}

/** What a profile keeps of the parameters of a callback. */
export function callbackMetadata(query: URLSearchParams, names: readonly string[]): Record<string, string> {
  const kept: [string, string][] = [];
  for (const name of names.slice(0, maxMetadataValues)) {
    const text = namesSecret(name) ? undefined : metadataText(query.get(name) ?? undefined);
    if (text !== undefined) kept.push([name, text]);
  }
  return Object.fromEntries(kept);
}
