import { describe, expect, test } from "vitest";
import { normaliseTokenResponse, toTokenSet } from "../../src/oauth/token_response.js";

const good = {
  access_token: "AT",
  token_type: "Bearer",
  expires_in: 3600,
  refresh_token: "RT",
  scope: "a b",
};

/** What comes of a good response with some members replaced; undefined removes one. */
function withMembers(members: Record<string, unknown>) {
  return normaliseTokenResponse(200, JSON.stringify({ ...good, ...members }));
}

describe("members", () => {
  test.each<[name: string, sent: unknown, kept: unknown]>([
    ["expires_in", 3600, 3600],
    ["expires_in", "3600", 3600],
    ["expires_in", " 3600.0 ", 3600],
    ["expires_in", 3599.9, 3599],
    ["expires_in", undefined, undefined],
    ["expires_in", null, undefined],
    ["expires_in", "", undefined],
    ["expires_in", 0, undefined],
    ["expires_in", "0", undefined],
    ["expires_in", 0.5, undefined],
    ["expires_in", -1, undefined],
    ["expires_in", "-1", undefined],
    ["expires_in", "never", undefined],
    ["expires_in", "3600s", undefined],
    ["expires_in", [3600], undefined],
    ["expires_in", { valueOf: 1 }, undefined],
    ["expires_in", true, undefined],
    ["expires_in", 1e300, 315_360_000],
    ["expires_in", "9".repeat(400), 315_360_000],
    ["refresh_token", "RT2", "RT2"],
    ["refresh_token", undefined, undefined],
    ["refresh_token", null, undefined],
    ["refresh_token", "", undefined],
    ["refresh_token", 7, undefined],
    ["refresh_token", false, undefined],
    ["id_token", "a.b.c", "a.b.c"],
    ["id_token", null, undefined],
    ["id_token", "", undefined],
    ["id_token", {}, undefined],
    ["scope", "a", "a"],
    ["scope", " a  b ", "a b"],
    ["scope", ["a", "b"], "a b"],
    ["scope", ["a b", "c", 7, null], "a b c"],
    ["scope", [], undefined],
    ["scope", "repo,gist", "repo gist"],
    ["scope", "repo, gist", "repo gist"],
    ["scope", "", undefined],
    ["scope", null, undefined],
    ["scope", {}, undefined],
    ["token_type", "bearer", "Bearer"],
    ["token_type", "BEARER", "Bearer"],
    ["token_type", " bearer ", "Bearer"],
    ["token_type", "User Access Token", "Bearer"],
    ["token_type", undefined, "Bearer"],
    ["token_type", null, "Bearer"],
    ["token_type", "", "Bearer"],
    ["token_type", "BearerToken", "Bearer"],
    ["token_type", "bot", "Bearer"],
    ["token_type", 7, "Bearer"],
    ["token_type", "dpop", "DPoP"],
    ["error", null, undefined],
    ["error", "", undefined],
    ["error", false, undefined],
    ["ok", true, undefined],
    ["other", "x", undefined],
  ])("%s: %j becomes %j", (name, sent, kept) => {
    const { status, body } = withMembers({ [name]: sent });
    expect(status).toBe(200);
    expect((body as Record<string, unknown>)[name]).toEqual(kept);
    expect(body.access_token).toBe("AT");
  });

  test.each<[members: Record<string, unknown>, seconds: number | undefined]>([
    [{ refresh_token_expires_in: 600 }, 600],
    [{ refresh_token_timeout: "600" }, 600],
    [{ authorization_expires_in: 600.5 }, 600],
    [{ refresh_expires_in: 600 }, 600],
    [{ refresh_expires_in: 0 }, undefined],
    [{ x_refresh_token_expires_in: 600 }, 600],
    [{ refresh_token_expires_in: 900, authorization_expires_in: 600 }, 600],
    [{ refresh_token_expires_in: "never" }, undefined],
  ])("the end of the refresh token in %j", (members, seconds) => {
    expect(withMembers(members).body.refresh_token_expires_in).toBe(seconds);
  });

  test.each([undefined, null, "", 7, {}, ["AT"]])("no access token in %j", (access_token) => {
    expect(withMembers({ access_token, refresh_token: "" })).toEqual({ status: 200, body: {} });
    const { access_token: _, ...rest } = good;
    expect(withMembers({ access_token })).toEqual({
      status: 200,
      body: rest,
      accessTokenViolation: "the response has a refresh token and no access token",
    });
  });
});

describe("bodies", () => {
  const form = "access_token=AT&token_type=bearer&expires_in=3600&refresh_token=RT&scope=a%20b";
  test.each<[name: string, status: number, text: string]>([
    ["JSON", 200, JSON.stringify(good)],
    ["JSON, created", 201, JSON.stringify(good)],
    ["JSON after a byte order mark", 200, `\uFEFF${JSON.stringify(good)}`],
    ["JSON with white space around", 200, `\r\n ${JSON.stringify(good)} \n`],
    ["JSON that says expires_in twice", 200, JSON.stringify(good).replace("{", '{"expires_in":1,')],
    ["form", 200, form],
    ["form, accepted, with a line end", 202, `${form}\n`],
    ["form that repeats itself", 200, `${form}&access_token=AT&other=1&other=2`],
  ])("%s", (_name, status, text) => {
    expect(normaliseTokenResponse(status, text)).toEqual({ status: 200, body: good });
  });

  test.each([
    "",
    " ",
    "null",
    "7",
    '"access_token=AT"',
    "[]",
    JSON.stringify([good]),
    '{"access_token":"AT"',
    "OK",
    "access_token",
    "access_token=AT&access_token=BT",
    "access_token=AT&refresh_token=1&refresh_token=2",
  ])("nothing to be had from %j", (text) => {
    expect(normaliseTokenResponse(200, text)).toEqual({ status: 200, body: {} });
  });

  test("a page instead of an answer is the error of a gateway", () => {
    const page = "\n<!doctype html><a href='?access_token=AT'>";
    expect(normaliseTokenResponse(200, page)).toEqual({ status: 502, body: {} });
    expect(normaliseTokenResponse(403, page)).toEqual({ status: 403, body: {} });
  });

  test("names of Object.prototype are names like any other", () => {
    const text =
      '{"__proto__":{"access_token":"EVIL"},"constructor":{"prototype":{"error":"x"}},"toString":1}';
    expect(normaliseTokenResponse(200, text)).toEqual({ status: 200, body: {} });
    expect(normaliseTokenResponse(200, "__proto__=x&access_token=AT").body).toEqual({
      access_token: "AT",
      token_type: "Bearer",
    });
    expect(({} as { access_token?: string }).access_token).toBeUndefined();
  });
});

describe("errors", () => {
  test.each<[status: number, text: string, normalised: unknown]>([
    [
      400,
      '{"error":"invalid_grant","error_description":"d"}',
      { status: 400, body: { error: "invalid_grant", error_description: "d" } },
    ],
    [401, '{"error":"invalid_client"}', { status: 401, body: { error: "invalid_client" } }],
    [
      400,
      "error=invalid_grant&error_description=d",
      { status: 400, body: { error: "invalid_grant", error_description: "d" } },
    ],
    [400, "", { status: 400, body: {} }],
    [400, '{"error":{"code":190}}', { status: 400, body: {} }],
    [400, JSON.stringify(good), { status: 400, body: {} }],
    [503, "<html>", { status: 503, body: {} }],
    // GitHub and Slack.
    [200, '{"error":"bad_refresh_token"}', { status: 400, body: { error: "bad_refresh_token" } }],
    [
      200,
      "error=bad_verification_code&error_uri=u",
      { status: 400, body: { error: "bad_verification_code" } },
    ],
    [
      200,
      '{"ok":false,"error":"invalid_refresh_token"}',
      { status: 400, body: { error: "invalid_refresh_token" } },
    ],
    [200, '{"ok":false}', { status: 400, body: {} }],
    [200, '{"ok":false,"access_token":"AT"}', { status: 400, body: {} }],
    [200, '{"error":{"message":"m"}}', { status: 400, body: {} }],
    [200, '{"error":"invalid_grant","access_token":"AT"}', { status: 400, body: { error: "invalid_grant" } }],
  ])("%d %s", (status, text, normalised) => {
    expect(normaliseTokenResponse(status, text)).toEqual(normalised);
  });
});

test("a token set keeps what the provider did not say apart from what it said", () => {
  const bare = toTokenSet({ access_token: "AT", token_type: "bearer" }, undefined);
  expect(bare.accessToken.reveal()).toBe("AT");
  expect(bare).toMatchObject({ tokenType: "Bearer" });
  expect([bare.refreshToken, bare.idToken, bare.expiresInMs, bare.scopes, bare.subject]).toEqual(
    Array(5).fill(undefined),
  );

  const full = { ...good, token_type: "dpop" } as const;
  const judged = { idToken: "a.b.c", subject: "ada", account: undefined, response: new Response() };
  const rich = toTokenSet(full, judged);
  expect(rich).toMatchObject({
    tokenType: "DPoP",
    expiresInMs: 3_600_000,
    scopes: ["a", "b"],
    subject: "ada",
  });
  expect([rich.refreshToken?.reveal(), rich.idToken?.reveal()]).toEqual(["RT", "a.b.c"]);
});
