import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { bits, boolean, der, integer, octets, oid, sequence, set, time, utf8 } from "./der.js";

/** A certificate and its key, in PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

/** An attribute of a name: `["CN", "agent"]`; attributes in an array of their own share one RDN. */
type Attribute = readonly [type: keyof typeof attributeTypes, value: string];
export type Name = readonly (Attribute | readonly Attribute[])[];

export interface IssueOptions {
  /** Default: `CN=nexusd`. */
  readonly subject?: Name;
  readonly dns?: readonly string[];
  readonly ips?: readonly string[];
  readonly uris?: readonly string[];
  readonly isCa?: boolean;
  /** Milliseconds from now. Default: a day ago. */
  readonly fromMs?: number;
  /** Milliseconds from now. Default: in a day. */
  readonly untilMs?: number;
}

const attributeTypes = { CN: "2.5.4.3", C: "2.5.4.6", O: "2.5.4.10", OU: "2.5.4.11" } as const;
const ecdsaWithSha256 = sequence(oid("1.2.840.10045.4.3.2"));
const dayMs = 86_400_000;
let serial = 1;

/** A certificate authority that lives in the test (RFC 5280). */
export class Authority {
  readonly #keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  readonly #name: Name;
  /** Its own certificate. */
  readonly pem: string;

  constructor(name = "Test CA") {
    this.#name = [["CN", name]];
    this.pem = this.#certify(this.#keys.publicKey, { subject: this.#name, isCa: true });
  }

  issue(options: IssueOptions = {}): Issued {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    return { cert: this.#certify(publicKey, options), key };
  }

  /** A certificate for a listener on this machine. */
  issueServer(options: IssueOptions = {}): Issued {
    return this.issue({ dns: ["localhost"], ips: ["127.0.0.1"], ...options });
  }

  #certify(publicKey: KeyObject, options: IssueOptions): string {
    const { subject = [["CN", "nexusd"]], fromMs = -dayMs, untilMs = dayMs } = options;
    const now = Date.now();
    const certificate = sequence(
      der(0xa0, integer(2)),
      integer(serial++),
      ecdsaWithSha256,
      nameOf(this.#name),
      sequence(time(now + fromMs), time(now + untilMs)),
      nameOf(subject),
      publicKey.export({ type: "spki", format: "der" }),
      der(0xa3, sequence(...extensionsOf(options))),
    );
    const signature = sign("sha256", certificate, this.#keys.privateKey);
    const base64 = sequence(certificate, ecdsaWithSha256, bits(signature)).toString("base64");
    return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}(?!$)/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
  }
}

function nameOf(name: Name): Buffer {
  const rdns = name.map((rdn) => (typeof rdn[0] === "string" ? [rdn as Attribute] : (rdn as Attribute[])));
  return sequence(
    ...rdns.map((rdn) =>
      set(...rdn.map(([type, value]) => sequence(oid(attributeTypes[type]), utf8(value)))),
    ),
  );
}

function extensionsOf({ isCa = false, dns = [], ips = [], uris = [] }: IssueOptions): Buffer[] {
  const names = [
    ...dns.map((text) => der(0x82, Buffer.from(text))),
    ...uris.map((text) => der(0x86, Buffer.from(text))),
    ...ips.map((text) => der(0x87, Buffer.from(text.split(".").map(Number)))),
  ];
  const constraints = sequence(
    oid("2.5.29.19"),
    boolean(true),
    octets(sequence(...(isCa ? [boolean(true)] : []))),
  );
  if (names.length === 0) return [constraints];
  return [constraints, sequence(oid("2.5.29.17"), octets(sequence(...names)))];
}
