import type { SecureContext } from "node:tls";
import {
  type CertificateAuthority,
  CertificateAuthorityUnusable,
  readCertificateAuthority,
} from "../model/clients/certificate_authority.js";
import type { ClientCertificate } from "../model/clients/client_certificate.js";
import { FailedPrecondition, NexusError, Unavailable } from "../model/errors.js";
import { BoundedMap } from "../runtime/bounded_map.js";
import { secureContextOf } from "./api_tls.js";
import { NamedFileRefused, NamedFiles } from "./named_files.js";
import { OutboundError, type OutboundFetch } from "./outbound_fetch.js";

/** Twenty certificates have 40 KiB at most. */
const maxBytes = 64 * 1024;
/** Of files in use at a time. */
const maxKept = 32;

/** Files with the certificates of authorities, which are trusted for the providers that name them and for no others. */
export class AuthorityFiles {
  readonly #files: NamedFiles;
  /** By the text of the file: it is parsed once. */
  readonly #parsed = new BoundedMap<string, CertificateAuthority>(maxKept);

  /** @param paths absolute, by name, of `NEXUS_API_CA_FILES` */
  constructor(paths: Readonly<Record<string, string>>) {
    const kind = "certificate authority file";
    this.#files = new NamedFiles({ paths, setting: "NEXUS_API_CA_FILES", kind, maxBytes });
  }

  get names(): readonly string[] {
    return this.#files.names;
  }

  /**
   * What the file holds now; undefined for the empty name. Neither path nor content is in an error.
   *
   * @throws FailedPrecondition PROVIDER_MISCONFIGURED where it cannot be used; Unavailable where it cannot be read now
   */
  async read(name: string): Promise<CertificateAuthority | undefined> {
    if (name === "") return undefined;
    try {
      const text = await this.#files.text(name);
      const known = this.#parsed.get(text);
      if (known) return known;
      const authority = readCertificateAuthority(text);
      this.#parsed.set(text, authority);
      return authority;
    } catch (error) {
      const isRefused = error instanceof NamedFileRefused;
      if (isRefused && error.isPassing) throw new Unavailable(error.message);
      if (isRefused) throw new FailedPrecondition("PROVIDER_MISCONFIGURED", error.message);
      if (!(error instanceof CertificateAuthorityUnusable)) throw error;
      const words = `the certificate authority file ${name} ${error.message}`;
      throw new FailedPrecondition("PROVIDER_MISCONFIGURED", words);
    }
  }

  /** Of connections to the API of a profile; undefined where they differ from no other. @throws as `read` */
  async secureContext(
    apiCaFile: string,
    clientCertificate: ClientCertificate | undefined,
  ): Promise<SecureContext | undefined> {
    if (apiCaFile === "" && clientCertificate === undefined) return undefined;
    return secureContextOf({ clientCertificate, authority: await this.read(apiCaFile) });
  }
}

/** The same way out, for the requests of one profile: it trusts the authorities that the profile names, too. */
export function trusting(
  outbound: OutboundFetch,
  files: Pick<AuthorityFiles, "read"> | undefined,
  apiCaFile: string,
): OutboundFetch {
  if (apiCaFile === "") return outbound;
  return async (url, request) => {
    let authority: CertificateAuthority | undefined;
    try {
      authority = await (files ?? new AuthorityFiles({})).read(apiCaFile);
    } catch (error) {
      if (!(error instanceof NexusError)) throw error;
      const { hostname } = new URL(url);
      const reason = error instanceof Unavailable ? "authority_unread" : "authority_file";
      const none = [undefined, undefined, undefined] as const;
      throw new OutboundError(reason, "before_send", hostname, ...none, error.message);
    }
    return await outbound(url, { ...request, authority });
  };
}
