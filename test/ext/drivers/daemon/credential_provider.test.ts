import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { describe, expect, it, vi } from "vitest";
import { loadConfig } from "../../../../src/config/config.js";
import { extensions } from "../../../../src/ext/extensions.js";
import { CredentialProvider } from "../../../../src/gen/credprovider/credprovider_pb.js";
import { perSuite } from "../../../lifetimes.js";
import { SubstrateWorld } from "../substrate_world.js";

const { coder, unbound, operator } = SubstrateWorld;
const ofTeam = coder.replace("team-a/coder", "team-c/any");

describe("the credential provider of agent-substrate", () => {
  const world = perSuite(() => SubstrateWorld.make());
  const clientOf = (caller?: string) => {
    const nodeOptions = { ca: world.serverCa, ...world.certificate(caller) };
    return createClient(
      CredentialProvider,
      createGrpcTransport({ baseUrl: `https://localhost:${world.port}`, nodeOptions }),
    );
  };
  const fetch = (uri: string, actorSpiffeId = coder, caller?: string) =>
    clientOf(caller).fetchSecret({ uri, actorSpiffeId });
  const fetchText = async (uri: string, actor?: string): Promise<string> =>
    Buffer.from((await fetch(uri, actor)).opaqueBytes).toString();
  const refusal = async (...args: Parameters<typeof fetch>): Promise<ConnectError> => {
    const answer = await fetch(...args).catch((error: unknown) => error);
    if (!(answer instanceof ConnectError)) throw new Error("it was answered");
    return answer;
  };

  it("gives an actor the current token, and says how long it may be kept", async () => {
    const { opaqueBytes, maxAge } = await fetch("ate-secret://nexusd/op/ada");
    expect(Buffer.from(opaqueBytes).toString()).toBe(await world.token());
    const { token } = await world.world.clients.tokens.getToken({ connectionId: world.connectionId });
    const leftMs = Number(token?.expiresAt?.seconds ?? 0) * 1_000 - world.world.clock.nowMs();
    expect(maxAge && Math.abs(durationMs(maxAge) - leftMs)).toBeLessThan(1_001);
  });

  it("gives the next token when the first has little time left", async () => {
    const before = await fetchText("ate-secret://nexusd/op/ada");
    world.world.clock.advance(3_600_000);
    const after = await fetchText("ate-secret://nexusd/op/ada");
    expect(after).not.toBe(before);
    expect(after).toBe(await world.token());
  });

  it("gives the field that a URI names", async () => {
    expect(await fetchText("ate-secret://vault.example.com/twilio.password/ada")).toBe("twilio-secret");
    expect(await fetchText("ate-secret://nexusd/twilio.username/bob", ofTeam)).toBe("account");
  });

  it("says which fields there are where there is no single value", async () => {
    for (const uri of ["ate-secret://nexusd/twilio/ada", "ate-secret://nexusd/twilio.toString/ada"]) {
      const { code, rawMessage } = await refusal(uri);
      expect([code, rawMessage]).toEqual([
        Code.FailedPrecondition,
        "the connection has no single value to send: it has the fields password, username: name one of them, as in PROVIDER.password/USER",
      ]);
    }
  });

  it("asks for a consent that is needed, with the link, in what a gateway shows to its actor", async () => {
    const { code, rawMessage } = await refusal("ate-secret://nexusd/op/ada/work");
    expect(code).toBe(Code.FailedPrecondition);
    expect(rawMessage).toMatch(
      /^the user must connect op\/ada\/work first: http:\/\/localhost:\d+\/auth\/start\?state=/,
    );
    expect(Buffer.byteLength(rawMessage)).toBeLessThan(512);
  });

  it("is the actor in the audit log, by way of the gateway", async () => {
    await fetch("ate-secret://nexusd/op/ada");
    const { audit } = world.world.clients;
    const events = await vi.waitFor(async () => {
      const { events: found } = await audit.listAuditEvents({ principal: `cert:${coder}` });
      expect(found.length).toBeGreaterThan(0);
      return found;
    });
    for (const { via, origin } of events) {
      expect(via).toEqual(["cert:spiffe://cluster.local/ns/ate-system/sa/atenet-egress"]);
      expect(origin).toMatch(/^127\.0\.0\.1:\d+$/);
    }
  });

  it("gives nothing to an actor that is not bound, or that was stopped", async () => {
    expect((await refusal("ate-secret://nexusd/op/ada", unbound)).code).toBe(Code.PermissionDenied);
    const { approvals } = world.world.clients;
    const principal = `cert:${ofTeam}`;
    expect(await fetchText("ate-secret://nexusd/twilio.username/bob", ofTeam)).toBe("account");
    await approvals.stopPrincipal({ principal });
    expect((await refusal("ate-secret://nexusd/twilio.username/bob", ofTeam)).code).toBe(
      Code.Unauthenticated,
    );
    await approvals.stopPrincipal({ principal, lift: true });
  });

  it("answers what an actor may not see as what there is not", async () => {
    const [theirs, nobodys] = [
      await refusal("ate-secret://nexusd/twilio.password/bob"),
      await refusal("ate-secret://nexusd/twilio.password/nobody"),
    ];
    expect([theirs.code, theirs.rawMessage]).toEqual([nobodys.code, nobodys.rawMessage]);
    expect(theirs.code).toBe(Code.PermissionDenied);
  });

  it.each<[string, string | undefined, Code]>([
    ["another caller with a certificate", operator, Code.PermissionDenied],
    ["an actor that asks itself", coder, Code.PermissionDenied],
    [
      "one with a longer name",
      "spiffe://cluster.local/ns/ate-system/sa/atenet-egress2",
      Code.PermissionDenied,
    ],
  ])("refuses %s", async (_, caller, code) => {
    const { code: found, rawMessage } = await refusal("ate-secret://nexusd/op/ada", coder, caller);
    expect([found, rawMessage]).toEqual([
      code,
      "FetchSecret is for the caller that NEXUS_SUBSTRATE_GATEWAY names",
    ]);
  });

  it("records who was refused", async () => {
    await refusal("ate-secret://nexusd/op/ada", coder, operator);
    const { audit } = world.world.clients;
    const { events } = await audit.listAuditEvents({ principal: `cert:${operator}` });
    expect(events.map(({ eventType }) => eventType)).toContain("access.denied");
  });

  it("refuses whoever shows no certificate, and an admin's key", async () => {
    const { serverCa: ca, port } = world;
    const baseUrl = `https://localhost:${port}`;
    const request = { uri: "ate-secret://nexusd/op/ada", actorSpiffeId: coder };
    const bare = createClient(CredentialProvider, createGrpcTransport({ baseUrl, nodeOptions: { ca } }));
    await expect(bare.fetchSecret(request)).rejects.toMatchObject({ code: Code.Unauthenticated });
    const headers = { authorization: `Bearer ${world.world.place.apiKey}` };
    await expect(bare.fetchSecret(request, { headers })).rejects.toMatchObject({
      code: Code.PermissionDenied,
    });
    const { httpUrl } = world.world.place;
    const http = createClient(
      CredentialProvider,
      createConnectTransport({ baseUrl: httpUrl, httpVersion: "1.1" }),
    );
    await expect(http.fetchSecret(request, { headers })).rejects.toMatchObject({
      code: Code.PermissionDenied,
    });
  });

  it.each([
    ["another caller, of another trust domain", operator],
    ["the longer name of the trust domain", coder.replace("local/", "local.evil/")],
    ["no actor", ""],
    ["the trust domain alone", "spiffe://substrate-actor.local/"],
    ["dots", `${coder}/../intruder`],
    ["a star", "spiffe://substrate-actor.local/actor/team-a/*"],
    ["a line break", `${coder}\n`],
    ["another scheme", coder.replace("spiffe:", "https:")],
    ["a long name", `${coder}${"r".repeat(2_048)}`],
  ])("refuses %s as an actor", async (_, actor) => {
    const { code, rawMessage } = await refusal("ate-secret://nexusd/op/ada", actor);
    expect(code).toBe(Code.InvalidArgument);
    expect(rawMessage).toContain(
      "actor_spiffe_id: must be a SPIFFE ID of the trust domain substrate-actor.local",
    );
  });

  const uris = [
    "",
    "op/ada",
    "https://nexusd/op/ada",
    "ate-secret:///op/ada",
    "ate-secret://nexusd/op",
    "ate-secret://nexusd/op/",
    "ate-secret://nexusd/op/ada/work/more",
    "ate-secret://nexusd/op/ada?field=access_token",
    "ate-secret://nexusd/op/ada#1",
    "ate-secret://nexusd/op/ada%00",
    "ate-secret://nexusd/op/%E0%A4%A",
    `ate-secret://nexusd/op/${"a".repeat(1_024)}`,
  ];
  it.each(uris.map((uri) => [uri.slice(0, 60), uri]))("refuses the URI '%s'", async (_, uri) => {
    const { code, rawMessage } = await refusal(uri ?? "");
    expect(code).toBe(Code.InvalidArgument);
    expect(rawMessage).toContain("uri: must be ate-secret://NAME/PROVIDER/USER");
  });

  it("refuses a huge request before it is read, and serves the next", async () => {
    const baseUrl = `https://localhost:${world.port}`;
    const sessionManager = new Http2SessionManager(
      baseUrl,
      {},
      { ca: world.serverCa, ...world.certificate() },
    );
    const client = createClient(CredentialProvider, createGrpcTransport({ baseUrl, sessionManager }));
    const uri = `ate-secret://nexusd/op/${"a".repeat(8 * 1_024 * 1_024)}`;
    const answer = client.fetchSecret({ uri, actorSpiffeId: coder });
    await expect(answer).rejects.toMatchObject({ code: Code.ResourceExhausted });
    // It goes on with sending.
    sessionManager.abort();
    expect(await fetchText("ate-secret://nexusd/op/ada")).toBe(await world.token());
  });

  it("writes no value to the log", async () => {
    const value = await fetchText("ate-secret://nexusd/op/ada");
    const log = world.world.place.logLines.join("\n");
    expect(log).not.toContain(value);
    expect(log).not.toContain("twilio-secret");
  });
});

describe("settings of the credential provider", () => {
  const load = (environment: NodeJS.ProcessEnv) => () =>
    loadConfig({ NEXUS_DATA_DIR: "/tmp/none", ...environment }, {}, { isTTY: false }, extensions);
  const whole = {
    NEXUS_TLS_CERT_FILE: "/run/tls.crt",
    NEXUS_TLS_KEY_FILE: "/run/tls.key",
    NEXUS_TLS_CLIENT_CA_FILE: "/run/ca.crt",
    NEXUS_SUBSTRATE_GATEWAY: "cert:spiffe://cluster.local/ns/ate-system/sa/atenet-egress",
  };

  it("are one whole", () => {
    expect(load(whole)).not.toThrow();
  });

  it.each<[string, NodeJS.ProcessEnv, RegExp]>([
    [
      "a gateway without certificates",
      { NEXUS_TLS_CLIENT_CA_FILE: "" },
      /NEXUS_TLS_CLIENT_CA_FILE: .*is needed/,
    ],
    [
      "a key as the gateway",
      { NEXUS_SUBSTRATE_GATEWAY: "key:gateway" },
      /NEXUS_SUBSTRATE_GATEWAY: .*SPIFFE ID/,
    ],
    [
      "every caller as the gateway",
      { NEXUS_SUBSTRATE_GATEWAY: "cert:spiffe://cluster.local/*" },
      /SPIFFE ID/,
    ],
    [
      "its domain as that of actors",
      { NEXUS_SUBSTRATE_TRUST_DOMAIN: "cluster.local" },
      /NEXUS_SUBSTRATE_TRUST_DOMAIN/,
    ],
    [
      "a path as a domain",
      { NEXUS_SUBSTRATE_TRUST_DOMAIN: "a/b" },
      /NEXUS_SUBSTRATE_TRUST_DOMAIN: .*trust domain/,
    ],
  ])("refuse %s", (_, broken, violation) => {
    expect(load({ ...whole, ...broken })).toThrow(violation);
  });
});
