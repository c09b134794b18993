import { readdirSync } from "node:fs";
import type { DescService } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { ProviderService } from "../../../src/gen/nexus/v1/provider_pb.js";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import { answer, routeOf } from "../../../src/server/rest/route.js";
import { restTable } from "../../../src/server/rest/table.js";
import { rpcName, rpcOptions } from "../../../src/service/pipeline/rpc_access.js";

const folder = new URL("../../../src/gen/nexus/v1/", import.meta.url);

async function services(): Promise<DescService[]> {
  const files = readdirSync(folder).filter((name) => name.endsWith("_pb.ts"));
  const modules = await Promise.all(files.map((name) => import(new URL(name, folder).href)));
  const values = modules.flatMap((module) => Object.values(module as Record<string, unknown>));
  return values.filter((value): value is DescService => (value as { kind?: string }).kind === "service");
}

/** Clients of REST rely on these. A change here is a change of the promise. */
const expected = `
GET /audit AuditService/ListAuditEvents
GET /auth/capture-schema ConnectionService/GetCaptureSchema
GET /connections/{id}/token TokenService/GetToken
GET /health
GET /metrics
GET /openapi.json
GET /providers ProviderService/ListProviders
GET /providers/by-name/{name} ProviderService/GetProvider
GET /providers/metadata ProviderService/ListProviders
GET /providers/{id} ProviderService/GetProvider
GET /v1/audit AuditService/ListAuditEvents
GET /v1/capture-schema ConnectionService/GetCaptureSchema
GET /v1/check-connection/{id} ConnectionService/GetConnection
GET /v1/providers ProviderService/ListProviders
GET /v1/providers/metadata ProviderService/ListProviders
GET /v1/providers/{id} ProviderService/GetProvider
GET /v1/token/{id} TokenService/GetToken
POST /auth/capture-credential ConnectionService/CaptureCredential
POST /auth/consent-spec ConnectionService/RequestConnection
POST /connections/{id}/refresh TokenService/RefreshToken
POST /providers ProviderService/CreateProvider
POST /v1/capture-credential ConnectionService/CaptureCredential
POST /v1/confirm-connection ConnectionService/ConfirmConnection
POST /v1/providers ProviderService/CreateProvider
POST /v1/refresh/{id} TokenService/RefreshToken
POST /v1/request-connection ConnectionService/RequestConnection
PUT /providers/{id} ProviderService/UpdateProvider
PUT /v1/providers/{id} ProviderService/UpdateProvider
PATCH /providers/{id} ProviderService/UpdateProvider
PATCH /v1/providers/{id} ProviderService/UpdateProvider
DELETE /providers/by-name/{name} ProviderService/DeleteProvider
DELETE /providers/{id} ProviderService/DeleteProvider
DELETE /v1/providers/{id} ProviderService/DeleteProvider
`;

it("serves these requests, each by its RPC", () => {
  const served = restTable.map(({ method, path, rpc }) =>
    [method, path, ...(rpc ? [rpcName(rpc).replace("nexus.v1.", "")] : [])].join(" "),
  );
  expect(served.sort()).toEqual(expected.trim().split("\n").sort());
});

it("serves every request that the options of an RPC name, and names an operation once", async () => {
  const named = (await services()).flatMap((service) =>
    service.methods.flatMap((method) =>
      (rpcOptions(method)?.rest ?? []).map(({ operation }) => `${rpcName(method)} ${operation}`),
    ),
  );
  const served = restTable.flatMap(({ rpc, operationId }) => (rpc ? `${rpcName(rpc)} ${operationId}` : []));
  expect(named.sort()).toEqual(served.sort());
  expect(new Set(restTable.map(({ operationId }) => operationId)).size).toBe(restTable.length);
});

it("refuses a route that the options of its RPC do not name", () => {
  const operation = {
    operationId: "getToken",
    summary: "Reads",
    tag: "tokens",
    errors: [],
    success: { status: 200, schema: "Token" },
    handle: async () => answer({}),
  } as const;
  expect(routeOf(TokenService.method.getToken, operation)).toMatchObject({
    method: "GET",
    path: "/v1/token/{id}",
  });
  expect(() => routeOf(ProviderService.method.getProvider, operation)).toThrow(
    "nexus.v1.ProviderService/GetProvider has no request of REST called getToken",
  );
});
