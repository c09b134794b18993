import { describe, expect, it } from "vitest";
import { plainOAuth2 } from "../../src/model/providers/profile_fields.js";
import type { OAuth2Options } from "../../src/model/providers/profile_settings.js";
import { adaptTokenRequest } from "../../src/oauth/token_request.js";
import { adaptTokenAnswer } from "../../src/oauth/token_response.js";

const nowMs = Date.UTC(2031, 0, 1);

function answer(body: unknown, quirks: Partial<OAuth2Options>, isRefresh = false) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const { bodyText, metadata } = adaptTokenAnswer(text, { ...plainOAuth2, ...quirks }, { nowMs, isRefresh });
  const isJson = /^\s*[[{]/.test(bodyText);
  return { body: isJson ? (JSON.parse(bodyText) as unknown) : bodyText, text: bodyText, metadata };
}

describe("the request", () => {
  const request = {
    method: "POST",
    headers: { Authorization: "Basic x", "content-type": "application/x-www-form-urlencoded", accept: "a/b" },
    body: new URLSearchParams({ code: "a+b &=ü", grant_type: "authorization_code" }),
  } as const;

  it("is a form by default, byte for byte", () => {
    const adapted = adaptTokenRequest(request, plainOAuth2);
    expect(adapted.body).toBe(request.body);
    expect(adapted.headers["authorization"]).toBe("Basic x");
  });

  it("is the same in JSON", () => {
    const adapted = adaptTokenRequest(request, { ...plainOAuth2, tokenRequestFormat: "json" });
    expect(adapted.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(String(adapted.body))).toEqual({ code: "a+b &=ü", grant_type: "authorization_code" });
  });

  it.each(["form", "json"] as const)("names the resource (RFC 8707), as %s", (tokenRequestFormat) => {
    const quirks = { ...plainOAuth2, tokenRequestFormat, resource: "https://api.example/" };
    const body = String(adaptTokenRequest(request, quirks).body);
    const sent =
      tokenRequestFormat === "json" ? JSON.parse(body) : Object.fromEntries(new URLSearchParams(body));
    expect(sent).toEqual({
      code: "a+b &=ü",
      grant_type: "authorization_code",
      resource: "https://api.example/",
    });
  });

  it("has further headers, which cannot take the place of the protocol's", () => {
    const tokenHeaders = {
      Accept: "c/d",
      AUTHORIZATION: "mine",
      Host: "evil",
      "Content-Type": "x/y",
      "X-A": "1",
    };
    const { headers } = adaptTokenRequest(request, { ...plainOAuth2, tokenHeaders });
    expect(headers).toEqual({
      authorization: "Basic x",
      "content-type": "application/x-www-form-urlencoded",
      accept: "c/d",
      "x-a": "1",
    });
  });
});

describe("what is declared to mean invalid_grant", () => {
  const aliases = [
    "unauthorized_client",
    "status=BAD_REFRESH_TOKEN",
    "errors.0.resource=RefreshToken",
    "message=Invalid refresh token",
    "code=17",
    "constructor.name=Object",
  ];
  const isDead = (body: unknown, isRefresh = true): boolean => {
    const adapted = answer(body, { invalidGrantAliases: aliases }, isRefresh).body;
    return (adapted as { error?: unknown }).error === "invalid_grant";
  };

  it.each([
    [{ error: "unauthorized_client" }],
    [{ status: "BAD_REFRESH_TOKEN", message: "x" }],
    [{ errors: [{ resource: "RefreshToken" }] }],
    [{ message: "Invalid refresh token", status: 400 }],
    [{ code: 17 }],
    [{ ok: false, error: "unauthorized_client" }],
  ])("%j", (body) => {
    expect(isDead(body)).toBe(true);
    // The code of a consent is not a refresh token.
    expect(isDead(body, false)).toBe(false);
  });

  it.each([
    [{ error: "unauthorized" }],
    [{ error: { code: "unauthorized_client" } }],
    [{ status: ["BAD_REFRESH_TOKEN"] }],
    [{ errors: [{}, { resource: "RefreshToken" }] }],
    [{ errors: { resource: "RefreshToken" } }],
    [{ code: true }],
    [{}],
    [{ access_token: "t", status: "BAD_REFRESH_TOKEN" }],
  ])("not %j", (body) => {
    expect(isDead(body)).toBe(false);
  });

  it("keeps the sentence that may say why", () => {
    const body = { error: "unauthorized_client", error_description: "The grant was revoked", hint: "x" };
    expect(answer(body, { invalidGrantAliases: aliases }, true).body).toEqual({
      error: "invalid_grant",
      error_description: "The grant was revoked",
    });
  });
});

describe("invalid_request for a refresh", () => {
  const isDead = (description: unknown, isRefresh = true): boolean => {
    const body = { error: "invalid_request", error_description: description };
    return (answer(body, {}, isRefresh).body as { error?: unknown }).error === "invalid_grant";
  };
  const malformed =
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than once, or is otherwise malformed.";

  it.each([
    "Token has been revoked",
    "Token has expired",
    "Token missing",
    "Token is not linked to client",
    "Cannot verify the refresh token",
    "Cannot decrypt the refresh token",
    'Invalid "refresh_token" in request.',
    "session not found",
    "The refresh token is invalid.",
    `${malformed} The refresh token expired at '2022-01-24'.`,
  ])("blames the refresh token: %s", (description) => {
    expect(isDead(description)).toBe(true);
    expect(isDead(description, false)).toBe(false);
  });

  it.each([
    undefined,
    7,
    malformed,
    "Check the `refresh_token` parameter",
    'Missing "refresh_token" in request.',
    "refresh_token is required",
    "Invalid or missing refresh token",
    "the DPoP proof of the token request is invalid",
    "Invalid access token in the Authorization header",
    "client assertion: token has expired",
    "invalid requested_token_type",
    `${"x".repeat(1_000)}. Token has expired`,
  ])("blames the request: %s", (description) => {
    expect(isDead(description)).toBe(false);
  });
});

describe("the token object", () => {
  const tokens = { access_token: "t", expires_in: 1 };

  it.each([
    ["no quirk", { ...tokens, data: {} }, {}],
    ["an error at the root", { error: "x", data: tokens }, { tokenResponsePath: "data" }],
    ["ok: false", { ok: false, data: tokens }, { tokenResponsePath: "data" }],
    ["no JSON", "access_token=t", { tokenResponsePath: "data" }],
    ["a list", [tokens], { tokenResponsePath: "0" }],
  ])("stays as it was with %s", (_why, body, quirks) => {
    expect(answer(body, quirks).text).toBe(typeof body === "string" ? body : JSON.stringify(body));
  });

  it("is at the path, and nowhere else for a code", () => {
    expect(answer({ data: { token: tokens } }, { tokenResponsePath: "data.token" }).body).toEqual(tokens);
    for (const body of [
      tokens,
      { data: null, ...tokens },
      { data: [tokens], ...tokens },
      { data: { other: 1 }, ...tokens },
    ]) {
      expect(answer(body, { tokenResponsePath: "data" }).body).toEqual({});
      expect(answer(body, { tokenResponsePath: "data" }, true).body).toMatchObject(tokens);
    }
  });

  it("may be an error at the path", () => {
    const body = { status: 503, data: { error: "invalid_grant" } };
    expect(answer(body, { tokenResponsePath: "data" }).body).toEqual({ error: "invalid_grant" });
  });

  it("is not found in what every object has", () => {
    for (const tokenResponsePath of ["__proto__", "constructor", "toString.name"]) {
      expect(answer(tokens, { tokenResponsePath }).body).toEqual({});
    }
  });
});

describe("the lifetime", () => {
  it.each([
    [1800, 1800],
    ["1800", 1800],
    [nowMs / 1000 + 60, 60],
    [String(nowMs / 1000 + 60.5), 60],
    [nowMs + 60_000, 60],
    ["2031-01-01T00:01:00Z", 60],
    ["2031-01-01T02:01:00.5+02:00", 60],
    [nowMs / 1000 - 60, -60],
    ["soon", undefined],
    [null, undefined],
    [{}, undefined],
    ["2031", 2031],
  ])("of %j is %j seconds", (life, seconds) => {
    const body = { access_token: "t", expires_in: 5, life };
    expect(answer(body, { lifetimeField: "life" }).body).toMatchObject({ access_token: "t", life });
    expect((answer(body, { lifetimeField: "life" }).body as { expires_in?: number }).expires_in).toBe(
      seconds,
    );
  });
});

describe("the metadata", () => {
  it("keeps scalars by path, a dotted name before a path", () => {
    const body = {
      access_token: "t",
      a: { b: 1 },
      "c.d": "whole",
      c: { d: "deep" },
      e: false,
      f: "",
      g: null,
    };
    const tokenMetadata = ["a.b", "c.d", "e", "f", "g", "a", "__proto__.x"];
    expect(answer(body, { tokenMetadata }).metadata).toEqual({ "a.b": "1", "c.d": "whole", e: "false" });
  });

  it("keeps no secret, whatever a stored profile says", () => {
    const body = {
      access_token: "t",
      refresh_token: "r",
      x: { id_token: "i" },
      client_secret: "s",
      api_key: "k",
    };
    const tokenMetadata = ["access_token", "refresh_token", "x.id_token", "client_secret", "api_key"];
    expect(answer(body, { tokenMetadata }).metadata).toEqual({});
  });

  it("reads an answer that is nested deeper than it could be written", () => {
    const deep = `{"access_token":"t","x":${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}}`;
    const quirks = { ...plainOAuth2, lifetimeField: "lifetime" };
    const { bodyText } = adaptTokenAnswer(deep, quirks, { nowMs: 1, isRefresh: true });
    expect(JSON.parse(bodyText)).toMatchObject({ access_token: "t" });
  });

  it("keeps nothing of an error", () => {
    expect(answer({ error: "x", a: "1" }, { tokenMetadata: ["a"] }).metadata).toEqual({});
  });
});
