import type { X509Certificate } from "node:crypto";
import type { PeerCertificate } from "../../domain/access/access.js";

/** What X.509-SVID, section 2, and SPIFFE-ID, section 2.1 to 2.3, let an id be; a path has no empty and no dot segment. */
const spiffeId = /^spiffe:\/\/(?=[^/]{1,255}(?:\/|$))[a-z0-9._-]+(?:\/(?!\.{1,2}(?:\/|$))[a-zA-Z0-9._-]+)*$/;
const maxSpiffeIdBytes = 2048;

/** Longer than any subject that a person wrote, and short enough for a name in the audit log. */
const maxSubjectBytes = 1024;

/**
 * Whom a certificate names, its chain verified: the SPIFFE ID when it holds one, else its subject. The two cannot be mistaken for
 * each other: a subject begins with the type of an attribute and `=`.
 *
 * @returns a sentence when it names nobody
 */
export function certificatePrincipal(certificate: X509Certificate): PeerCertificate | string {
  const notAfterMs = Date.parse(certificate.validTo);
  if (Number.isNaN(notAfterMs)) return "the end of its validity cannot be read";
  // X.509-SVID, section 4.1: a signing certificate is no identity.
  if (certificate.ca) return "it is the certificate of a CA";
  const names = alternativeNames(certificate.subjectAltName);
  if (names === undefined) return "its alternative names cannot be read";
  const uris = names.flatMap(({ type, value }) => (type === "URI" ? [value] : []));
  if (uris.some((uri) => /^spiffe:/i.test(uri))) {
    const [uri = ""] = uris;
    // X.509-SVID, section 2: "MUST contain exactly one URI SAN"; one with more is refused, not read for its first.
    if (uris.length > 1) return "it holds a SPIFFE ID beside other URIs";
    if (uri.length > maxSpiffeIdBytes || !spiffeId.test(uri)) return "its SPIFFE ID is malformed";
    return { name: `cert:${uri}`, notAfterMs };
  }
  const subject = subjectText(certificate.subject);
  if (subject === "") return "it has neither a SPIFFE ID nor a subject";
  if (Buffer.byteLength(subject) > maxSubjectBytes)
    return `its subject is longer than ${maxSubjectBytes} bytes`;
  return { name: `cert:${subject}`, notAfterMs };
}

/**
 * The subject as RFC 4514 writes it, the last attribute first: `CN=agent,O=Acme`. Node gives a line for each, in the order of the
 * certificate. Special characters in a value (`,` `+` `"` `\` `<` `>` `;` and control characters) are already escaped.
 */
function subjectText(subject: string | undefined): string {
  if (subject === undefined) return "";
  return subject
    .split("\n")
    .reverse()
    .map((line) => line.replaceAll(" + ", "+"))
    .join(",");
}

interface AlternativeName {
  readonly type: string;
  readonly value: string;
}

/**
 * Reads Node's text of the subject's alternative names: `URI:a, DNS:b`, a value that could be taken for more than one written as a
 * string of JSON. Undefined when it is anything else.
 */
export function alternativeNames(text: string | undefined): AlternativeName[] | undefined {
  const names: AlternativeName[] = [];
  if (text === undefined || text === "") return names;
  const one = /([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^,"]*)(, (?=.)|$)/sy;
  while (one.lastIndex < text.length) {
    const found = one.exec(text);
    if (!found) return undefined;
    const [, type = "", written = ""] = found;
    const value = written.startsWith('"') ? (JSON.parse(written) as unknown) : written;
    if (typeof value !== "string") return undefined;
    names.push({ type, value });
  }
  return names;
}
