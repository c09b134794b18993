import type { Token } from "../../../gen/nexus/v1/token_pb.js";
import type { AuthorizedRequest } from "../../../strategies/apply_strategy.js";
import type { ApiRequest } from "../../credentials/authorized_request.js";

/** Shorter ones stand in every text by chance. */
const minLength = 4;

/** Finds in what an API answers the secrets that it was sent: some APIs repeat the request. */
export class Redaction {
  readonly #pattern: RegExp | undefined;
  /** Of the longest form of a secret, in characters. */
  readonly maxLength: number;

  constructor(secrets: Iterable<string>) {
    const forms = [...new Set([...secrets].filter((secret) => secret.length >= minLength).flatMap(formsOf))];
    // Of two that begin at one place, the longer.
    forms.sort((one, other) => other.length - one.length);
    this.maxLength = forms[0]?.length ?? 0;
    if (forms.length > 0) this.#pattern = new RegExp(forms.map(escaped).join("|"), "gi");
  }

  /** @returns the first `maxCharacters` of the text, each secret that begins there as `[redacted]` */
  apply(text: string, maxCharacters = text.length): string {
    if (this.#pattern === undefined) return text.slice(0, maxCharacters);
    let result = "";
    let end = 0;
    for (const found of text.matchAll(this.#pattern)) {
      if (found.index >= maxCharacters) break;
      result += `${text.slice(end, found.index)}[redacted]`;
      end = found.index + found[0].length;
    }
    return end >= maxCharacters ? result : result + text.slice(end, maxCharacters);
  }
}

/**
 * What of a request is secret: the credential, and what the strategy made of it. A user name beside a password, and the id of an AWS key,
 * are none: they stand in answers for good reasons.
 */
export function secretsOf(own: ApiRequest, sent: AuthorizedRequest<Uint8Array>, token: Token): string[] {
  const { strategy, credentials } = token;
  const open = new Set<string>();
  const kind = strategy?.kind;
  if (kind?.case === "awsSigv4") open.add("access_key");
  if (kind?.case === "basicAuth" && (credentials[kind.value.passwordField] ?? "") !== "")
    open.add(kind.value.usernameField);
  const before = new Set(Object.values(Object.fromEntries(entriesOf(own.headers))));
  const added = Object.values(sent.headers).filter((value) => !before.has(value));
  return [
    ...Object.entries(credentials).flatMap(([name, value]) => (open.has(name) ? [] : [value])),
    ...(token.idToken === "" ? [] : [token.idToken]),
    ...added.flatMap((value) => [value, value.replace(/^\S+ /, "")]),
  ];
}

function entriesOf(headers: ApiRequest["headers"]): Iterable<readonly [string, string]> {
  return Symbol.iterator in headers ? headers : Object.entries(headers);
}

/** As an answer may write it: as it is, in JSON, a URL, a form or HTML, or in base64. */
function formsOf(secret: string): string[] {
  const percent = encodeURIComponent(secret);
  const html = secret.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const base64 = Buffer.from(secret, "utf8").toString("base64");
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    JSON.stringify(secret).slice(1, -1).replaceAll("/", "\\/"),
    percent,
    percent.replace(/%20/g, "+"),
    html.replaceAll('"', "&quot;"),
    base64.replace(/=+$/, ""),
    base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""),
  ];
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
