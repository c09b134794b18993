import type { Token } from "../../../gen/nexus/v1/token_pb.js";

type Fields = Readonly<Record<string, string | readonly string[]>>;

/** RFC 9110 section 7.6.1, and what is between the program and this proxy. */
export const ofConnection =
  /^(connection|keep-alive|proxy-connection|proxy-authorization|proxy-authenticate|te|trailer|transfer-encoding|upgrade|http2-settings|expect|:.*)$/;
/** Where a program may have put a credential of its own: it is none of the API's business. */
const ofCaller = /^(authorization|dpop|cookie|x-api-key|x-amz-(date|security-token|content-sha256))$/;
const mark = "nexusd-puts-in-the-credential-of-";

type GivenToken = Partial<Record<"strategy", Token["strategy"]>> & {
  readonly credentials: Token["credentials"];
};

/** What a program sent, without credentials of its own and what is between it and this proxy. */
export function passed(
  headers: Fields,
  { strategy }: { readonly strategy?: Token["strategy"] },
): Record<string, string | string[]> {
  const { value } = strategy?.kind ?? {};
  const named = value && "headerName" in value ? value.headerName.toLowerCase() : "";
  const kept = Object.entries(ofEnd(headers)).filter(
    ([name, value]) => !ofCaller.test(name) && name !== named && !holdsPlaceholder(value),
  );
  return Object.fromEntries(kept);
}

/** What is for the other end, and not for this proxy. */
export function ofEnd(headers: Fields): Record<string, string | string[]> {
  const named = String(headers["connection"] ?? "")
    .toLowerCase()
    .split(/\s*,\s*/);
  const kept = Object.entries(headers).filter(([name]) => !ofConnection.test(name) && !named.includes(name));
  const te = headers["te"] === "trailers" ? { te: "trailers" } : {};
  return { ...(Object.fromEntries(kept) as Record<string, string | string[]>), ...te };
}

/** In place of a credential, for a tool that does not start without one: it is taken out of each request, and worth nothing. */
export function placeholder(providerName: string): string {
  return `${mark}${providerName}`;
}

/** Whether a field of a request holds one, wherever its API has the credential. */
function holdsPlaceholder(value: string | readonly string[]): boolean {
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

/**
 * Basic authentication whose user or password is a placeholder gets the credential there: some APIs take a token in no other way, as git over
 * https. Where the profile says which fields are user and password, it decides.
 */
export function filledBasic(
  field: string | readonly string[] | undefined,
  token: GivenToken,
): { readonly authorization?: string } {
  const credential = credentialOf(token);
  const [, encoded = ""] = /^basic +(\S+) *$/i.exec(String(field ?? "")) ?? [];
  const parts = Buffer.from(encoded, "base64").toString("utf8").split(":");
  if (credential === "" || token.strategy?.kind.case === "basicAuth" || !holdsPlaceholder(parts)) return {};
  const filled = parts.map((part) => (part.includes(mark) ? credential : part)).join(":");
  return { authorization: `Basic ${Buffer.from(filled).toString("base64")}` };
}

/** What is sent as it is; empty where a signature is made of the credential. */
export function credentialOf({ strategy, credentials }: GivenToken): string {
  const { value } = strategy?.kind ?? {};
  if (value && "credentialField" in value) return credentials[value.credentialField] ?? "";
  if (!value || !("passwordField" in value)) return "";
  return credentials[value.passwordField] || (credentials[value.usernameField] ?? "");
}
