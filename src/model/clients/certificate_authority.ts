import { hash } from "node:crypto";
import { ClientCertificateUnusable, readCertificates } from "./client_certificate.js";

/** Certificates of authorities that are trusted beside those of the system. */
export interface CertificateAuthority {
  /** PEM. */
  readonly certificates: string;
  /** Of these certificates, and no others. */
  readonly id: string;
}

/** A company has few. Whoever names the bundle of a system wants another setting. */
const maxAuthorities = 20;

/** Why a text names no authority: the end of a sentence. It says nothing of the text. */
export class CertificateAuthorityUnusable extends Error {
  constructor(why: string) {
    super(why);
    this.name = "CertificateAuthorityUnusable";
  }
}

/** @throws CertificateAuthorityUnusable */
export function readCertificateAuthority(text: string): CertificateAuthority {
  if (text.includes("PRIVATE KEY")) throw new CertificateAuthorityUnusable("holds a private key");
  let certificates: ReturnType<typeof readCertificates>;
  try {
    certificates = readCertificates(text, maxAuthorities);
  } catch (error) {
    if (error instanceof ClientCertificateUnusable) throw new CertificateAuthorityUnusable(error.message);
    throw error;
  }
  if (!certificates.every((one) => one.ca || one.checkIssued(one)))
    throw new CertificateAuthorityUnusable(
      "holds a certificate that is neither a CA certificate nor self-signed",
    );
  const pem = certificates.map(String).join("");
  return { certificates: pem, id: hash("sha256", pem, "hex") };
}
