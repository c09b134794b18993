import { createSecureContext, type SecureContext } from "node:tls";
import type { CertificateAuthority } from "../model/clients/certificate_authority.js";
import type { ClientCertificate } from "../model/clients/client_certificate.js";

/** How TLS with one API differs from that with others. */
export interface ApiTls {
  /** Presented; its key as PEM. */
  readonly clientCertificate?: ClientCertificate | undefined;
  /** Trusted, beside the authorities of the system. */
  readonly authority?: CertificateAuthority | undefined;
}

/** Without a certificate of this side. Reading the roots of the system takes longer than a handshake. */
const contexts = new WeakMap<CertificateAuthority, SecureContext>();

/** Trusts what other connections of this process do, and the authority. */
export function secureContextOf({ clientCertificate, authority }: ApiTls): SecureContext {
  const known = authority && !clientCertificate ? contexts.get(authority) : undefined;
  if (known) return known;
  const { chain: cert, privateKey } = clientCertificate ?? {};
  const context = createSecureContext({
    minVersion: "TLSv1.2",
    ...(cert !== undefined && { cert, key: privateKey?.reveal() }),
  });
  if (!authority) return context;
  // Adds to the roots, which the option `ca` would replace; this context gets a copy of them.
  context.context.addCACert(authority.certificates);
  if (!clientCertificate) contexts.set(authority, context);
  return context;
}
