import { readdirSync } from "node:fs";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { Hub, Resource, Spoke } from "../../../src/gen/nexus/rpc/v1/options_pb.js";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import { accessTable, roles } from "../../../src/model/access/access_table.js";
import { actionOfRpc, describedRpc, rpcName, rpcOptions } from "../../../src/service/pipeline/rpc_access.js";

const folder = new URL("../../../src/gen/nexus/v1/", import.meta.url);

async function services(): Promise<DescService[]> {
  const files = readdirSync(folder).filter((name) => name.endsWith("_pb.ts"));
  const modules = await Promise.all(files.map((name) => import(new URL(name, folder).href)));
  return modules.flatMap((module) => Object.values(module as object)).filter(isService);
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "service";
}

/**
 * What each role may do of each RPC, as SECURITY.md states it; which hub of a fleet carries it out, which daemon at a spoke, and whether
 * it writes or waits. A change here is a change of the promise.
 */
const expected = `
nexus.v1.AccessService/CreateApiKey               admin                 leader self writes
nexus.v1.AccessService/ListApiKeys                admin                 any self
nexus.v1.AccessService/RotateApiKey               admin                 leader self writes
nexus.v1.AccessService/RevokeApiKey               admin                 leader self writes
nexus.v1.AccessService/RenewLease                 admin operator agent  any self
nexus.v1.AccessService/ExplainAccess              admin operator        any self
nexus.v1.AccessService/WhoAmI                     admin operator agent  any self
nexus.v1.ApprovalService/ListHeldRequests         admin operator        leader self
nexus.v1.ApprovalService/DecideHeldRequest        admin operator        leader self writes
nexus.v1.ApprovalService/FindApprovalPage         admin (agent)         leader self
nexus.v1.ApprovalService/RequestPlan              admin (agent)         leader self writes
nexus.v1.ApprovalService/AddApprover              admin                 leader self writes
nexus.v1.ApprovalService/ListApprovers            admin operator        leader self
nexus.v1.ApprovalService/RemoveApprover           admin                 leader self writes
nexus.v1.ApprovalService/StopPrincipal            admin                 leader self writes
nexus.v1.ApprovalService/ListStops                admin                 any self
nexus.v1.UseService/ListUses                      admin operator        leader self
nexus.v1.UseService/ResetUses                     admin operator        leader self writes
nexus.v1.AuditService/ListAuditEvents             admin operator        recorded self
nexus.v1.AuditService/VerifyAuditLog              admin operator        recorded self
nexus.v1.ConsoleService/CreateConsoleLink         admin operator agent  any self
nexus.v1.ConnectionService/RequestConnection      admin operator (agent)leader hub writes
nexus.v1.BackupService/CreateBackup               admin                 any self
nexus.v1.EgressService/ListEgressSessions         admin operator        any self
nexus.v1.EgressService/ReportEgressSession        admin (agent)         any self
nexus.v1.FleetService/StepDown                    admin                 leader self
nexus.v1.KeyringService/GetKeyring                admin                 any self
nexus.v1.KeyringService/AddKey                    admin                 leader self writes
nexus.v1.KeyringService/RotateKeyring             admin                 leader self writes
nexus.v1.KeyringService/RetireKey                 admin                 leader self writes
nexus.v1.ClientKeyService/ListClientKeys          admin                 any hub
nexus.v1.ClientKeyService/RotateClientKeys        admin                 leader hub writes
nexus.v1.ConnectionService/ConfirmConnection      admin operator (agent)leader hub writes
nexus.v1.ConnectionService/GetConnection          admin operator (agent)any hub
nexus.v1.ConnectionService/ListConnections        admin operator (agent)any hub
nexus.v1.ConnectionService/WatchConnections       admin operator (agent)any self
nexus.v1.ConnectionService/RefreshConnection      admin operator (agent)leader hub writes
nexus.v1.ConnectionService/CheckConnection        admin operator (agent)leader hub writes
nexus.v1.ConnectionService/RevokeConnection       admin operator (agent)leader hub writes
nexus.v1.ConnectionService/DeleteConnection       admin operator (agent)leader hub writes
nexus.v1.ConnectionService/GetCaptureSchema       admin operator (agent)leader hub
nexus.v1.ConnectionService/CaptureCredential      admin operator (agent)leader hub writes
nexus.v1.ConnectionService/ImportConnection       admin operator (agent)leader hub writes
nexus.v1.ConnectionService/ReplaceCredential      admin operator (agent)leader hub writes
nexus.v1.NexusService/RequestConnection           admin operator (agent)any self writes
nexus.v1.NexusService/CheckConnection             admin operator (agent)any self
nexus.v1.NexusService/GetToken                    admin (agent)         any self
nexus.v1.NexusService/RefreshConnection           admin (agent)         any self writes
nexus.v1.PolicyService/GetPolicy                  admin operator        any self
nexus.v1.PolicyService/ListRequestTemplates       admin operator        any self
nexus.v1.ProviderService/CreateProvider           admin operator        leader hub writes
nexus.v1.ProviderService/GetProvider              admin operator (agent)any hub
nexus.v1.ProviderService/ListProviders            admin operator (agent)any hub
nexus.v1.ProviderService/UpdateProvider           admin operator        leader hub writes
nexus.v1.ProviderService/DeleteProvider           admin operator        leader hub writes
nexus.v1.ProviderService/ListProviderTemplates    admin operator        any hub
nexus.v1.StatusService/GetActivity                admin operator        any self
nexus.v1.StatusService/GetStatus                  admin operator        any self
nexus.v1.StatusService/ListOpenStreams            admin operator        any self
nexus.v1.NotificationService/TestReceivers        admin operator        leader hub
nexus.v1.TokenService/AcquireToken                admin (agent)         any copy writes waits
nexus.v1.TokenService/CreateProof                 admin (agent)         any hub
nexus.v1.TokenService/GetToken                    admin (agent)         any copy
nexus.v1.TokenService/RefreshToken                admin (agent)         leader copy writes
nexus.v1.TokenService/ReportRejectedToken         admin (agent)         leader hub writes
nexus.v1.TokenService/WatchTokens                 admin (agent)         any self
`
  .trim()
  .split("\n");

function carriedOut(method: DescMethod): string {
  const options = rpcOptions(method);
  if (options === undefined) return "not decided";
  const words = [Hub[options.hub], Spoke[options.spoke]].map((word) =>
    word?.replace(/^ANY_/, "").toLowerCase(),
  );
  return [...words, ...(options.writes ? ["writes"] : []), ...(options.waits ? ["waits"] : [])].join(" ");
}

describe("the options of RPCs", () => {
  it("are decided for every RPC: its action, its resource, and who carries it out", async () => {
    const methods = (await services()).flatMap((service) => service.methods);
    const undecided = methods.filter((method) => {
      const options = rpcOptions(method);
      return (
        !options || describedRpc(method) === undefined || !options.resource || !options.hub || !options.spoke
      );
    });
    expect(undecided.map(rpcName)).toEqual([]);
  });

  it("have the leader carry out what writes, or the hub that is called ask it", async () => {
    const methods = (await services()).flatMap((service) => service.methods);
    const local = methods.filter((method) => {
      const options = rpcOptions(method);
      return options?.writes === true && options.hub !== Hub.LEADER;
    });
    // AcquireToken asks the leader once it finds that it must write, and those of NexusService call other RPCs.
    expect(local.map(rpcName).sort()).toEqual([
      "nexus.v1.NexusService/RefreshConnection",
      "nexus.v1.NexusService/RequestConnection",
      "nexus.v1.TokenService/AcquireToken",
    ]);
  });

  it("name a field that the request has", async () => {
    const fieldsOf: Partial<Record<Resource, readonly string[]>> = {
      [Resource.PROVIDER]: ["key"],
      [Resource.CONNECTION]: ["connectionId"],
      [Resource.ACQUIRED_CONNECTION]: ["providerName", "userId", "label", "mcpServerUrl"],
      [Resource.REQUESTED_CONNECTION]: ["userId", "label"],
      [Resource.AUTHORIZATION]: ["state"],
    };
    const methods = (await services()).flatMap((service) => service.methods);
    for (const method of methods) {
      const { resource = Resource.UNSPECIFIED, waits = false } = rpcOptions(method) ?? {};
      const names = method.input.members.map(({ localName }) => localName);
      const wanted = [...(fieldsOf[resource] ?? []), ...(waits ? ["wait"] : [])];
      expect(
        wanted.filter((name) => !names.includes(name)),
        rpcName(method),
      ).toEqual([]);
    }
  });
});

describe("the table of RPCs", () => {
  it("gives each role what is promised of every RPC, an agent only within its restriction", async () => {
    const methods = (await services()).flatMap((service) => service.methods);
    expect(methods.length).toBeGreaterThan(25);
    const rows = methods.map((method) => {
      const action = describedRpc(method)?.action;
      const may = roles.flatMap((role) => {
        const permission = action ? accessTable[action][role] : "denied";
        return permission === "denied" ? [] : [permission === "restricted" ? `(${role})` : role];
      });
      return `${rpcName(method).padEnd(50)}${may.join(" ").padEnd(22)}${carriedOut(method)}`;
    });
    const names = new Set(methods.map(rpcName));
    const given = expected.filter((line) => names.has(line.split(" ")[0] ?? ""));
    expect(rows.sort()).toEqual(given.sort());
  });

  it("knows an RPC by its short name", () => {
    const methods = TokenService.methods.map((descriptor) => ({ descriptor, rpc: describedRpc(descriptor) }));
    const served = [{ methods }];
    expect(actionOfRpc(served, "TokenService/GetToken")).toBe("token.read");
    expect(actionOfRpc(served, "nexus.v1.TokenService/GetToken")).toBe("token.read");
    expect(actionOfRpc(served, "TokenService/Nothing")).toBeUndefined();
    expect(actionOfRpc([], "TokenService/GetToken")).toBeUndefined();
  });
});
