import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/model/json.js";
import { json } from "../oauth/scripted_server.js";
import { newSigningKey } from "../oauth/signing_key.js";
import { temporaryFolder } from "../temporary_folder.js";
import { auditEvents } from "./audit_events.js";
import { returnUrl, ScriptedWorld } from "./scripted_world.js";

const key = newSigningKey("k1");
let world: ScriptedWorld;
/** Of each revocation request, the token and its hint. */
let revoked: (string | null)[][];
let revocationStatus: number;
beforeEach(async () => {
  world = await ScriptedWorld.make();
  revoked = [];
  revocationStatus = 200;
  const serve = world.provider.script;
  world.provider.script = (response, request) => {
    if (request.path !== "/revoke") return serve(response, request);
    revoked.push([request.form.get("token"), request.form.get("token_type_hint")]);
    json({}, revocationStatus)(response, request);
  };
});
afterEach(() => world.close());

/** A profile whose provider answers a code with an id_token of `claims`. */
async function register(claims: JsonObject, more: JsonObject = {}, tokens: JsonObject = {}): Promise<string> {
  const issuer = world.provider.origin;
  world.documents.set("/jwks", () => ({ keys: [key.jwk] }));
  answer(claims, tokens);
  const revocation = { oauth2_options: { revocation_url: `${issuer}/revoke` } };
  return await world.register({
    issuer,
    jwks_url: `${issuer}/jwks`,
    scopes: ["openid"],
    ...revocation,
    ...more,
  });
}

function answer(claims: JsonObject, tokens: JsonObject = {}): void {
  world.answerToken = () => {
    const iat = Math.floor(world.clock.nowMs() / 1000);
    const nonce = world.authorizations.at(-1)?.get("nonce");
    const base = { iss: world.provider.origin, aud: "the-client", sub: "ada", iat, exp: iat + 60, nonce };
    return json({
      access_token: "dropped-access",
      refresh_token: "dropped-refresh",
      token_type: "Bearer",
      expires_in: 60,
      id_token: key.sign({ ...base, ...claims }),
      ...tokens,
    });
  };
}

/** A person consents; answers the page, or where the browser was sent. */
async function consent(providerId: string, more: JsonObject = {}) {
  const { authUrl, connection_id } = await world.request(providerId, { return_url: "", ...more });
  return { connectionId: connection_id, page: await world.consent(authUrl) };
}

/** The person of a connection consents again. */
async function consentAgain(connectionId: string) {
  const { authUrl } = await world.clients.connections.requestConnection({ connectionId });
  return await world.consent(authUrl);
}

const told = async (connectionId: string): Promise<string[]> =>
  (await auditEvents(world.clients, { connectionId })).map(({ eventType, reason }) =>
    reason === "" ? eventType : `${eventType}: ${reason}`,
  );

const untilTold = async (connectionId: string, event: string): Promise<string[]> => {
  for (;;) {
    const events = await told(connectionId);
    if (events.includes(event)) return events;
    world.clock.advance(5_000);
  }
};

describe("D7: after an id_token failure at the code exchange the grant is revoked at the provider", () => {
  it("by its refresh token; page, problem and audit say so", async () => {
    const { connectionId, page } = await consent(await register({ aud: "another-client" }));
    expect(page.body).toContain("What you allowed is being withdrawn at the provider.");
    expect(await world.status(connectionId)).toBe("failed");
    const events = await untilTold(connectionId, "revoked_at_provider");
    expect(events.slice(-2)).toEqual([
      "id_token_verification_failed: id_token_verification_failed",
      "revoked_at_provider",
    ]);
    expect(revoked).toEqual([["dropped-refresh", "refresh_token"]]);
  });

  it("by its access token where there is no other, and where the access token itself cannot be served", async () => {
    const providerId = await register({ nonce: "another" }, {}, { refresh_token: "" });
    await untilTold((await consent(providerId)).connectionId, "revoked_at_provider");
    answer({}, { token_type: "mac" });
    const { connectionId, page } = await consent(providerId);
    expect(page.body).toContain("What you allowed is being withdrawn at the provider.");
    await untilTold(connectionId, "revoked_at_provider");
    expect(revoked).toEqual([
      ["dropped-access", "access_token"],
      ["dropped-refresh", "refresh_token"],
    ]);
  });

  it("cannot be at a provider without a revocation endpoint, which page and audit say", async () => {
    const providerId = await register({ aud: "another-client" }, { oauth2_options: {} });
    const { connectionId, page } = await consent(providerId);
    expect(page.body).toContain("remove this application in the settings of your account there");
    expect((await told(connectionId)).slice(-2)).toEqual([
      "id_token_verification_failed: id_token_verification_failed",
      "revocation_given_up: no_revocation_endpoint",
    ]);
    expect(revoked).toEqual([]);
  });

  it("and the return URL gets the error as before", async () => {
    const { page } = await consent(await register({ aud: "another-client" }), { return_url: returnUrl });
    expect(page.url).toContain("error=id_token_verification_failed");
  });

  it("survives SIGKILL between the page and the provider's answer, sealed", async () => {
    const providerId = await register({ aud: "another-client" });
    const serve = world.provider.script;
    const asked = new Promise<() => void>((resolve) => {
      world.provider.script = (response, request) => {
        if (request.path !== "/revoke") return serve(response, request);
        resolve(() => json({}, 503)(response, request));
      };
    });
    const { connectionId } = await consent(providerId);
    const fail = await asked;
    const image = world.image(temporaryFolder());
    world.provider.script = serve;
    fail();
    expect(readFileSync(join(image, "nexus.mdb")).includes("dropped-refresh")).toBe(false);
    await world.restartOn(image);
    await untilTold(connectionId, "revoked_at_provider");
    expect(revoked).toEqual([["dropped-refresh", "refresh_token"]]);
  });

  describe("of a connection that has a credential", () => {
    // At many providers (Google) revoking one token ends all that the account has granted to the client.
    it("stays when the id_token names its own account, and the connection lives on", async () => {
      const providerId = await register({});
      const { connectionId } = await consent(providerId);
      answer({ aud: "another-client" });
      const page = await consentAgain(connectionId);
      expect(page.body).toContain("Your connection is as it was.");
      expect((await told(connectionId)).at(-1)).toBe("revocation_given_up: connection_goes_on");
      expect(await world.status(connectionId)).toBe("active");
      expect(revoked).toEqual([]);
    });

    it("is revoked when the id_token names another account", async () => {
      const providerId = await register({});
      const { connectionId } = await consent(providerId);
      answer({ aud: "another-client", sub: "eve" });
      await consentAgain(connectionId);
      await untilTold(connectionId, "revoked_at_provider");
      expect(await world.status(connectionId)).toBe("active");
    });
  });
});
