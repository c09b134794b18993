import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it, test } from "vitest";
import {
  certificateEnded,
  readClientCertificate,
  refuseForeignKey,
} from "../../../src/model/clients/client_certificate.js";
import { Secret } from "../../../src/runtime/secret.js";
import { Authority } from "../../fakes/certificates.js";

const authority = new Authority();
const issued = authority.issue({ subject: [["CN", "agent"]] });
const other = authority.issue();

test.each([
  ["alone", issued.cert],
  ["with its authority", issued.cert + authority.pem],
  ["with the words of openssl around it", `subject=CN = agent\n\n${issued.cert}\n`],
  ["with the line ends of Windows", issued.cert.replaceAll("\n", "\r\n")],
])("a certificate is read %s", (_, chain) => {
  expect(readClientCertificate(chain).subject).toBe("CN=agent");
});

test.each([
  ["nothing", " ", /as PEM/],
  ["its key beside it", issued.cert + issued.key, /private key/],
  ["a public key", issued.cert.replaceAll("CERTIFICATE", "PUBLIC KEY"), /as PEM/],
  ["half of one", issued.cert.slice(0, 300), /as PEM/],
  ["another byte in it", issued.cert.replace("MII", "AII"), /as PEM/],
  [
    "a second that is none",
    `${issued.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    /as PEM/,
  ],
  ["eleven of them", issued.cert.repeat(11), /more than 10/],
  ["a control character", `\u001b[2J${issued.cert}`, /as PEM/],
])("%s is refused, and not repeated", (_, chain, why) => {
  expect(() => readClientCertificate(chain)).toThrow(why);
});

describe("its key", () => {
  it("must be the one of the first certificate", () => {
    expect(() => refuseForeignKey({ chain: issued.cert, privateKey: new Secret(issued.key) })).not.toThrow();
    expect(() => refuseForeignKey({ chain: issued.cert, privateKey: new Secret(other.key) })).toThrow(
      /another key/,
    );
    const swapped = { chain: other.cert + issued.cert, privateKey: new Secret(issued.key) };
    expect(() => refuseForeignKey(swapped)).toThrow(/another key/);
  });

  it("may be a JWK", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(publicKey.type).toBe("public");
    const jwk = new Secret(JSON.stringify(privateKey.export({ format: "jwk" })));
    expect(() => refuseForeignKey({ chain: issued.cert, privateKey: jwk })).toThrow(/another key/);
  });
});

test.each([
  ["now", {}, undefined],
  ["a minute after its end", { untilMs: -60_000 }, /^ended at \d{4}-/],
  ["a minute before its beginning", { fromMs: 60_000 }, /^is not valid before \d{4}-/],
])("a certificate %s", (_, times, why) => {
  const said = certificateEnded(readClientCertificate(authority.issue(times).cert), Date.now());
  if (why) expect(said).toMatch(why);
  else expect(said).toBeUndefined();
});
