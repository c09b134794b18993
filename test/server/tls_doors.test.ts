import { X509Certificate } from "node:crypto";
import { test } from "vitest";
import { certificatePrincipal } from "../../src/server/client_certificate.js";
import { Authority } from "../fakes/certificates.js";

test("x", async () => {
  const ca = new Authority();
  const a = ca.issue({
    subject: [
      ["C", "DE"],
      ["O", "Ac+me"],
      [
        ["CN", 'ag,e"nt'],
        ["OU", "x"],
      ],
    ],
    uris: ["https://a,b", "spiffe://x/y"],
  });
  const c = new X509Certificate(a.cert);
  console.log(JSON.stringify(c.subject), c.subjectAltName, certificatePrincipal(c));
  const b = ca.issue({
    subject: [
      ["CN", "spiffe://x/y"],
      ["O", "Ac + me\n\\ "],
      [
        ["CN", 'ag,e"n + O=t'],
        ["OU", "x="],
      ],
    ],
    uris: ["https://a,b", 'x:"'],
    dns: ["a.b"],
    ips: ["127.0.0.1"],
  });
  const d = new X509Certificate(b.cert);
  console.log(
    JSON.stringify(d.subject),
    d.subjectAltName,
    certificatePrincipal(d),
    d.ca,
    new X509Certificate(ca.pem).ca,
  );
});
