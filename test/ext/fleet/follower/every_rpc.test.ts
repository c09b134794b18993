import { readdirSync } from "node:fs";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { toJson } from "@bufbuild/protobuf";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { Authorization } from "../../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import { SecretDiscoveryService } from "../../../../src/gen/envoy/service/secret/v3/sds_pb.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { rpcName } from "../../../../src/service/pipeline/rpc_access.js";
import { Place, socketTransport, World } from "../../../daemon/harness.js";
import { registered, requestOf } from "../../../daemon/requests.js";
import { perSuite } from "../../../lifetimes.js";

const folder = new URL("../../../../src/gen/nexus/v1/", import.meta.url);
const unknown = "00000000-0000-4000-8000-000000000000";

/** What the requests of one hub name. */
interface Own {
  readonly hub: "leader" | "follower";
  readonly provider: string;
  readonly consented: string;
  readonly imported: string;
  readonly spare: string;
}

/** A request of each RPC that says something, beside the empty one. */
const requests: Readonly<Record<string, (own: Own) => object>> = {
  "nexus.v1.AccessService/CreateApiKey": ({ hub }) => ({ name: `made-at-${hub}`, role: 2 }),
  "nexus.v1.AccessService/ListApiKeys": () => ({}),
  "nexus.v1.AccessService/RotateApiKey": ({ hub }) => ({ key: { case: "name", value: `made-at-${hub}` } }),
  "nexus.v1.AccessService/RevokeApiKey": ({ hub }) => ({ key: { case: "name", value: `made-at-${hub}` } }),
  "nexus.v1.AccessService/RenewLease": () => ({}),
  "nexus.v1.AccessService/ExplainAccess": () => ({ principal: "key:nobody", action: "token.read" }),
  "nexus.v1.AccessService/WhoAmI": () => ({}),
  "nexus.v1.ApprovalService/ListHeldRequests": () => ({}),
  "nexus.v1.ApprovalService/DecideHeldRequest": () => ({ id: "a-request", digest: Buffer.alloc(32) }),
  "nexus.v1.ApprovalService/FindApprovalPage": () => ({
    request: { method: "GET", url: "https://api.example/" },
  }),
  "nexus.v1.ApprovalService/RequestPlan": () => ({ subject: { case: "id", value: "a-plan" } }),
  "nexus.v1.ApprovalService/AddApprover": () => ({ name: "ada" }),
  "nexus.v1.ApprovalService/ListApprovers": () => ({}),
  "nexus.v1.ApprovalService/RemoveApprover": () => ({ name: "nobody" }),
  "nexus.v1.ApprovalService/StopPrincipal": ({ hub }) => ({ principal: `jwt:at-${hub}` }),
  "nexus.v1.ApprovalService/ListStops": () => ({}),
  "nexus.v1.UseService/ListUses": () => ({}),
  "nexus.v1.UseService/ResetUses": () => ({ principal: "key:nobody" }),
  "nexus.v1.AuditService/ListAuditEvents": () => ({ pageSize: 5 }),
  "nexus.v1.AuditService/VerifyAuditLog": () => ({}),
  "nexus.v1.BackupService/CreateBackup": () => ({}),
  "nexus.v1.ClientKeyService/RotateClientKeys": () => ({ compromised: true }),
  "nexus.v1.ClientKeyService/ListClientKeys": () => ({}),
  "nexus.v1.ConnectionService/RequestConnection": ({ hub }) => requestOf("op", { userId: `at-${hub}` }),
  "nexus.v1.ConnectionService/ConfirmConnection": ({ consented }) => ({
    ...{ connectionId: consented, completionCode: "x".repeat(43) },
  }),
  "nexus.v1.ConnectionService/GetConnection": ({ consented }) => ({ connectionId: consented }),
  "nexus.v1.ConnectionService/ListConnections": () => ({}),
  "nexus.v1.ConnectionService/WatchConnections": () => ({}),
  "nexus.v1.ConnectionService/RefreshConnection": ({ consented }) => ({ connectionId: consented }),
  "nexus.v1.ConnectionService/CheckConnection": ({ consented }) => ({ connectionId: consented }),
  "nexus.v1.ConnectionService/GetCaptureSchema": () => ({ state: "x".repeat(43) }),
  "nexus.v1.ConnectionService/CaptureCredential": () => ({
    state: "x".repeat(43),
    credentials: { api_key: "k" },
  }),
  "nexus.v1.ConnectionService/ReplaceCredential": ({ imported }) => ({
    ...{ connectionId: imported, credentials: { api_key: "another" } },
  }),
  "nexus.v1.ConnectionService/ImportConnection": ({ hub, provider }) => ({
    ...{ userId: `imported-at-${hub}`, providerId: provider, credentials: { api_key: "a-key" } },
  }),
  "nexus.v1.ConnectionService/RevokeConnection": ({ spare }) => ({ connectionId: spare }),
  "nexus.v1.ConnectionService/DeleteConnection": ({ spare }) => ({ connectionId: spare }),
  "nexus.v1.ConsoleService/CreateConsoleLink": () => ({}),
  "nexus.v1.EgressService/ListEgressSessions": () => ({}),
  "nexus.v1.EgressService/ReportEgressSession": () => ({ session: { id: "a-session" } }),
  "nexus.v1.FleetService/StepDown": () => ({}),
  "nexus.v1.KeyringService/GetKeyring": () => ({}),
  "nexus.v1.KeyringService/AddKey": () => ({}),
  "nexus.v1.KeyringService/RotateKeyring": () => ({}),
  "nexus.v1.KeyringService/RetireKey": () => ({ keyId: "0123456789abcdef" }),
  "nexus.v1.NexusService/RequestConnection": ({ hub }) => ({ userId: `at-${hub}`, providerName: "op" }),
  "nexus.v1.NexusService/CheckConnection": ({ consented }) => ({ connectionId: consented }),
  "nexus.v1.NexusService/GetToken": ({ consented }) => ({ connectionId: consented }),
  "nexus.v1.NexusService/RefreshConnection": ({ consented }) => ({ connectionId: consented }),
  "nexus.v1.NotificationService/TestReceivers": () => ({}),
  "nexus.v1.PolicyService/GetPolicy": () => ({}),
  "nexus.v1.PolicyService/ListRequestTemplates": () => ({}),
  "nexus.v1.ProviderService/CreateProvider": ({ hub }) => ({
    provider: { name: `made-at-${hub}`, authType: AuthType.API_KEY },
  }),
  "nexus.v1.ProviderService/GetProvider": ({ provider }) => ({ key: { case: "id", value: provider } }),
  "nexus.v1.ProviderService/ListProviders": () => ({}),
  "nexus.v1.ProviderService/ListProviderTemplates": () => ({ pageSize: 3 }),
  "nexus.v1.ProviderService/UpdateProvider": ({ provider, hub }) => ({
    ...{ provider: { id: provider, description: `by ${hub}` }, updateMask: { paths: ["description"] } },
  }),
  "nexus.v1.ProviderService/DeleteProvider": () => ({ id: unknown }),
  "nexus.v1.StatusService/GetStatus": () => ({}),
  "nexus.v1.StatusService/GetActivity": () => ({}),
  "nexus.v1.StatusService/ListOpenStreams": () => ({}),
  "nexus.v1.TokenService/AcquireToken": ({ hub }) => ({ providerName: "op", userId: `acquired-at-${hub}` }),
  "nexus.v1.TokenService/GetToken": ({ consented }) => ({ connectionId: consented }),
  "nexus.v1.TokenService/RefreshToken": ({ consented }) => ({ connectionId: consented }),
  "nexus.v1.TokenService/ReportRejectedToken": ({ consented }) => ({
    ...{
      connectionId: consented,
      revision: 1n,
      status: 401,
      wwwAuthenticate: 'Bearer error="invalid_token"',
    },
  }),
  "nexus.v1.TokenService/CreateProof": ({ consented }) => ({
    ...{ connectionId: consented, method: "GET", url: "https://api.example/" },
  }),
  "nexus.v1.TokenService/WatchTokens": () => ({}),
  "envoy.service.auth.v3.Authorization/Check": ({ consented }) => ({
    attributes: { contextExtensions: { connection_id: consented } },
  }),
  "envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets": ({ consented }) => ({
    resourceNames: [`nexus/${consented}/bearer`],
  }),
  "envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets": ({ consented }) => ({
    resourceNames: [`nexus/${consented}/bearer`],
  }),
};

const world = perSuite(async () => World.make({}, await Place.make({ NEXUS_NOTIFY_COMMAND: "true" })));

async function services(): Promise<DescService[]> {
  const files = readdirSync(folder).filter((name) => name.endsWith("_pb.ts"));
  const modules = await Promise.all(files.map((name) => import(new URL(name, folder).href)));
  const own = modules
    .flatMap((module) => Object.values(module as object))
    .filter((each) => each?.kind === "service");
  // SDS has one more, of another way to ask, which nobody serves.
  return [...own, Authorization, SecretDiscoveryService];
}

/** How a call ends: which fields the answer has, or the error; of streams the first answer. */
async function endOf(transport: Transport, method: DescMethod, request: object): Promise<unknown> {
  const client = createClient(method.parent, transport) as Record<string, (...given: unknown[]) => unknown>;
  const stop = new AbortController();
  // A stream may have nothing to say; anything else answers, on a laden machine too.
  const silence = setTimeout(() => stop.abort(), method.methodKind === "unary" ? 60_000 : 5_000);
  try {
    const call = client[method.localName];
    const given = method.methodKind === "bidi_streaming" ? endless(request, stop.signal) : request;
    const answer = call?.(given, { signal: stop.signal });
    const first =
      method.methodKind === "unary"
        ? await answer
        : (await (answer as AsyncIterable<unknown>)[Symbol.asyncIterator]().next()).value;
    const json = toJson(method.output, first as never) as object;
    return Object.keys(json).sort();
  } catch (error) {
    const { code, rawMessage, details } = ConnectError.from(error);
    const message = rawMessage.replace(/leader|follower/g, "hub").replace(/127[.0-9]+:[0-9, .:]+/g, "some ");
    return { code, message, details: details.length };
  } finally {
    clearTimeout(silence);
    stop.abort();
  }
}

async function* endless(request: object, signal: AbortSignal) {
  yield request;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

describe.skipIf(process.env["NEXUS_TEST_FOLLOWER"] === undefined)("a follower", () => {
  it("answers every RPC as the leader does, what says something and what says nothing", async () => {
    const { clients, beside } = world;
    if (!beside) throw new Error("this daemon follows nobody");
    await world.register();
    const own = async (hub: Own["hub"]): Promise<Own> => {
      const provider = await registered(clients, { name: `keys-of-${hub}`, authType: AuthType.API_KEY });
      const imported = async (userId: string): Promise<string> => {
        const request = { userId, providerId: provider, credentials: { api_key: "a-key" } };
        return (await clients.connections.importConnection(request)).connection?.id ?? "";
      };
      const consented = await world.connect("op", `ada-${hub}`);
      return { hub, provider, consented, imported: await imported("one"), spare: await imported("two") };
    };
    const [led, following] = [await own("leader"), await own("follower")];
    const [leader, follower] = [socketTransport(beside.socket), socketTransport(world.place.socket)];
    const methods = (await services())
      .flatMap(({ methods: each }) => each)
      .filter(({ name }) => name !== "DeltaSecrets");
    expect(methods.map(rpcName).sort()).toEqual(Object.keys(requests).sort());
    const byName = new Map(methods.map((method) => [rpcName(method), method]));
    const others: unknown[] = [];
    for (const [name, request] of Object.entries(requests)) {
      const method = byName.get(name) as DescMethod;
      // A second rotation is refused whoever begins the first.
      const empty = name.endsWith("/RotateClientKeys") ? request : () => ({});
      for (const ask of [request, empty]) {
        const atLeader = await endOf(leader, method, ask(led));
        const atFollower = await endOf(follower, method, ask(following));
        if (JSON.stringify(atLeader) !== JSON.stringify(atFollower))
          others.push({ name, atLeader, atFollower });
      }
    }
    expect(others).toEqual([]);
  }, 240_000);
});
