/**
 * The one form in which a request is judged and sent, and what servers could take it for beside it. Every place that puts a credential into
 * a request asks here.
 */

/** The path of a request as rules and restrictions see it. */
export interface CanonicalPath {
  /** With nothing encoded that need not be (RFC 3986 section 6.2.2); undefined where servers read it in several ways. */
  readonly path: string | undefined;
  /** The same with all of it decoded, where that is another text: `:` for `%3A`. */
  readonly decoded?: string;
  /** What makes several paths of it, in a few words. */
  readonly unclear?: string;
}

/** Path and query, the path in the canonical form where it has one. */
export interface CanonicalTarget extends CanonicalPath {
  readonly target: string;
}

/** A path in which nothing is encoded, and no segment begins with a dot: most are. */
const plain = /^(\/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*)*\/?$/;

export function canonicalTarget(target: string): CanonicalTarget {
  const at = target.indexOf("?");
  const before = at < 0 ? target : target.slice(0, at);
  const canonical = canonicalPath(before);
  return { ...canonical, target: `${canonical.path ?? before}${at < 0 ? "" : target.slice(at)}` };
}

/** @param path as it is sent, without the query */
export function canonicalPath(path: string): CanonicalPath {
  if (plain.test(path)) return { path };
  const unclear = unclearIn(path);
  if (unclear !== undefined) return { path: undefined, unclear };
  const canonical = path.replace(/%[0-9a-f]{2}/gi, (code) => {
    const character = decoded(code);
    return /[A-Za-z0-9._~-]/.test(character) ? character : code.toUpperCase();
  });
  const whole = asUtf8(decoded(canonical));
  return { path: canonical, ...(whole !== canonical && { decoded: whole }) };
}

function unclearIn(path: string): string | undefined {
  if (!path.startsWith("/")) return "no slash at its beginning";
  if (/[^\x21-\x7e]|[\\#]/.test(path)) return "a character that no URL has";
  if (/%(?![0-9a-f]{2})/i.test(path)) return "a % without two digits";
  const once = decoded(path);
  const found = oddities.find(([, is]) => is(path, once));
  return found?.[0];
}

const oddities: readonly (readonly [words: string, is: (path: string, once: string) => boolean])[] = [
  ["text that is encoded twice", (_, once) => /%[0-9a-f]{2}/i.test(once)],
  ["an encoded slash, backslash or question mark", (path) => /%(2f|5c|3f)/i.test(path)],
  ["a parameter (;)", (_, once) => once.includes(";")],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  ["a control character", (_, once) => /[\x00-\x1f\x7f]/.test(once) || /\p{Cc}/u.test(asUtf8(once))],
  ["UTF-8 in more bytes than it takes", (_, once) => overlong.test(once)],
  ["an empty segment (//)", (path) => path.includes("//")],
  ["a segment that is . or ..", (_, once) => /\/\.{1,2}(\/|$)/.test(asUtf8(once).normalize("NFKC"))],
  ["a blank at the edge of a segment", (_, once) => /\/[\s\p{Cf}]|[\s\p{Cf}](\/|$)/u.test(asUtf8(once))],
  ["a letter that is also written as a slash", (_, once) => alike(asUtf8(once))],
];

/** Whether some servers bring letters into a form in which one of them cuts a path. */
function alike(text: string): boolean {
  const cuts = (one: string): number => one.match(/[/\\;%?]/g)?.length ?? 0;
  return cuts(text.normalize("NFKC")) !== cuts(text);
}

/** RFC 3629 section 3. */
const overlong = /[\xc0\xc1]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]/;

/**
 * What servers could take a path for, the path itself first: decoded as often as it can be, and without what some of them drop. Neither
 * `.` nor `..` is followed.
 */
export function readingsOf(path: string): readonly string[] {
  if (plain.test(path)) return [path];
  return [...new Set(decodingsOf(path).flatMap((text) => [text, leniently(text)]))];
}

/** The path, and what is read by those who decode it once, twice, or more often. Each character of a decoded one is a byte. */
export function decodingsOf(path: string): readonly string[] {
  const found = [Buffer.from(path, "utf8").toString("latin1")];
  for (let last = found[0] as string; found.length < maxDecodings; last = found.at(-1) as string) {
    const next = decoded(last);
    if (next === last) break;
    found.push(next);
  }
  return found;
}

const maxDecodings = 6;

/** As a server reads it that takes overlong forms and letters that look alike, ends segments at a semicolon, and drops what it does not see. */
function leniently(text: string): string {
  const whole = text.replace(
    /[\xc0-\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}/g,
    (bytes) =>
      String.fromCharCode([...bytes].reduce((sum, byte) => sum * 64 + (byte.charCodeAt(0) & 63), 0) & 127),
  );
  const [path = ""] = asUtf8(whole).normalize("NFKC").split("?", 1);
  const segments = path.replaceAll("\\", "/").split("/");
  const kept = segments.map((segment) => segment.replace(/;.*$/s, "").replace(/[\p{Cc}\p{Cf}\s]/gu, ""));
  return `/${kept.filter((segment) => segment !== "" && segment !== ".").join("/")}`;
}

/** Whether the path leads up to one who reads it so. */
export function climbs(reading: string): boolean {
  return /(^|[/\\])\.\.($|[/\\])/.test(reading);
}

/** Each character one byte. */
function decoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

function asUtf8(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** A method as registered, in capitals. Some servers and proxies take small letters for the same, others for a method of its own (RFC 9110 section 9.1). */
export function isCanonicalMethod(method: string): boolean {
  return /^[A-Z0-9!#$%&'*+.^_`|~-]+$/.test(method);
}

/** The answer to it repeats the request, with its credential (RFC 9110 section 9.3.8; TRACK is IIS's). */
export function echoesRequest(method: string): boolean {
  return /^trac[ek]$/i.test(method);
}

/** By these some servers take a request for one of another method. */
const ofMethod = ["x-http-method", "x-http-method-override", "x-method-override"];
/** By these, for one to another path. */
const ofPath = ["x-original-url", "x-rewrite-url"];

/** What a header changes of the request line; undefined for nothing. To servers that hand names on as CGI does, `_` is a hyphen. */
export function overriddenBy(name: string): "method" | "path" | undefined {
  const known = withHyphens(name);
  return ofMethod.includes(known) ? "method" : ofPath.includes(known) ? "path" : undefined;
}

/** A header's name as CGI reads it (RFC 3875 section 4.1.18). */
export function withHyphens(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}

/** Whether a parameter of the query makes another method of it, as web frameworks have it for forms. */
export function isMethodParameter(name: string): boolean {
  return name.toLowerCase() === "_method";
}
