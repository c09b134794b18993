import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { apiCertificateOf, certificateViolation } from "../../../src/model/clients/api_certificate.js";
import { Authority } from "../../fakes/certificates.js";

const authority = new Authority();
const [own, other] = [authority.issue(), authority.issue()];
const fields = (tls_client_certificate?: string, tls_client_key?: string) => ({
  ...(tls_client_certificate !== undefined && { tls_client_certificate }),
  ...(tls_client_key !== undefined && { tls_client_key }),
});
const onOneLine = (pem: string) => pem.replaceAll("\n", " ");

describe("a certificate and its key", () => {
  it.each([
    ["that belong together", own.cert, own.key],
    ["with the chain behind the certificate", own.cert + authority.pem, own.key],
    ["that a form has put on one line", onOneLine(own.cert), onOneLine(own.key)],
    ["of which there are none", undefined, undefined],
    ["that were left empty", "", ""],
  ])("pass: %s", (_, cert, key) => {
    expect(certificateViolation(fields(cert, key))).toBeUndefined();
  });

  it.each([
    ["no key", own.cert, undefined, "tls_client_key", "is required with tls_client_certificate"],
    ["no certificate", undefined, own.key, "tls_client_certificate", "is required with tls_client_key"],
    [
      "the key of another",
      own.cert,
      other.key,
      "tls_client_certificate",
      "is of another key than tls_client_key",
    ],
    [
      "the authority before it",
      authority.pem + own.cert,
      own.key,
      "tls_client_certificate",
      "is of another key than tls_client_key",
    ],
    ["no PEM", "MIIB", own.key, "tls_client_certificate", "is no certificate as PEM"],
    [
      "the key in both",
      own.cert + own.key,
      own.key,
      "tls_client_certificate",
      "holds a private key, which everybody could read here: give it as tls_client_key",
    ],
    ["no key as PEM", own.cert, "secret", "tls_client_key", "is no private key as PEM"],
  ])("are refused: %s", (_, cert, key, field, description) => {
    expect(certificateViolation(fields(cert, key))).toEqual({ field, description });
  });

  it("are one with those of the same credential alone, and print no key", () => {
    const [first, same, second] = [own, own, other].map(({ cert, key }) =>
      apiCertificateOf(fields(cert, key)),
    );
    expect(first?.id).toBe(same?.id);
    expect(first?.id).not.toBe(second?.id);
    expect(apiCertificateOf({ api_key: "k" })).toBeUndefined();
    const secret = own.key.split("\n")[1] ?? "";
    expect(inspect(first, { depth: 5 }) + JSON.stringify(first)).not.toContain(secret);
  });
});
