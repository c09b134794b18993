import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../../src/config/config.js";
import { extensions } from "../../../../src/ext/extensions.js";
import { perSuite } from "../../../lifetimes.js";
import { MetadataWorld } from "../metadata_world.js";

const flavor = { "metadata-flavor": "Google" };
const account = "/computeMetadata/v1/instance/service-accounts/default";

describe("the metadata listener", () => {
  const world = perSuite(() => MetadataWorld.make());
  const current = async () => {
    const { token } = await world.world.clients.tokens.getToken({ connectionId: world.google });
    return token?.credentials["access_token"];
  };

  it.each(["", "Bearer "])(
    "gives the key of a connection to an SDK of AWS with the token '%sKEY'",
    async (scheme) => {
      const nowMs = world.world.clock.nowMs();
      const found = await world.json("/ecs/aws/ada", { authorization: scheme + world.key });
      expect(found).toEqual({
        AccessKeyId: "AKIAEXAMPLE",
        SecretAccessKey: "aws-secret",
        Token: "aws-session",
        Expiration: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      });
      expect(Date.parse(String(found["Expiration"])) - nowMs).toBeGreaterThan(3_500_000);
    },
  );

  it("gives Google's SDKs the current token, and what else they look for", async () => {
    const token = await world.json(`${account}/token`, flavor);
    expect(token).toEqual({
      access_token: await current(),
      expires_in: expect.any(Number),
      token_type: "Bearer",
    });
    expect(token["expires_in"]).toBeGreaterThan(0);
    expect(await world.json(`${account}/?recursive=true`, flavor)).toMatchObject({ email: "default" });
    const there = await world.ask("/", flavor);
    expect([there.status, there.headers["metadata-flavor"]]).toEqual([200, "Google"]);
    const before = await current();
    world.world.clock.advance(3_600_000);
    const next = await world.json(`${account}/token`, flavor);
    expect(next["access_token"]).not.toBe(before);
  });

  it("reads as the caller: the audit log has its name", async () => {
    await world.ask(`${account}/token`, flavor);
    const { events } = await world.world.clients.audit.listAuditEvents({});
    expect(events.map(({ principal }) => principal)).toContain("key:agent");
  });

  it.each<[string, string, Record<string, string>, number]>([
    ["no credential", "/ecs/aws/ada", {}, 401],
    ["a wrong credential", "/ecs/aws/ada", { authorization: "nxk_wrong" }, 401],
    ["a path without a user", "/ecs/aws", {}, 404],
    ["a request of Google's without its header", `${account}/token`, {}, 403],
    ["a request of a page, by its own name", `${account}/token`, { ...flavor, host: "evil.example" }, 403],
    [
      "a request of a page, by the address",
      `${account}/token`,
      { ...flavor, origin: "http://evil.example" },
      403,
    ],
    [
      "a request that a proxy passed on",
      `${account}/token`,
      { ...flavor, "x-forwarded-for": "10.0.0.1" },
      403,
    ],
    ["an identity token", `${account}/identity?audience=x`, flavor, 404],
    ["another account", "/computeMetadata/v1/instance/service-accounts/other/token", flavor, 404],
    ["attributes of a machine", "/computeMetadata/v1/project/project-id", flavor, 404],
  ])("refuses %s", async (_, path, headers, status) => {
    const answer = await world.ask(path, headers);
    expect(answer.status).toBe(status);
    expect(answer.text).not.toContain("aws-secret");
    expect(JSON.parse(answer.text)).toEqual({ code: expect.any(String), message: expect.any(String) });
  });

  it("answers what a caller may not see as what there is not", async () => {
    const headers = { authorization: world.key };
    const theirs = await world.ask("/ecs/aws/bob", headers);
    const nobodys = await world.ask("/ecs/aws/nobody", headers);
    expect([theirs.status, theirs.text]).toEqual([nobodys.status, nobodys.text]);
    expect(theirs.status).toBe(403);
  });

  it("takes no other method", async () => {
    expect((await world.ask("/ecs/aws/ada", { authorization: world.key }, "POST")).status).toBe(405);
  });

  it("asks for a consent that is needed, with the link", async () => {
    const answer = await world.ask(`${account}/token?scopes=calendar`, flavor);
    const { code, message } = JSON.parse(answer.text);
    expect([answer.status, code]).toEqual([409, "consent_required"]);
    expect(message).toMatch(
      /^the user must connect op\/ada first: http:\/\/localhost:\d+\/auth\/start\?state=/,
    );
  });

  it("says that it is no key of AWS", async () => {
    const { code, message } = await world.json("/ecs/op/ada", { authorization: world.key });
    expect([code, message]).toEqual([
      "failed_precondition",
      "the connection op has no fields access_key and secret_key: it is no key of AWS",
    ]);
  });
});

describe("settings of the metadata listener", () => {
  const load = (environment: NodeJS.ProcessEnv) => () =>
    loadConfig({ NEXUS_DATA_DIR: "/tmp/none", ...environment }, {}, { isTTY: false }, extensions);
  const whole = {
    NEXUS_METADATA_LISTEN: "127.0.0.1:8093",
    NEXUS_METADATA_GOOGLE: "google/ada",
    NEXUS_METADATA_GOOGLE_KEY_FILE: "/run/agent.key",
  };

  it("are one whole", () => {
    expect(load(whole)).not.toThrow();
    expect(
      load({ ...whole, NEXUS_METADATA_LISTEN: "169.254.169.254:80", NEXUS_INSECURE: "metadata" }),
    ).not.toThrow();
    expect(load({ NEXUS_METADATA_LISTEN: "127.0.0.1:8093" })).not.toThrow();
    expect(load({ ...whole, NEXUS_METADATA_LISTEN: "169.254.169.254:80" })).toThrow(
      /plain text beyond this machine/,
    );
  });

  it.each<[string, NodeJS.ProcessEnv, RegExp]>([
    ["a connection without a key", { NEXUS_METADATA_GOOGLE_KEY_FILE: "" }, /NEXUS_METADATA_GOOGLE_KEY_FILE/],
    ["a key without a connection", { NEXUS_METADATA_GOOGLE: "" }, /NEXUS_METADATA_GOOGLE/],
    ["no address", { NEXUS_METADATA_LISTEN: "off" }, /NEXUS_METADATA_LISTEN/],
    [
      "an address that others reach",
      { NEXUS_METADATA_LISTEN: "0.0.0.0:8093" },
      /NEXUS_METADATA_LISTEN: .*loopback/,
    ],
    ["half a name", { NEXUS_METADATA_GOOGLE: "google" }, /NEXUS_METADATA_GOOGLE: .*PROVIDER\/USER/],
  ])("refuse %s", (_, broken, violation) => {
    expect(load({ ...whole, ...broken })).toThrow(violation);
  });
});
