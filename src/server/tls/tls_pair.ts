import { constants, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContextOptions } from "node:tls";

/** The files as they were read. */
export interface TlsMaterial {
  /** PEM: the certificate of the listener first, then those that lead to its root. */
  readonly certificate: Buffer;
  /** PEM, without a passphrase. */
  readonly key: Buffer;
  /** PEM: whose client certificates are trusted. */
  readonly clientCa: Buffer | undefined;
}

/** A certificate that listeners can use. */
export interface TlsPair {
  readonly context: SecureContextOptions;
  readonly subject: string;
  readonly fingerprint256: string;
  readonly notAfterMs: number;
}

/** The files hold nothing that a listener can use. The message is the end of a sentence, and holds nothing of the key. */
export class TlsError extends Error {
  override readonly name = "TlsError";
}

/** TLS 1.2 with forward secrecy and authenticated encryption alone (RFC 9325, section 4.2); those of TLS 1.3 are all of that kind. */
const ciphers = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/**
 * Judges what the files hold.
 *
 * No session is resumed: a resumed one answers for a client certificate that was verified against a set of CAs which may be
 * another by now. Connections live long here, and a handshake is cheap beside them.
 *
 * @throws TlsError
 */
export function readPair({ certificate, key, clientCa }: TlsMaterial): TlsPair {
  const leaf = attempt(
    "the certificate file holds no certificate in PEM",
    () => new X509Certificate(certificate),
  );
  const privateKey = attempt(keyViolation(key), () => createPrivateKey(key));
  if (!matches(leaf, privateKey)) throw new TlsError("the key is not that of the certificate");
  if (
    clientCa !== undefined &&
    !/-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/.test(clientCa.toString("latin1"))
  ) {
    throw new TlsError("the client CA file holds no certificate in PEM");
  }
  const context: SecureContextOptions = {
    cert: certificate,
    key,
    ...(clientCa === undefined ? {} : { ca: clientCa }),
    minVersion: "TLSv1.2",
    ciphers,
    honorCipherOrder: false,
    ecdhCurve: "auto",
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
  attempt("TLS refuses them", () => createSecureContext(context));
  return {
    context,
    subject: leaf.subject?.replaceAll("\n", ", ") ?? "",
    fingerprint256: leaf.fingerprint256,
    notAfterMs: Date.parse(leaf.validTo),
  };
}

/** OpenSSL's reason is reported, because what an operator does next depends on it; it names no bytes of the key. */
function attempt<T>(violation: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new TlsError(`${violation} (${code ?? message})`);
  }
}

function keyViolation(key: Buffer): string {
  const isEncrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(
    key.toString("latin1"),
  );
  return isEncrypted
    ? "the key has a passphrase, and must have none"
    : "the key file holds no private key in PEM";
}

function matches(leaf: X509Certificate, key: KeyObject): boolean {
  try {
    return leaf.checkPrivateKey(key);
  } catch {
    return false;
  }
}
