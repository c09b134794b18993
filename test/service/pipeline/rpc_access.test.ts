import { readdirSync } from "node:fs";
import type { DescService } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { accessTable, roles } from "../../../src/model/access/access_table.js";
import { actionOfRpc, rpcAccess, rpcName } from "../../../src/service/pipeline/rpc_access.js";

const folder = new URL("../../../src/gen/nexus/v1/", import.meta.url);

async function services(): Promise<DescService[]> {
  const files = readdirSync(folder).filter((name) => name.endsWith("_pb.ts"));
  const modules = await Promise.all(files.map((name) => import(new URL(name, folder).href)));
  return modules.flatMap((module) => Object.values(module as object)).filter(isService);
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "service";
}

/** What each role may do of each RPC, as SECURITY.md states it: a change here is a change of the promise. */
const expected = `
nexus.v1.AccessService/CreateApiKey               admin
nexus.v1.AccessService/ListApiKeys                admin
nexus.v1.AccessService/RotateApiKey               admin
nexus.v1.AccessService/RevokeApiKey               admin
nexus.v1.AccessService/RenewLease                 admin operator agent
nexus.v1.AccessService/ExplainAccess              admin operator
nexus.v1.AccessService/WhoAmI                     admin operator agent
nexus.v1.ApprovalService/ListHeldRequests         admin operator
nexus.v1.ApprovalService/DecideHeldRequest        admin operator
nexus.v1.ApprovalService/FindApprovalPage         admin (agent)
nexus.v1.ApprovalService/StopPrincipal            admin
nexus.v1.ApprovalService/ListStops                admin
nexus.v1.AuditService/ListAuditEvents             admin operator
nexus.v1.AuditService/VerifyAuditLog              admin operator
nexus.v1.ConsoleService/CreateConsoleLink         admin operator agent
nexus.v1.ConnectionService/RequestConnection      admin operator (agent)
nexus.v1.BackupService/CreateBackup               admin
nexus.v1.EgressService/ListEgressSessions         admin operator
nexus.v1.EgressService/ReportEgressSession        admin (agent)
nexus.v1.FleetService/StepDown                    admin
nexus.v1.KeyringService/GetKeyring                admin
nexus.v1.KeyringService/AddKey                    admin
nexus.v1.KeyringService/RotateKeyring             admin
nexus.v1.KeyringService/RetireKey                 admin
nexus.v1.ClientKeyService/ListClientKeys          admin
nexus.v1.ClientKeyService/RotateClientKeys        admin
nexus.v1.ConnectionService/ConfirmConnection      admin operator (agent)
nexus.v1.ConnectionService/GetConnection          admin operator (agent)
nexus.v1.ConnectionService/ListConnections        admin operator (agent)
nexus.v1.ConnectionService/WatchConnections       admin operator (agent)
nexus.v1.ConnectionService/RefreshConnection      admin operator (agent)
nexus.v1.ConnectionService/RevokeConnection       admin operator (agent)
nexus.v1.ConnectionService/DeleteConnection       admin operator (agent)
nexus.v1.ConnectionService/GetCaptureSchema       admin operator (agent)
nexus.v1.ConnectionService/CaptureCredential      admin operator (agent)
nexus.v1.ConnectionService/ImportConnection       admin operator (agent)
nexus.v1.ConnectionService/ReplaceCredential      admin operator (agent)
nexus.v1.NexusService/RequestConnection           admin operator (agent)
nexus.v1.NexusService/CheckConnection             admin operator (agent)
nexus.v1.NexusService/GetToken                    admin (agent)
nexus.v1.NexusService/RefreshConnection           admin (agent)
nexus.v1.ProviderService/CreateProvider           admin operator
nexus.v1.ProviderService/GetProvider              admin operator (agent)
nexus.v1.ProviderService/ListProviders            admin operator (agent)
nexus.v1.ProviderService/UpdateProvider           admin operator
nexus.v1.ProviderService/DeleteProvider           admin operator
nexus.v1.ProviderService/ListProviderTemplates    admin operator
nexus.v1.StatusService/GetActivity                admin operator
nexus.v1.StatusService/GetStatus                  admin operator
nexus.v1.StatusService/ListOpenStreams            admin operator
nexus.v1.NotificationService/TestReceivers        admin operator
nexus.v1.TokenService/AcquireToken                admin (agent)
nexus.v1.TokenService/CreateProof                 admin (agent)
nexus.v1.TokenService/GetToken                    admin (agent)
nexus.v1.TokenService/RefreshToken                admin (agent)
nexus.v1.TokenService/ReportRejectedToken         admin (agent)
nexus.v1.TokenService/WatchTokens                 admin (agent)
`
  .trim()
  .split("\n");

describe("the table of RPCs", () => {
  it("gives each role what is promised of every RPC, an agent only within its restriction", async () => {
    const methods = (await services()).flatMap((service) => service.methods);
    expect(methods.length).toBeGreaterThan(25);
    const rows = methods.map((method) => {
      const action = rpcAccess(method)?.action;
      const may = roles.flatMap((role) => {
        const permission = action ? accessTable[action][role] : "denied";
        return permission === "denied" ? [] : [permission === "restricted" ? `(${role})` : role];
      });
      return `${rpcName(method).padEnd(50)}${may.join(" ")}`;
    });
    const names = new Set(methods.map(rpcName));
    const given = expected.filter((line) => names.has(line.split(" ")[0] ?? ""));
    expect(rows.sort()).toEqual(given.sort());
  });

  it("knows an RPC by its short name", () => {
    expect(actionOfRpc("TokenService/GetToken")).toBe("token.read");
    expect(actionOfRpc("nexus.v1.TokenService/GetToken")).toBe("token.read");
    expect(actionOfRpc("TokenService/Nothing")).toBeUndefined();
  });
});
