import { hash } from "node:crypto";
import { Secret } from "../../runtime/secret.js";
import { PrivateKeyUnusable, readPrivateKey } from "../credentials/private_key.js";
import {
  type ClientCertificate,
  ClientCertificateUnusable,
  readClientCertificate,
} from "./client_certificate.js";

/** The fields of a static credential that no strategy puts into a request: what its API is shown in TLS. */
export const certificateFields = { chain: "tls_client_certificate", key: "tls_client_key" } as const;

/** The certificate of a credential, for connections to its API alone. */
export interface ApiCertificate extends ClientCertificate {
  /** Of this certificate and key, and no others. Says nothing of the key. */
  readonly id: string;
}

/** Undefined for a credential without one. */
export function apiCertificateOf(credentials: Readonly<Record<string, string>>): ApiCertificate | undefined {
  const { [certificateFields.chain]: chain = "", [certificateFields.key]: key = "" } = credentials;
  if (chain === "" || key === "") return undefined;
  return {
    chain: inLines(chain),
    privateKey: new Secret(inLines(key)),
    id: hash("sha256", `${chain}\n${key}`, "hex"),
  };
}

/** Why the certificate and key among the fields cannot be used; undefined where they can, or there are none. */
export function certificateViolation(
  fields: Readonly<Record<string, string>>,
): { readonly field: string; readonly description: string } | undefined {
  const { chain, key } = certificateFields;
  const { [chain]: certificateText = "", [key]: keyText = "" } = fields;
  if (certificateText === "" && keyText === "") return undefined;
  if (certificateText === "") return { field: chain, description: `is required with ${key}` };
  if (keyText === "") return { field: key, description: `is required with ${chain}` };
  try {
    const certificate = readClientCertificate(inLines(certificateText), key);
    if (certificate.checkPrivateKey(pemKeyOf(keyText))) return undefined;
    return { field: chain, description: `is of another key than ${key}` };
  } catch (error) {
    if (error instanceof ClientCertificateUnusable) return { field: chain, description: error.message };
    if (error instanceof PrivateKeyUnusable) return { field: key, description: error.message };
    throw error;
  }
}

/** TLS takes a key as PEM alone. @throws PrivateKeyUnusable */
function pemKeyOf(text: string) {
  if (!text.includes("-----BEGIN ")) throw new PrivateKeyUnusable("is no private key as PEM");
  return readPrivateKey(inLines(text)).key;
}

/** PEM that a form or a shell has put on one line gets its lines back (RFC 7468 section 3). */
function inLines(pem: string): string {
  return pem.replace(
    /-----BEGIN ([A-Z0-9 ]{1,64})-----([A-Za-z0-9+/=\s]+)-----END \1-----/g,
    (_, label: string, base64: string) => {
      const lines = base64.replace(/\s/g, "").replace(/.{64}(?!$)/g, "$&\n");
      return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
    },
  );
}
