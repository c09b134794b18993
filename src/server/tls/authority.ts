import { createPrivateKey, X509Certificate as NodeCertificate, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import { AsnConvert } from "@peculiar/asn1-schema";
import { GeneralName, GeneralSubtree, GeneralSubtrees, NameConstraints } from "@peculiar/asn1-x509";
import type { X509Certificate } from "@peculiar/x509";
import { BoundedMap } from "../../runtime/bounded_map.js";
import type { WallClock } from "../../runtime/clock.js";

// Its decorators need the polyfill when it is loaded, and a bundle in parts keeps the order of static imports within a part alone.
await import("reflect-metadata");
const x509 = await import("@peculiar/x509");

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 24 * 60 * 60_000;
/** Clocks may differ, as in a virtual machine that was suspended. */
const skewMs = 60 * 60_000;
const leafDays = 2;
/** One that was forgotten is made again in a millisecond. */
const maxLeaves = 1_000;
const nameConstraints = "2.5.29.30";

/** What a server presents, as PEM. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface Leaf extends ServerCertificate {
  readonly renewAtMs: number;
}

/**
 * A certificate authority, which makes a certificate for each host that is requested. Its own may be good for some hosts alone (RFC 5280
 * section 4.2.1.10): so a client that trusts it trusts nobody new for other hosts.
 */
export class Authority {
  readonly #leaves = new BoundedMap<string, Promise<Leaf>>(maxLeaves);

  private constructor(
    private readonly certificate: X509Certificate,
    private readonly key: webcrypto.CryptoKey,
    private readonly clock: WallClock,
  ) {}

  /**
   * @param hosts what its certificate is good for; undefined for every host, as profiles change in the life of a daemon
   * @param name its common name
   * @param days how long its certificate is good; clients of an authority that is used longer get errors of TLS
   */
  static async create(
    hosts: readonly string[] | undefined,
    clock: WallClock,
    { name, days }: { readonly name: string; readonly days: number },
  ): Promise<Authority> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned(
      {
        ...lasting(days, clock.nowMs()),
        name: `CN=${name}`,
        keys,
        extensions: [
          new x509.BasicConstraintsExtension(true, 0, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
          ...(hosts
            ? [new x509.Extension(nameConstraints, true, AsnConvert.serialize(constraintsTo(hosts)))]
            : []),
        ],
      },
      webcrypto,
    );
    return new Authority(certificate, keys.privateKey, clock);
  }

  /** @param key P-256, PEM of PKCS #8 @throws Error when they are not of one pair */
  static async of(cert: string, key: string, clock: WallClock): Promise<Authority> {
    const certificate = new x509.X509Certificate(cert);
    const privateKey = createPrivateKey(key);
    if (!new NodeCertificate(cert).checkPrivateKey(privateKey))
      throw new Error("the key is not the certificate's");
    if (certificate.notAfter.getTime() <= clock.nowMs()) throw new Error("the certificate has expired");
    const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
    const own = await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]);
    return new Authority(certificate, own, clock);
  }

  /** PEM of PKCS #8. */
  async exportKey(): Promise<string> {
    return await pemOf(this.key);
  }

  /** PEM. */
  get pem(): string {
    return `${this.certificate.toString("pem")}\n`;
  }

  /** What a server of `host` presents. @param host canonical, of the session */
  async leafFor(host: string): Promise<Leaf> {
    const known = await this.#leaves.get(host);
    if (known && this.clock.nowMs() < known.renewAtMs) return known;
    const made = this.#newLeaf(host);
    void this.#leaves.set(host, made);
    return await made;
  }

  async #newLeaf(host: string): Promise<Leaf> {
    const nowMs = this.clock.nowMs();
    const { certificate, key } = this;
    const certificateRequest = { name: "nexusd", hosts: [host], days: leafDays, nowMs };
    const leaf = await serverCertificate(certificateRequest, { certificate, key });
    return { ...leaf, cert: `${leaf.cert}${this.pem}`, renewAtMs: nowMs + (leafDays * dayMs) / 2 };
  }
}

export interface CertificateRequest {
  /** The common name. */
  readonly name: string;
  readonly hosts: readonly string[];
  readonly days: number;
  readonly nowMs: number;
}

/** For a server of TLS. @param issuer undefined for one that is signed by itself */
export async function serverCertificate(
  { name, hosts, days, nowMs }: CertificateRequest,
  issuer?: { readonly certificate: X509Certificate; readonly key: webcrypto.CryptoKey },
): Promise<ServerCertificate> {
  const keys = await newKeys();
  const names = hosts.map((value) => ({
    type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const),
    value,
  }));
  const made = await x509.X509CertificateGenerator.create(
    {
      ...lasting(days, nowMs),
      subject: `CN=${name}`,
      issuer: issuer?.certificate.subject ?? `CN=${name}`,
      publicKey: keys.publicKey,
      signingKey: issuer?.key ?? keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(names, issuer !== undefined),
        ...(issuer
          ? [await x509.AuthorityKeyIdentifierExtension.create(issuer.certificate, false, webcrypto)]
          : []),
      ],
    },
    webcrypto,
  );
  return { cert: `${made.toString("pem")}\n`, key: await pemOf(keys.privateKey) };
}

function lasting(days: number, nowMs: number) {
  return {
    serialNumber: serial(),
    notBefore: new Date(nowMs - skewMs),
    notAfter: new Date(nowMs + days * dayMs),
    signingAlgorithm: algorithm,
  };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}

/** RFC 5280 section 4.1.2.2: positive. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString("hex");
}

/** The hosts, and no address where there is none among them: a certificate for one would else be good anywhere. */
function constraintsTo(hosts: readonly string[]): NameConstraints {
  const addresses = hosts.filter((host) => isIP(host) !== 0);
  const permitted = hosts.map((host) =>
    isIP(host) === 0
      ? new GeneralName({ dNSName: host })
      : new GeneralName({ iPAddress: `${host}/${isIP(host) === 4 ? 32 : 128}` }),
  );
  const everyAddress = ["0.0.0.0/0", "::/0"].map((block) => new GeneralName({ iPAddress: block }));
  return new NameConstraints({
    permittedSubtrees: subtreesOf(permitted),
    ...(addresses.length === 0 && { excludedSubtrees: subtreesOf(everyAddress) }),
  });
}

function subtreesOf(names: readonly GeneralName[]): GeneralSubtrees {
  return new GeneralSubtrees(names.map((base) => new GeneralSubtree({ base })));
}
