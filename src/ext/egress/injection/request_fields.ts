import type { IncomingHttpHeaders } from "node:http";
import { placeholderMark as mark } from "../../../catalogue/catalogue.js";
import type { UsableCredential } from "../../../domain/use/use.js";
import { overriddenBy } from "../../../model/access/access.js";
import type { Strategy } from "../../../model/credentials/credentials.js";
import {
  type BodyHash,
  hashHeader,
  isPresigned,
  servicesOfS3,
  signedChunkForms,
} from "../../../strategies/strategies.js";

/** By their names in lower case; what came several times is joined. */
export type HeaderFields = Record<string, string>;

/** RFC 9110 section 7.6.1, and what is between the program and this proxy. */
export const ofConnection =
  /^(connection|keep-alive|proxy-connection|proxy-authorization|proxy-authenticate|te|trailer|transfer-encoding|upgrade|http2-settings|expect|:.*)$/;
/** What frames a body, and where a request goes: no field of the program's takes it off. */
const ofFrame = /^(content-length|host)$/;
/** Where a program may have put a credential of its own: it is none of the API's business. */
const ofCaller = /^(authorization|dpop|cookie|x-api-key|x-amz-(date|security-token|content-sha256))$/;
/** What says how a message is read, kept or answered must stand before its body (RFC 9110 section 6.5.1). */
const notBehindBody =
  /^(content-(encoding|type|range|location|disposition|language)|if-.*|accept.*|x-amz-.*|x-forwarded-.*|forwarded|range|max-forwards|cache-control|pragma)$/;
const maxTrailers = 32;

/**
 * Of what is for the other end, what is no credential of the program's own.
 *
 * @param target path and query; a signature that stands there may cover fields that would be the program's credential otherwise
 */
export function passed(headers: Readonly<HeaderFields>, strategy: Strategy, target: string): HeaderFields {
  const named = "headerName" in strategy ? strategy.headerName.toLowerCase() : "";
  const isAws = strategy.kind === "aws_sigv4";
  const isSigned = isAws && isPresigned(target);
  const kept: HeaderFields = {};
  for (const [name, text] of Object.entries(headers)) {
    const isKept = !ofCaller.test(name) || (isSigned && name.startsWith("x-amz-"));
    if ((isKept || (isAws && name === hashHeader)) && name !== named && !text.includes(mark))
      kept[name] = text;
  }
  return kept;
}

/** What a program sent for the other end, and not for this proxy. The frame of its body is in `framed`. */
export function ofEnd(headers: IncomingHttpHeaders): HeaderFields {
  const named = headers.connection?.toLowerCase().split(/\s*,\s*/) ?? [];
  const kept: HeaderFields = {};
  for (const [name, value = ""] of Object.entries(headers))
    if (!ofConnection.test(name) && (!named.includes(name) || ofFrame.test(name)))
      kept[name] = typeof value === "string" ? value : value.join(", ");
  if (headers["te"] === "trailers") kept["te"] = "trailers";
  return kept;
}

/**
 * Those that a program has announced to send behind its body. None of them is one that is judged, put in, or read before the body.
 *
 * @param announced the field `Trailer` of its request
 * @param headers what goes before the body
 */
export function trailerNames(announced: string | undefined, headers: Readonly<HeaderFields>): string[] {
  const names = announced?.toLowerCase().split(/\s*,\s*/) ?? [];
  const isOwn = (name: string): boolean =>
    /^[\w-]+$/.test(name) &&
    ![ofConnection, ofFrame, ofCaller, notBehindBody].some((one) => one.test(name)) &&
    overriddenBy(name) === undefined &&
    headers[name] === undefined;
  return [...new Set(names.filter(isOwn))].slice(0, maxTrailers);
}

/** Of what came behind a body, what goes on. */
export function passedTrailers(given: IncomingHttpHeaders, names: readonly string[]): HeaderFields {
  const kept: HeaderFields = {};
  for (const name of names) {
    const text = [given[name] ?? []].flat().join(", ");
    if (text !== "" && !text.includes(mark)) kept[name] = text;
  }
  return kept;
}

/**
 * The fields with a frame of this proxy's own for the body (RFC 9112 section 6): its length where it is known, else chunks. Node frames the body
 * of a GET, HEAD, DELETE or OPTIONS only where a field asks for it.
 *
 * @param length in bytes; undefined where only the end of the body shows it
 */
export function framed(
  { "content-length": given, ...fields }: Readonly<HeaderFields>,
  length: number | undefined,
): HeaderFields {
  if (length === undefined) return { ...fields, "transfer-encoding": "chunked" };
  return length > 0 || given !== undefined ? { ...fields, "content-length": String(length) } : fields;
}

/** What makes a URL that is signed for AWS. */
const ofSignedUrl =
  /^(x-amz-(algorithm|content-sha256|credential|date|expires|security-token|signature|signedheaders)|awsaccesskeyid|expires|signature)=/i;

/** A path and query without the parameters that hold one. A URL that was signed with one is signed no longer. */
export function withoutPlaceholders(target: string): string {
  const at = target.indexOf("?");
  if (at < 0 || !target.includes(mark, at)) return target;
  const all = target.slice(at + 1).split("&");
  const isSigned = isPresigned(target) && all.some((one) => one.includes(mark) && ofSignedUrl.test(one));
  const kept = all.filter((one) => !one.includes(mark) && !(isSigned && ofSignedUrl.test(one)));
  return kept.length === 0 ? target.slice(0, at) : `${target.slice(0, at)}?${kept.join("&")}`;
}

/**
 * Basic authentication whose user or password is a placeholder gets the credential there: some APIs take a token in no other way, as git over
 * https. Where the profile says which fields are user and password, it decides.
 */
export function filledBasic(
  field: string | undefined,
  token: UsableCredential,
): { readonly authorization?: string } {
  const credential = credentialOf(token);
  const [, encoded = ""] = /^basic +(\S+) *$/i.exec(field ?? "") ?? [];
  const parts = Buffer.from(encoded, "base64").toString("utf8").split(":");
  if (credential === "" || token.strategy.kind === "basic_auth" || !parts.some((part) => part.includes(mark)))
    return {};
  const filled = parts.map((part) => (part.includes(mark) ? credential : part)).join(":");
  return { authorization: `Basic ${Buffer.from(filled).toString("base64")}` };
}

/** What is sent as it is; empty where a signature is made of the credential. */
export function credentialOf({ strategy, credentials }: UsableCredential): string {
  if ("credentialField" in strategy) return credentials[strategy.credentialField] ?? "";
  if (!("passwordField" in strategy)) return "";
  return credentials[strategy.passwordField] || (credentials[strategy.usernameField] ?? "");
}

/** How the body of a request is signed that streams; undefined where all of it must be at hand, since the credential is made of it. */
export function streamedBody(
  target: string,
  headers: Readonly<HeaderFields>,
  strategy: Strategy,
): BodyHash | undefined {
  if (strategy.kind === "hmac_payload") return undefined;
  if (strategy.kind !== "aws_sigv4" || isPresigned(`https://api${target}`)) return "header";
  const declared = headers[hashHeader];
  if (declared === undefined) return servicesOfS3.includes(strategy.service) ? "unsigned" : undefined;
  const isDigest = /^[0-9a-f]{64}$/.test(declared);
  return isDigest || declared === "UNSIGNED-PAYLOAD" || isInSignedChunks(headers, strategy)
    ? "declared"
    : "header";
}

/** Whether the program signed each part of the body, with a key that is none. */
export function isInSignedChunks(
  headers: Readonly<HeaderFields>,
  strategy: Strategy,
): strategy is Extract<Strategy, { kind: "aws_sigv4" }> {
  return strategy.kind === "aws_sigv4" && signedChunkForms.includes(headers[hashHeader] ?? "");
}
