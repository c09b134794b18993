import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { putCredential, usableCredential } from "../../../../src/domain/use/use.js";
import { Redaction, secretsOf } from "../../../../src/ext/mcp/tools/redaction.js";
import { TokenSchema } from "../../../../src/gen/nexus/v1/token_pb.js";
import fc from "../../../property.js";

const secret = 'k"e/y&<0123>+ü$.*';

describe("Redaction", () => {
  it.each([
    ["as it is", secret],
    ["in JSON", JSON.stringify(secret).slice(1, -1)],
    ["in JSON with escaped slashes", JSON.stringify(secret).slice(1, -1).replaceAll("/", "\\/")],
    ["in a URL", encodeURIComponent(secret)],
    ["in a URL with small digits", encodeURIComponent(secret).toLowerCase()],
    ["in HTML", "k&quot;e/y&amp;&lt;0123&gt;+ü$.*"],
    ["in HTML with numbers", "k&#34;e/y&#38;&#x3C;0123&gt&#x2b;&#252;$.*"],
    ["in Go's JSON", 'k\\"e/y\\u0026\\u003c0123\\u003e+\\u00fc$.*'],
    ["in a URL in HTML in JSON", "k%22e/y\\u0026amp;%3C0123%3E%2B%C3%BC$.*"],
    ["as a URL with a letter more encoded than needed", secret.replace("k", "%6b").replace("1", "%2531")],
    ["in hexadecimal", Buffer.from(secret).toString("hex")],
    ["in base64", Buffer.from(secret).toString("base64").replace(/=+$/, "")],
    ["in base64url", Buffer.from(secret).toString("base64url")],
  ])("finds a secret %s", (_, form) => {
    expect(new Redaction([secret]).apply(`a ${form} b`)).toBe("a [redacted] b");
  });

  it("finds a secret in the base64 of a longer text, also where that is wrapped", () => {
    for (const before of ["", "a", "ab", "user:"]) {
      const base64 = Buffer.from(`${before}${secret}z`).toString("base64");
      for (const text of [base64, base64.replace(/.{10}/g, "$&\r\n"), base64.replace(/.{10}/g, "$&\\n")]) {
        const shown = new Redaction([secret]).apply(text).replace("[redacted]", "");
        expect(shown.length).toBeLessThanOrEqual(base64.length - (secret.length * 4) / 3 + 2);
      }
    }
  });

  it("looks at each place for itself, so that nothing before a secret hides its begin", () => {
    const redaction = new Redaction(["41-secret", "u0041-other"]);
    expect(redaction.apply("%41-secret %2541%2dsecret \\u0041-other")).toBe(
      "%[redacted] %25[redacted] \\[redacted]",
    );
  });

  it("finds a secret without the blanks that a header loses", () => {
    expect(new Redaction(["Bearer secret "]).apply("Bearer secret")).toBe("[redacted]");
  });

  it("takes the longer of two that begin together, and every one", () => {
    const redaction = new Redaction(["secret", "secret-more", "other"]);
    expect(redaction.apply("secret-more secret, other")).toBe("[redacted] [redacted], [redacted]");
    expect(redaction.apply("secretsecret")).toBe("[redacted][redacted]");
  });

  it("leaves what is too short to be told from chance, and everything where there is no secret", () => {
    expect(new Redaction(["abc", ""]).apply("abcabc")).toBe("abcabc");
    expect(new Redaction([]).apply("text", 2)).toBe("te");
  });

  it("shows no part of a secret, wherever the cut is", () => {
    const text = fc.string({ unit: fc.constantFrom("x", "y") });
    fc.assert(
      fc.property(text, text, text, fc.nat(60), (before, between, after, max) => {
        const whole = `${before}SECRET${between}SECRET${after}`;
        const shown = new Redaction(["SECRET"]).apply(whole, max);
        expect(shown.replaceAll("[redacted]", "")).not.toMatch(/[SECRT]/);
        const beyond = whole
          .slice(0, max)
          .replaceAll("SECRET", "[redacted]")
          .replace(/S(E(C(RE?)?)?)?$/, "[redacted]");
        expect(shown).toBe(beyond);
      }),
    );
  });
});

describe("secretsOf", () => {
  const of = async (kind: object, credentials: Record<string, string>) => {
    const token = usableCredential(create(TokenSchema, { strategy: { kind } as never, credentials }));
    const own = { method: "GET", url: "https://api.example/x", headers: { accept: "text/plain" } };
    return secretsOf(own, await putCredential(own, token, async () => undefined), token);
  };

  it("has the value, and the header that carries it", async () => {
    const oauth2 = {
      case: "oauth2",
      value: { headerName: "Authorization", valuePrefix: "Bearer ", credentialField: "access_token" },
    };
    expect(await of(oauth2, { access_token: "t-1" })).toEqual(["t-1", "Bearer t-1", "t-1"]);
  });

  it("has no user name beside a password, and one without a password", async () => {
    const basic = { case: "basicAuth", value: { usernameField: "username", passwordField: "password" } };
    const header = Buffer.from("ada:p").toString("base64");
    expect(await of(basic, { username: "ada", password: "p" })).toEqual(["p", `Basic ${header}`, header]);
    expect(await of(basic, { username: "sk_live", password: "" })).toContain("sk_live");
  });

  it("has no id of an AWS key, and the keys", async () => {
    const aws = { case: "awsSigv4", value: { service: "s3", region: "eu-central-1" } };
    const secrets = await of(aws, { access_key: "AKID", secret_key: "sk", session_token: "st" });
    expect(secrets).toEqual(expect.arrayContaining(["sk", "st"]));
    expect(secrets).not.toContain("AKID");
  });
});
