const mark = "nexusd-puts-in-the-credential-of-";

/** In place of a credential, for a tool that does not start without one: it is taken out of each request, and worth nothing. */
export function placeholder(providerName: string): string {
  return `${mark}${providerName}`;
}

/** Whether a field of a request holds one, wherever its API has the credential. */
export function holdsPlaceholder(value: string | readonly string[]): boolean {
  return [value].flat().some((text) => text.includes(mark));
}

/** A path and query without the parameters that hold one. */
export function withoutPlaceholders(target: string): string {
  const at = target.indexOf("?");
  if (at < 0 || !target.includes(mark, at)) return target;
  const kept = target
    .slice(at + 1)
    .split("&")
    .filter((parameter) => !parameter.includes(mark));
  return kept.length === 0 ? target.slice(0, at) : `${target.slice(0, at)}?${kept.join("&")}`;
}
