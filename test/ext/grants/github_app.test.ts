import { generateKeyPairSync } from "node:crypto";
import { jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import { downscopedInstallation, githubApp } from "../../../src/ext/grants/github_app.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { Secret } from "../../../src/runtime/secret.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { json, startScriptedServer } from "../../oauth/scripted_server.js";

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const nowMs = Date.parse("2027-03-04T05:06:07Z");
const path = "/app/installations/12345678/access_tokens";

/** As GitHub documents it. */
const answer = {
  token: "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
  expires_at: "2027-03-04T06:06:07Z",
  permissions: { issues: "write", contents: "read" },
  repository_selection: "selected",
  repositories: [{ id: 1296269, name: "Hello-World" }],
};

describe("githubApp", () => {
  const server = perTest(() => startScriptedServer(json(answer, 201)));

  const send = (scopes: string[] = []) =>
    githubApp({
      server: manualAuthorizationServer({
        issuer: "",
        authUrl: "",
        tokenUrl: `${server.origin}${path}`,
        jwksUrl: "",
      }),
      client: {
        clientId: "Iv1.0123",
        // The form in which GitHub hands it out.
        clientSecret: new Secret(privateKey.export({ type: "pkcs1", format: "pem" }) as string),
        method: "none",
      },
      scopes,
      clock: new ManualClock(nowMs),
      fetch: createOutboundFetch({ networks: loopbackNetworks }),
    });

  const request = () => {
    const last = server.requests.at(-1);
    if (!last) throw new Error("no request");
    return last;
  };

  test("asks with the JWT of the app, backdated a minute and good for ten, and reads GitHub's own words", async () => {
    const { tokenSet } = await send();
    expect(tokenSet.accessToken.reveal()).toBe(answer.token);
    expect(tokenSet).toMatchObject({
      expiresInMs: 3_600_000,
      scopes: ["issues:write", "contents:read"],
      refreshToken: undefined,
    });
    const { path: sentTo, headers, body } = request();
    expect([sentTo, JSON.parse(body)]).toEqual([path, {}]);
    expect(headers).toMatchObject({
      accept: "application/vnd.github+json",
      "x-github-api-version": "2022-11-28",
    });
    const jwt = headers.authorization?.replace(/^Bearer /, "") ?? "";
    const { payload, protectedHeader } = await jwtVerify(jwt, publicKey, {
      currentDate: new Date(nowMs),
      clockTolerance: 1,
    });
    expect(protectedHeader).toEqual({ alg: "RS256", typ: "JWT" });
    expect(payload).toEqual({ iss: "Iv1.0123", iat: nowMs / 1000 - 60, exp: nowMs / 1000 + 540 });
  });

  test("limits the token to the repositories and permissions of the scopes", async () => {
    await send(["repository:nexus", "contents:read", "repository:docs.site", "pull_requests:write"]);
    expect(JSON.parse(request().body)).toEqual({
      repositories: ["nexus", "docs.site"],
      permissions: { contents: "read", pull_requests: "write" },
    });
  });

  test.each(["contents", "contents:own", "repository:", "repository:a/b", "__proto__:read", "repo"])(
    "sends nothing for the scope %s, and says what a scope may be",
    async (scope) => {
      await expect(send(["contents:read", scope])).rejects.toMatchObject({
        kind: "client",
        message: expect.stringContaining(`the scope ${scope} is neither`),
      });
      expect(server.requests).toHaveLength(0);
    },
  );

  test.each([
    ["a key that is not the app's", 401, {}, { kind: "transient", isRefusal: true, httpStatus: 401 }],
    ["an installation that is gone", 404, {}, { kind: "transient", isRefusal: true, httpStatus: 404 }],
    ["permissions that it lacks", 422, {}, { kind: "transient", isRefusal: true, httpStatus: 422 }],
    [
      "too many requests",
      403,
      { "retry-after": "60" },
      { kind: "transient", retryAfterMs: 60_000, isRefusal: false },
    ],
    ["a fault of its own", 503, {}, { kind: "transient", isRefusal: false }],
  ])("classifies the answer to %s", async (_, status, headers, failure) => {
    server.script = (response) => {
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(JSON.stringify({ message: "no", documentation_url: "https://docs.github.com" }));
    };
    await expect(send()).rejects.toMatchObject(failure);
  });

  test("rejects a success without a token", async () => {
    server.script = json({ expires_at: answer.expires_at }, 201);
    await expect(send()).rejects.toMatchObject({ kind: "rejected" });
  });
});

describe("downscopedInstallation", () => {
  test.each([
    [["contents:write", "repository:docs"], ["contents:read"], ["contents:read", "repository:docs"]],
    [[], ["repository:a", "repository:b"], ["repository:a", "repository:b"]],
    [["repository:a", "repository:b"], ["repository:b"], ["repository:b"]],
    [["contents:admin", "issues:read"], ["repository:a"], ["repository:a", "contents:admin", "issues:read"]],
  ])("of %j asked for %j is %j", (present, asked, scopes) => {
    expect(downscopedInstallation(present, asked)).toEqual({ scopes });
  });

  test.each([
    [["contents:read"], ["contents:write"], 0],
    [["contents:read"], ["contents:read", "issues:read"], 1],
    [["repository:docs"], ["repository:site"], 0],
    [[], ["repository:a", "all"], 1],
  ])("of %j refuses %j", (present, asked, index) => {
    expect(downscopedInstallation(present, asked)).toMatchObject({ index, violation: expect.any(String) });
  });
});
