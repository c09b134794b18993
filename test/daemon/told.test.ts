import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import type { JsonObject } from "../../src/model/json.js";
import { fakeShell } from "../cli/fake_shell.js";
import { Browser } from "../fakes/browser.js";
import { hangUp, json } from "../oauth/scripted_server.js";
import { newSigningKey } from "../oauth/signing_key.js";
import { failureOf } from "./errors.js";
import { ScriptedWorld } from "./scripted_world.js";

const key = newSigningKey("k1");
let world: ScriptedWorld;
beforeEach(async () => {
  world = await ScriptedWorld.make();
});
afterEach(() => world.close());

/** A profile with discovery, whose document has `more`. */
function discovered(more: JsonObject = {}, name = "op") {
  const issuer = world.provider.origin;
  world.documents.set("/.well-known/openid-configuration", () => ({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    ...more,
  }));
  return { name, clientId: "c", clientSecret: "s", issuer, enableDiscovery: true };
}

/** A person consents on a page of ours; answers that page and the problem of the connection. */
async function consent(providerId: string) {
  const { authUrl, connection_id } = await world.request(providerId, { return_url: "" });
  const page = await world.consent(authUrl);
  return { page, problem: await problemOf(connection_id) };
}

async function problemOf(connectionId: string) {
  const { connection } = await world.clients.connections.getConnection({ connectionId });
  return { reason: connection?.problem?.reason, message: connection?.problem?.message ?? "" };
}

/** `nexusd connect NAME`, whose person consents; answers what it wrote to standard error, and its exit code. */
async function connectByCli(name: string) {
  const browser = new Browser();
  let visit: Promise<unknown> = Promise.resolve();
  const given = fakeShell({ env: { NEXUS_DATA_DIR: world.place.config.dataDir }, outIsTTY: true });
  const shell = {
    ...given,
    openBrowser: async (url: string) => {
      visit = browser.get(url);
    },
  };
  const code = await run(["connect", name], shell);
  await visit;
  return { code, err: given.err(), out: given.out() };
}

describe("discovery is tried at provider add, as a warning", () => {
  const create = (provider: JsonObject) => world.clients.providers.createProvider({ provider });
  const documentUrl = () => `${world.provider.origin}/.well-known/openid-configuration`;

  it("that the answer carries, with the URL and the status; the profile is registered", async () => {
    const profile = discovered();
    world.documents.clear();
    const { warnings, provider } = await create(profile);
    expect(warnings).toEqual([
      `${documentUrl()} answers HTTP status 404: nothing is published there: check the issuer of the profile, or give auth_url and token_url without enable_discovery`,
    ]);
    discovered();
    const update = {
      provider: { id: provider?.id ?? "", issuer: world.provider.origin },
      updateMask: { paths: ["issuer"] },
    };
    expect((await world.clients.providers.updateProvider(update)).warnings).toEqual([]);
  });

  it("that names both issuers when the document names another", async () => {
    const { warnings } = await create(discovered({ issuer: "https://other.example" }));
    expect(warnings).toEqual([
      `${documentUrl()} names the issuer https://other.example, and the profile says ${world.provider.origin}; they are compared character by character: correct the issuer of the profile`,
    ]);
  });

  it("that is bounded in time: a provider that hangs holds nobody up", async () => {
    const profile = discovered();
    world.provider.script = () => world.clock.advance(3_000);
    const { warnings, provider } = await create(profile);
    expect(provider?.name).toBe("op");
    expect(warnings).toEqual([
      `${documentUrl()} did not answer within 3 seconds; it is fetched again when a connection is requested`,
    ]);
  });

  it("and says nothing of a provider that is well, nor of one without discovery", async () => {
    expect((await create(discovered())).warnings).toEqual([]);
    const manual = { authUrl: "https://a.example/a", tokenUrl: "https://a.example/t" };
    expect((await create({ name: "manual", clientId: "c", clientSecret: "s", ...manual })).warnings).toEqual(
      [],
    );
  });
});

it("the request for a connection says which URL was tried and what came", async () => {
  const { provider } = await world.clients.providers.createProvider({ provider: discovered() });
  world.documents.clear();
  await world.clients.providers.updateProvider({
    provider: { id: provider?.id ?? "", issuer: `${world.provider.origin}/t` },
    updateMask: { paths: ["issuer"] },
  });
  const requested = world.clients.connections.requestConnection({
    userId: "ada",
    provider: { case: "providerName", value: "op" },
  });
  expect(await failureOf(requested)).toMatchObject({
    code: "Unavailable",
    message: expect.stringContaining("/t/.well-known/openid-configuration answers HTTP status 404"),
  });
});

describe("a wrong or missing iss is called that, and not another browser", () => {
  const withIss = async (iss: string | undefined) => {
    const { provider } = await world.clients.providers.createProvider({
      provider: discovered({ authorization_response_iss_parameter_supported: true }),
    });
    const serve = world.provider.script;
    world.provider.script = (response, request) => {
      const url = new URL(request.path, world.provider.origin);
      if (url.pathname !== "/authorize") return serve(response, request);
      const back = new URL(url.searchParams.get("redirect_uri") ?? "");
      back.searchParams.set("state", url.searchParams.get("state") ?? "");
      back.searchParams.set("code", "c");
      if (iss !== undefined) back.searchParams.set("iss", iss);
      response.writeHead(302, { location: back.href }).end();
    };
    return await consent(provider?.id ?? "");
  };

  it("wrong", async () => {
    const { page, problem } = await withIss("https://evil.example");
    expect(problem).toEqual({
      reason: "issuer_mismatch",
      message: `The answer that came back from the provider does not name the issuer of the profile: it names https://evil.example, and the profile says ${world.provider.origin}; if both are the provider's, correct the issuer of the profile.`,
    });
    expect(page.status).toBe(400);
    expect(page.body).toContain("does not name the provider that you were sent to");
    expect(page.body).not.toContain("evil.example");
    expect(page.body).not.toContain("browser");
  });

  it("missing", async () => {
    const { page, problem } = await withIss(undefined);
    expect(problem.reason).toBe("issuer_mismatch");
    expect(problem.message).toContain(
      `it names none, and ${world.provider.origin} says that it always names itself`,
    );
    expect(page.body).not.toContain("browser");
  });
});

describe("a wrong client secret or authentication method says so at the first consent", () => {
  const answers: [name: string, status: number, body: JsonObject, word: string][] = [
    ["RFC 6749", 401, { error: "invalid_client" }, "HTTP status 401, invalid_client"],
    ["GitHub", 200, { error: "incorrect_client_credentials" }, "incorrect_client_credentials"],
    ["a bare 401", 401, {}, "HTTP status 401"],
  ];
  it.each(answers)(
    "on the page, in the problem and at the CLI, with the command that mends it: %s",
    async (_name, status, body, word) => {
      const providerId = await world.register({ name: "acme" });
      world.answerToken = () => json(body, status);
      const { page, problem } = await consent(providerId);
      const commands = [
        "  correct the secret: nexusd provider update acme --client-secret-file FILE",
        "  or the method: nexusd provider update acme --auth-method client_secret_basic",
        "  then consent again",
      ].join("\n");
      expect(problem).toEqual({
        reason: "client_rejected",
        message: `The provider refused the client id, the client secret or the way in which it was sent: ${word}; the secret was sent by client_secret_post\n${commands}.`,
      });
      expect(page.status).toBe(502);
      expect(page.body).toContain("The provider refused the registration of this service");
      expect(page.body.replace(/<\/?span[^>]*>/g, "")).toContain(commands);
      const { code, err } = await connectByCli("acme");
      expect(code).toBe(21);
      expect(err).toContain(`client_secret_post (client_rejected)\n${commands}.\n`);
      expect(page.body + problem.message + err).not.toContain("the-client-secret");
    },
  );
});

describe("a clock that is off is called a clock", () => {
  const withTimes = async (times: (nowSeconds: number) => JsonObject) => {
    const issuer = world.provider.origin;
    world.documents.set("/jwks", () => ({ keys: [key.jwk] }));
    world.answerToken = () => {
      const nowSeconds = Math.floor(world.clock.nowMs() / 1000);
      const nonce = world.authorizations.at(-1)?.get("nonce");
      const claims = { iss: issuer, aud: "the-client", sub: "ada", nonce, ...times(nowSeconds) };
      return json({ access_token: "a", token_type: "Bearer", id_token: key.sign(claims) });
    };
    return await consent(await world.register({ issuer, jwks_url: `${issuer}/jwks`, scopes: ["openid"] }));
  };
  const sentence = "The clocks of this machine and of the provider differ: the id_token";

  it("by an id_token that has ended: this machine is ahead", async () => {
    const { page, problem } = await withTimes((now) => ({ iat: now - 7_200, exp: now - 3_600 }));
    expect(problem).toEqual({
      reason: "clock_skew",
      message: `${sentence} came 1h after its end: the clock of this machine is ahead of the provider's, or that one is behind.`,
    });
    expect(page.body).toContain("The clocks of the provider and of this service differ.");
  });

  it("by an id_token that is not valid yet: this machine is behind", async () => {
    const { problem } = await withTimes((now) => ({ iat: now, nbf: now + 7_230, exp: now + 9_000 }));
    expect(problem).toEqual({
      reason: "clock_skew",
      message: `${sentence} is not valid before 2h from now: the clock of this machine is behind the provider's, or that one is ahead.`,
    });
  });

  it("and an id_token that was dead when it was issued is not", async () => {
    const { problem } = await withTimes((now) => ({ iat: now, exp: now - 60 }));
    expect(problem.reason).toBe("id_token_verification_failed");
    expect(problem.message).toContain("its claim exp is wrong");
  });
});

it("an expired link is called expired, for days after it has ended", async () => {
  const { authUrl } = await world.request(await world.register(), { return_url: "" });
  for (const laterMs of [10 * 60_000, 24 * 60 * 60_000]) {
    world.clock.advance(laterMs);
    const page = await new Browser().get(authUrl);
    expect([page.status, page.body]).toEqual([410, expect.stringContaining("This link has expired")]);
  }
  const made = await new Browser().get(authUrl.replace(/state=.*/, `state=${"x".repeat(48)}`));
  expect([made.status, made.body]).toEqual([404, expect.stringContaining("is not one of ours")]);
});

describe("a provider that cannot be reached is told from one that answers badly", () => {
  it("at the token endpoint", async () => {
    const providerId = await world.register();
    world.answerToken = () => hangUp;
    const lost = await consent(providerId);
    expect(lost.problem).toEqual({
      reason: "provider_unreachable",
      message:
        "The provider could not be reached: 127.0.0.1 closed the connection without an answer: try again (ECONNRESET).",
    });
    expect(lost.page.body).toContain("The provider stopped answering before you were connected.");
    world.answerToken = () => json("<html>maintenance", 200);
    const bad = await consent(providerId);
    expect(bad.problem).toEqual({
      reason: "token_exchange_failed",
      message:
        "The provider did not exchange the authorization code for a token: a page of HTML, where JSON is expected.",
    });
    expect(bad.page.body).toContain("The provider did not exchange the authorization code");
  });
});

describe("demands of a provider that the profile does not do are named", () => {
  it.each<[name: string, body: JsonObject, status: number]>([
    ["use_dpop_nonce", { error: "use_dpop_nonce" }, 400],
    ["invalid_dpop_proof", { error: "invalid_dpop_proof" }, 401],
    ["token_type DPoP", { access_token: "a", token_type: "DPoP" }, 200],
  ])("DPoP, by the token endpoint: %s", async (_name, body, status) => {
    const providerId = await world.register({ name: "acme" });
    world.answerToken = () => json(body, status);
    const { page, problem } = await consent(providerId);
    expect(problem).toEqual({
      reason: "unsupported_demand",
      message:
        "The provider demands what the profile does not do: DPoP (RFC 9449): set dpop in the oauth2_options of the profile acme to always, or turn sender-constrained tokens off for this client at the provider, then consent again.",
    });
    expect(page.body).toContain("The provider demands what its registration here does not do.");
    expect(page.body).toContain("DPoP (RFC 9449)");
  });
});

it("an error about the redirect URI names the one to register", async () => {
  const providerId = await world.register({ name: "acme" });
  world.answerToken = () => json({ error: "redirect_uri_mismatch" }, 400);
  const { problem } = await consent(providerId);
  expect(problem.message).toContain(
    `register this redirect URI at the provider, character by character: ${world.place.config.redirectUri}/acme`,
  );
});
