import { type KeyObject, X509Certificate } from "node:crypto";
import { Secret } from "../../runtime/secret.js";
import { readPrivateKey } from "../credentials/private_key.js";

/** What a client proves itself with in TLS (RFC 8705 section 2). */
export interface ClientCertificate {
  /** PEM: the client's own, and behind it those up to its authority. */
  readonly chain: string;
  /** As `readPrivateKey` takes it. */
  readonly privateKey: Secret;
}

/** Why a text is no certificate of a client: the end of a sentence. It says nothing of the text. */
export class ClientCertificateUnusable extends Error {
  constructor(why: string) {
    super(why);
    this.name = "ClientCertificateUnusable";
  }
}

/** The longest that a public authority issues has four. */
const maxCertificates = 10;

/**
 * The first of a chain, the client's own.
 *
 * @param keyField where its key belongs
 * @throws ClientCertificateUnusable
 */
export function readClientCertificate(chain: string, keyField = "client_secret"): X509Certificate {
  if (chain.includes("PRIVATE KEY"))
    throw new ClientCertificateUnusable(
      `holds a private key, which everybody could read here: give it as ${keyField}`,
    );
  if (/[^\x20-\x7e\r\n\t]/.test(chain)) throw new ClientCertificateUnusable("is no certificate as PEM");
  const [first] = readCertificates(chain, maxCertificates);
  if (first === undefined) throw new ClientCertificateUnusable("is no certificate as PEM");
  return first;
}

/** At least one, in their order. @throws ClientCertificateUnusable for any text that is none, and for more than `max` */
export function readCertificates(text: string, max: number): readonly X509Certificate[] {
  const blocks = text.match(/-----BEGIN [^-]{1,64}-----[^-]+-----END [^-]{1,64}-----/g) ?? [];
  // One that was cut off is not passed over in silence.
  const begun = text.split("-----BEGIN ").length - 1;
  if (begun === 0 || begun !== blocks.length) throw new ClientCertificateUnusable("is no certificate as PEM");
  if (blocks.length > max)
    throw new ClientCertificateUnusable(`holds ${blocks.length} certificates, more than ${max}`);
  return blocks.map(certificateOf);
}

function certificateOf(block: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch {
    throw new ClientCertificateUnusable("is no certificate as PEM");
  }
}

/** @throws ClientCertificateUnusable, PrivateKeyUnusable */
export function refuseForeignKey({ chain, privateKey }: ClientCertificate): void {
  const { key } = readPrivateKey(privateKey.reveal());
  if (!readClientCertificate(chain).checkPrivateKey(key))
    throw new ClientCertificateUnusable("is of another key than client_secret");
}

/** Why it cannot be used now, as the end of a sentence; undefined when it can. */
export function certificateEnded(certificate: X509Certificate, nowMs: number): string | undefined {
  const [fromMs, toMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (nowMs >= toMs) return `ended at ${new Date(toMs).toISOString()}`;
  return nowMs < fromMs ? `is not valid before ${new Date(fromMs).toISOString()}` : undefined;
}

/** PKCS #8 as PEM: what TLS takes, whatever form the key was given in. */
export function pemOf(privateKey: Secret): Secret {
  const { key }: { readonly key: KeyObject } = readPrivateKey(privateKey.reveal());
  return new Secret(key.export({ type: "pkcs8", format: "pem" }) as string);
}
