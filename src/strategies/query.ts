import { StrategyError } from "./strategy_error.js";

/** `url` cut at its marks, each part byte for byte: `before?query#fragment`. */
export function cutUrl(url: string): {
  readonly before: string;
  readonly query: string | undefined;
  readonly fragment: string;
} {
  const hash = url.indexOf("#");
  const whole = hash < 0 ? url : url.slice(0, hash);
  const mark = whole.indexOf("?");
  return {
    before: mark < 0 ? whole : whole.slice(0, mark),
    query: mark < 0 ? undefined : whole.slice(mark + 1),
    fragment: hash < 0 ? "" : url.slice(hash),
  };
}

/** Sets one parameter, at the position of the first that has its name, and leaves everything else as it is. */
export function withQueryParam(url: string, name: string, value: string): string {
  const { before, query, fragment } = cutUrl(url);
  const pair = `${encode(name)}=${encode(value)}`;
  const pairs = query === undefined || query === "" ? [] : query.split("&");
  const first = pairs.findIndex((candidate) => parameterName(candidate) === name);
  const kept = pairs.filter((candidate) => parameterName(candidate) !== name);
  kept.splice(first < 0 ? kept.length : first, 0, pair);
  return `${before}?${kept.join("&")}${fragment}`;
}

/** As a form decodes it; what cannot be decoded is a name of its own. */
export function parameterName(pair: string): string {
  const name = pair.split("=", 1)[0] ?? "";
  try {
    return decodeURIComponent(name.replace(/\+/g, " "));
  } catch {
    return name;
  }
}

function encode(text: string): string {
  return encodeURIComponent(Buffer.from(text, "utf8").toString("utf8")).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** The parameters of a query, each name with all its values. */
export function queryValues(query: string | undefined): Record<string, string[]> {
  const values: Record<string, string[]> = Object.create(null);
  for (const pair of query?.split("&").filter((part) => part !== "") ?? []) {
    const equals = pair.indexOf("=");
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : decode(pair.slice(equals + 1));
    values[name] = [...(values[name] ?? []), value];
  }
  return values;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new StrategyError("invalid_request", "url", "the query is not percent-encoded UTF-8");
  }
}
