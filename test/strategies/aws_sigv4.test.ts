import { describe, expect, it } from "vitest";
import { type ApplyOptions, applyStrategy } from "../../src/strategies/apply_strategy.js";
import suite from "./aws_sigv4_suite.json" with { type: "json" };

const strategy = { kind: "aws_sigv4", service: suite.service, region: suite.region } as const;
const credentials = { access_key: suite.accessKey, secret_key: suite.secretKey };
const clock = { nowMs: () => Date.parse(suite.date) };
const host = "https://example.amazonaws.com";

describe("the AWS Signature Version 4 test suite", () => {
  it("is whole", () => {
    expect(suite.cases).toHaveLength(34);
  });

  it.each(suite.cases.map((each) => [each.name, each] as const))("%s", async (_name, each) => {
    const { "X-Amz-Date": date, ...headers } = each.headers as Record<string, string>;
    const { sessionToken, body } = each as { sessionToken?: string; body?: string };
    const given = { method: each.method, url: `${host}${each.target}`, headers, body };
    const session = sessionToken === undefined ? {} : { session_token: sessionToken };
    const signed = await applyStrategy(
      given,
      strategy,
      { ...credentials, ...session },
      // The suite is of a time when the hash of the body was not sent.
      { clock, bodyHash: "signed" },
    );
    expect(signed.headers["authorization"]).toBe(each.authorization);
    expect(signed.headers["x-amz-date"]).toBe(date);
    expect(signed.headers["x-amz-security-token"]).toBe(sessionToken);
    expect(signed.url).toBe(given.url);
    expect(signed.body).toBe(body);
  });
});

describe("signing for AWS", () => {
  const sign = (given: object, options: ApplyOptions = {}, service = "service") =>
    applyStrategy(
      { method: "GET", url: `${host}/a%20b//c?x=1`, headers: {}, ...given },
      { ...strategy, service },
      credentials,
      { clock, ...options },
    );
  const hash = "x-amz-content-sha256";

  it("sends the hash of the body unless told otherwise", async () => {
    const ofText = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    expect((await sign({ body: "hello" })).headers).toMatchObject({ [hash]: ofText });
    expect((await sign({ body: new TextEncoder().encode("hello") })).headers).toMatchObject({
      [hash]: ofText,
    });
    expect((await sign({ body: "hello" }, { bodyHash: "unsigned" })).headers[hash]).toBe("UNSIGNED-PAYLOAD");
    expect((await sign({ body: "hello" }, { bodyHash: "signed" })).headers[hash]).toBeUndefined();
    expect((await sign({ body: "hello", headers: { [hash]: "of another body" } })).headers[hash]).toBe(
      ofText,
    );
  });

  /** "Example: GET Object" of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
  it("signs a GET of S3 as its documentation does", async () => {
    const { headers } = await applyStrategy(
      {
        method: "GET",
        url: "https://examplebucket.s3.amazonaws.com/test.txt",
        headers: { Range: "bytes=0-9" },
      },
      { type: "aws_sigv4", config: { service: "s3" } },
      { access_key: "AKIAIOSFODNN7EXAMPLE", secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" },
      { clock: { nowMs: () => Date.parse("2013-05-24T00:00:00Z") } },
    );
    expect(headers["authorization"]).toContain(
      "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    );
    expect(headers).toMatchObject({ Range: "bytes=0-9", "x-amz-date": "20130524T000000Z" });
    expect(headers).not.toHaveProperty("host");
  });

  it("leaves the path of S3 as it is sent", async () => {
    const one = await sign({}, {}, "s3");
    const other = await sign({ url: `${host}/a%20b/c?x=1` }, {}, "s3");
    expect(one.headers["authorization"]).not.toBe(other.headers["authorization"]);
    const normal = await sign({});
    const same = await sign({ url: `${host}/a%20b/c?x=1` });
    expect(normal.headers["authorization"]).toBe(same.headers["authorization"]);
  });

  it("replaces what was signed before", async () => {
    const again = await sign({
      headers: { Authorization: "old", "X-Amz-Date": "20200101T000000Z", Date: "x", Accept: "*/*" },
    });
    expect(Object.keys(again.headers).sort()).toEqual(
      ["Accept", "authorization", "x-amz-content-sha256", "x-amz-date"].sort(),
    );
  });

  it.each([
    ["no key", { secret_key: "s" }, "access_key", "missing_credential"],
    ["no secret", { access_key: "a" }, "secret_key", "missing_credential"],
    ["a line break", { access_key: "a\nb", secret_key: "s" }, "access_key", "invalid_credential"],
    [
      "a line break in the session token",
      { ...credentials, session_token: "a\r\nb" },
      "session_token",
      "invalid_credential",
    ],
  ])("refuses %s", async (_name, given, field, code) => {
    const applied = applyStrategy({ method: "GET", url: host, headers: {} }, strategy, given, { clock });
    await expect(applied).rejects.toMatchObject({ name: "StrategyError", field, code });
  });

  it.each([["no URL"], ["https://example.com/?a=%zz"]])("refuses %s", async (url) => {
    await expect(sign({ url })).rejects.toMatchObject({ code: "invalid_request", field: "url" });
  });
});
