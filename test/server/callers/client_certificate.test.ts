import { X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import { alternativeNames, certificatePrincipal } from "../../../src/server/callers/client_certificate.js";
import { Authority, type IssueOptions, type Name } from "../../fakes/certificates.js";

const authority = new Authority();

function principal(options: IssueOptions): string {
  const found = certificatePrincipal(new X509Certificate(authority.issue(options).cert));
  return typeof found === "string" ? `nobody: ${found}` : found.name;
}

describe("a SPIFFE ID", () => {
  test.each([
    "spiffe://prod.example",
    "spiffe://prod.example/ns/agents/sa/mailer",
    "spiffe://a_b-c.1/A.b-C_2/...",
    `spiffe://${"x".repeat(255)}/a`,
  ])("%s names the caller, whatever the subject says", (uri) => {
    expect(principal({ uris: [uri], subject: [["CN", "admin"]] })).toBe(`cert:${uri}`);
    expect(principal({ uris: [uri], subject: [], dns: ["a.example"] })).toBe(`cert:${uri}`);
  });

  test.each([
    "spiffe://",
    "spiffe:///path",
    "spiffe://prod.example/",
    "spiffe://prod.example//a",
    "spiffe://prod.example/a/",
    "spiffe://prod.example/./a",
    "spiffe://prod.example/../a",
    "spiffe://Prod.example/a",
    "spiffe://prod.example:443/a",
    "spiffe://user@prod.example/a",
    "spiffe://prod.example/a?b",
    "spiffe://prod.example/a#b",
    "spiffe://prod.example/a%2fb",
    "spiffe://prod.example/a b",
    "spiffe://prod.example/a,b",
    "SPIFFE://prod.example/a",
    `spiffe://${"x".repeat(256)}/a`,
    `spiffe://prod.example/${"x".repeat(2048)}`,
  ])("%s is malformed, and the subject does not stand in for it", (uri) => {
    expect(principal({ uris: [uri], subject: [["CN", "agent"]] })).toBe("nobody: its SPIFFE ID is malformed");
  });

  test("beside another URI names nobody", () => {
    for (const other of ["spiffe://x/b", "https://x.example"]) {
      expect(principal({ uris: ["spiffe://x/a", other] })).toContain("beside other URIs");
      expect(principal({ uris: [other, "spiffe://x/a"] })).toContain("beside other URIs");
    }
  });

  test("is what a URI says, not what another kind of name does", () => {
    expect(principal({ dns: ["x, URI:spiffe://x/a"], subject: [["CN", "agent"]] })).toBe("cert:CN=agent");
    expect(principal({ uris: ["urn:x, URI:spiffe://x/a"], subject: [["CN", "agent"]] })).toBe(
      "cert:CN=agent",
    );
    expect(principal({ subject: [["CN", "spiffe://x/a"]] })).toBe("cert:CN=spiffe://x/a");
  });
});

describe("a subject", () => {
  test.each([
    [[["CN", "agent"]], "CN=agent"],
    [
      [
        ["C", "DE"],
        ["O", "Acme"],
        ["CN", "agent"],
      ],
      "CN=agent,O=Acme,C=DE",
    ],
    [
      [
        ["O", "Acme"],
        [
          ["CN", "a"],
          ["OU", "b"],
        ],
      ],
      "CN=a+OU=b,O=Acme",
    ],
    [[["CN", "agent,O=Acme"]], "CN=agent\\,O=Acme"],
    [[["CN", "a + OU=b"]], "CN=a \\+ OU=b"],
    [[["CN", "a\nO=Acme"]], "CN=a\\0AO=Acme"],
    [[["CN", 'a"b\\c<d>;']], 'CN=a\\"b\\\\c\\<d\\>\\;'],
    [[["CN", "#a "]], "CN=\\#a\\ "],
    [[["CN", "Zoë"]], "CN=Zoë"],
  ] as [Name, string][])("%j reads %s", (subject, text) => {
    expect(principal({ subject })).toBe(`cert:${text}`);
  });

  test("is what a certificate with other alternative names goes by", () => {
    expect(
      principal({ subject: [["CN", "agent"]], dns: ["agent.example"], uris: ["https://x.example"] }),
    ).toBe("cert:CN=agent");
  });

  test("that is missing or endless names nobody", () => {
    expect(principal({ subject: [] })).toContain("neither a SPIFFE ID nor a subject");
    expect(principal({ subject: [["CN", "x".repeat(1_100)]] })).toContain("longer than 1024 bytes");
  });
});

test("the certificate of a CA names nobody", () => {
  expect(principal({ isCa: true, uris: ["spiffe://x/a"] })).toContain("certificate of a CA");
});

test("alternative names that are not written as Node writes them are not guessed at", () => {
  expect(alternativeNames('DNS:a, URI:"b\\u002cc", IP Address:127.0.0.1')).toEqual([
    { type: "DNS", value: "a" },
    { type: "URI", value: "b,c" },
    { type: "IP Address", value: "127.0.0.1" },
  ]);
  expect(alternativeNames(undefined)).toEqual([]);
  for (const text of ["a", "URI:a,URI:b", 'URI:"a', "URI:a, ", 'URI:a"b']) {
    expect(alternativeNames(text)).toBeUndefined();
  }
});
