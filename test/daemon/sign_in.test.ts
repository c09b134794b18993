import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { RejectionOutcome as Outcome } from "../../src/gen/nexus/v1/token_pb.js";
import { consent } from "../fakes/browser.js";
import type { SignIn } from "../fakes/openid_provider/configuration.js";
import { perTest } from "../lifetimes.js";
import { World } from "./harness.js";
import { machineAt, registered, requestOf } from "./requests.js";

/** RFC 9470 at oidc-provider, which requests a sign-in for `max_age`, and takes `acr_values` for a wish. */
describe("a sign-in that an API or a caller demands", () => {
  let signIn: SignIn = {};
  const world = perTest(() => {
    signIn = { acr: "bronze" };
    return World.make({ signIn: () => signIn });
  });
  const hourAgo = () => Math.floor(Date.now() / 1000) - 3600;

  const challenge = (parameters: string) => `Bearer error="insufficient_user_authentication", ${parameters}`;
  const report = async (connectionId: string, revision: bigint, parameters: string) =>
    await world.clients.tokens.reportRejectedToken({
      ...{ connectionId, revision, status: 401 },
      wwwAuthenticate: challenge(parameters),
    });
  const connection = async (connectionId: string) =>
    (await world.clients.connections.getConnection({ connectionId })).connection;
  const revision = async (connectionId: string) =>
    (await world.clients.tokens.getToken({ connectionId })).token?.revision;

  it("is requested by the link of a report, and renews the token", async () => {
    const connectionId = await world.connect(await world.register());
    signIn = { acr: "silver" };
    const rejection = await report(connectionId, 1n, 'acr_values="silver gold", max_age="0"');
    expect(rejection).toMatchObject({
      ...{ outcome: Outcome.AUTHENTICATION_INSUFFICIENT, revision: 1n, missingScopes: [] },
      consent: { connectionId, reason: "authentication_insufficient" },
    });
    await world.restart();
    const authUrl = rejection.consent?.authUrl ?? "";
    expect((await world.browser.get(authUrl)).body).toContain("Sign in again?");
    expect((await consent(world.browser, authUrl)).body).toContain("is connected");
    expect(await revision(connectionId)).toBe(2n);
    expect(world.provider.tokenRequests.map(({ grantType }) => grantType)).toEqual(
      Array(2).fill("authorization_code"),
    );
  });

  it("that did not happen fails the consent with the reason, and the token stays as it was", async () => {
    const connectionId = await world.connect(await world.register());
    // The session at the provider goes on: nobody signs in, and its acr is bronze.
    const { consent: link } = await report(connectionId, 1n, "acr_values=silver");
    const page = await consent(world.browser, link?.authUrl ?? "");
    expect(page.status).toBe(400);
    expect(page.body).toContain("You signed in at the provider in another way, or longer ago");
    expect(await connection(connectionId)).toMatchObject({
      ...{ status: ConnectionStatus.ACTIVE, revision: 1n },
      requestProblem: {
        reason: "authentication_insufficient",
        message: expect.stringContaining("another acr, and acr_values has silver"),
      },
    });
    expect(await revision(connectionId)).toBe(1n);
    const again = await report(connectionId, 1n, "acr_values=silver");
    expect(again.consent?.reason).toBe("authentication_insufficient");
    const { events } = await world.clients.audit.listAuditEvents({ eventType: "token_exchange_failed" });
    expect(events.map(({ reason }) => reason)).toEqual(["authentication_insufficient"]);
  });

  it("is requested by a caller, too, and a session that is too old does not meet it", async () => {
    const providerId = await world.register();
    const { connections } = world.clients;
    signIn = { acr: "silver", ts: hourAgo() };
    const old = await connections.requestConnection(requestOf(providerId, { maxAgeSeconds: 60 }));
    expect((await consent(world.browser, old.authUrl)).status).toBe(400);
    expect(await connection(old.connectionId)).toMatchObject({
      status: ConnectionStatus.FAILED,
      problem: {
        reason: "authentication_insufficient",
        message: expect.stringContaining("older than the 60 s of max_age"),
      },
    });
    signIn = { acr: "silver" };
    const demand = { acrValues: ["silver"], maxAgeSeconds: 60 };
    const request = await connections.requestConnection(requestOf(providerId, { label: "new", ...demand }));
    expect((await consent(world.browser, request.authUrl)).status).toBe(200);
    expect((await connection(request.connectionId))?.status).toBe(ConnectionStatus.ACTIVE);
  });

  it("is refused where nobody signs in, and nothing is stored", async () => {
    const profile = { name: "machine", clientId: "m", clientSecret: "s", ...machineAt(world.provider) };
    await registered(world.clients, profile);
    const { connections } = world.clients;
    await expect(
      connections.requestConnection(requestOf("machine", { acrValues: ["silver"] })),
    ).rejects.toThrow("acr_values: is for a provider at which a user signs in");
    expect((await connections.listConnections({})).connections).toEqual([]);
  });
});
