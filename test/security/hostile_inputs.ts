import { accessRows } from "./hostile/access_rows.js";
import { browserRows } from "./hostile/browser_rows.js";
import { connectionRows } from "./hostile/connection_rows.js";
import { restRows } from "./hostile/http_rows.js";
import { nameRows } from "./hostile/name_rows.js";
import { providerRows } from "./hostile/provider_rows.js";
import { requestRows } from "./hostile/request_rows.js";
import type { HttpRow, RpcRow } from "./hostile/row.js";
import { tokenRows } from "./hostile/token_rows.js";
import { byteRows, jsonRows } from "./hostile/wire_rows.js";

/** Every hostile call of an RPC, each with what must come back. A new RPC or field gets its rows here, or the table's own test fails. */
export const rpcRows: readonly RpcRow[] = [
  ...providerRows,
  ...connectionRows,
  ...tokenRows,
  ...nameRows,
  ...accessRows,
  ...requestRows,
  ...byteRows,
  ...jsonRows,
];

/** `Service/Method field`, or `Service/Method`, that has no row, and why. */
export const exemptions: Readonly<Record<string, string>> = {
  "ProviderService/CreateProvider provider.client_registration": "only answered: a request's is not read",
  "ProviderService/UpdateProvider provider.client_registration": "only answered: a request's is not read",
  "ProviderService/CreateProvider provider.redirect_uri": "only answered: a request's is not read",
  "ProviderService/UpdateProvider provider.redirect_uri": "only answered: a request's is not read",
};

/** Every hostile request of a REST route or of a page. */
export const httpRows: readonly HttpRow[] = [...restRows, ...browserRows];

/** `METHOD /path field`, or `METHOD /path`, of the table of routes that has no row, and why. */
export const routeExemptions: Readonly<Record<string, string>> = {
  "GET /openapi.json": "takes nothing and reads nothing",
  "GET /health": "takes nothing and reads nothing",
  "GET /metrics": "takes nothing; who may read it is a row of the access tests",
  "GET /v1/providers/metadata": "takes nothing: the list of GET /v1/providers under another path",
  "GET /providers": "takes nothing: the list of GET /v1/providers, shorter",
  "GET /providers/metadata": "takes nothing: the list of GET /v1/providers under another path",
};
